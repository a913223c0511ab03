//! Secrets in the wrong place: whatever setting holds one, however it is written, the program says nothing of it.

use super::Setup;

/// Nothing else is written like it.
const SECRET: &str = "hunter2";

/// How a secret gets into a setting: as it is, and as a part of what the settings are made of.
const FORMS: [&str; 12] = [
    "hunter2",
    "-hunter2",
    "\nhunter2\n",
    "4711 hunter2",
    "/hunter2/hunter2",
    "{\"hunter2\": \"hunter2\"}",
    "[\"hunter2\", 1]",
    "[{\"id\": \"a\", \"kind\": \"hunter2\"}]",
    "[{\"id\": [\"hunter2\"]}]",
    "postgres://hub:hunter2@127.0.0.1:hunter2/hub",
    "https://hub:hunter2@hub.example/?hunter2",
    "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----",
];

/// Parts of the URL of a database that nobody listens at.
const URLS: [&str; 9] = [
    "postgres://hunter2@127.0.0.1:1/hub",
    "postgres://hub:hunter2@127.0.0.1:1/hub",
    "postgres://hub@127.0.0.1:1/hunter2",
    "postgres://hub@127.0.0.1:1/hub?sslpasword=hunter2",
    "postgres://hub@127.0.0.1:1/hub?hunter2=1",
    "postgres://hub@127.0.0.1:1/hub?sslmode=hunter2",
    "postgres://hub@127.0.0.1:1/hub?sslmode=verify-full&sslrootcert=hunter2",
    "postgres://hub@127.0.0.1:1/hub?options=-c%20hunter2=hunter2",
    "postgres://hub@127.0.0.1:1/hub?application_name=hunter2&passfile=hunter2",
];

/// What the program says, on both of its outputs, with everything logged that may be and all other settings right.
fn said(args: &[&str], settings: &[(&str, &str)]) -> String {
    said_without("database_url", args, settings)
}

/// The same where that setting is in no variable, which would win over the file.
fn said_without(key: &str, args: &[&str], settings: &[(&str, &str)]) -> String {
    let mut setup = Setup::new();
    setup.unset(&key.to_uppercase());
    setup.set("LOG_LEVEL", "trace,sqlx_postgres=trace,hyper=trace,h2=trace");
    for (key, value) in settings {
        let key = key.to_uppercase();
        setup.unset(key.strip_suffix("_FILE").unwrap_or(&key));
        setup.set(&key, value);
    }
    let output = setup.run(args);
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

fn keys() -> Vec<String> {
    let table = invitations::config::markdown();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next().map(str::to_owned));
    rows.collect()
}

#[test]
fn no_setting_shows_what_stands_in_it() {
    let keys = keys();
    assert!(keys.len() > 30);
    let files = Setup::new();
    let mut shown = Vec::new();
    for key in &keys {
        let file = format!("{key}_file");
        for (n, form) in FORMS.into_iter().enumerate() {
            let mut outputs = vec![said_without(key, &["check-config"], &[(key, form)])];
            // read by the same rules: some forms are enough
            if n % 4 == 0 {
                let text = format!("{key} = {}\n", serde_json::to_string(form).unwrap());
                let path = files.file("config.toml", &text);
                outputs.push(said_without(key, &["check-config", "--config", &path], &[]));
                outputs.push(said_without(key, &["check-config"], &[(&file, form)]));
            }
            assert!(outputs.iter().all(|output| !output.is_empty()), "{key}");
            let spilled = outputs.into_iter().filter(|output| output.contains(SECRET));
            shown.extend(spilled.map(|output| format!("{key} as {form:?}: {output}")));
        }
    }
    // not even what cannot be read as a whole
    let path = files.file("config.toml", "smtp_password = hunter2\ndatabase_url = 'hunter2\n");
    let output = said(&["check-config", "--config", &path], &[]);
    assert!(output.contains("line 1 is not TOML") && !output.contains(SECRET), "{output}");
    assert!(shown.is_empty(), "{}", shown.join("\n"));
}

#[test]
fn no_part_of_the_database_url_is_shown() {
    for url in URLS {
        for args in [&["migrate"][..], &["distribute", "--apply"], &["migrate", "--help"]] {
            let output = said(args, &[("database_url", url)]);
            assert!(!output.is_empty() && !output.contains(SECRET), "{args:?} with {url}: {output}");
            let output = said(&[args, &["--database-url", url]].concat(), &[]);
            assert!(!output.contains(SECRET), "{args:?} with {url} as a flag: {output}");
        }
    }
}

/// What Postgres itself says quotes names.
#[tokio::test]
async fn nor_by_a_database_that_answers() {
    let database = crate::support::Database::create().await;
    let (server, _) = database.url.rsplit_once('/').unwrap();
    let (path, query) = database.url.split_once('?').map_or((database.url.as_str(), ""), |(path, query)| (path, query));
    let query = if query.is_empty() { String::new() } else { format!("&{query}") };
    for url in [
        format!("{path}?sslpasword=hunter2{query}"),
        format!("{path}?options=-c%20hunter2.a=hunter2{query}"),
        format!("{path}?options=-c%20statement_timeout=hunter2{query}"),
        format!("{server}/hunter2?{}", query.trim_start_matches('&')),
    ] {
        let output = said(&["migrate"], &[("database_url", &url)]);
        assert!(!output.is_empty() && !output.contains(SECRET), "{output}");
    }
    // the control: it has answered
    assert!(said(&["migrate"], &[("database_url", &database.url)]).contains("the schema is up to date"));
}
