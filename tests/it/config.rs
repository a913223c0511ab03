//! Settings as an operator meets them: the real program, its environment, its file, and the one line it ends with.

mod spilled;

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Output, id},
    sync::atomic::{AtomicUsize, Ordering},
};

const ISSUERS: &str = r#"[{"id":"hub","kind":"user","issuer":"https://id.example","audience":"hub","discovery":true,"typ":"at+jwt","provider":"hub","email_domains":["example.com"]}]"#;

/// An environment in which the configuration is right, and a folder for what it names.
struct Setup {
    dir: PathBuf,
    variables: Vec<(String, String)>,
}

impl Setup {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = env::temp_dir().join(format!("invitations-config-{}-{number}", id()));
        fs::create_dir_all(&dir).unwrap();
        let mut setup = Self { dir, variables: Vec::new() };
        let keys = setup.file("code_keys", "k1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n");
        let address_key = setup.file("address_key", "a1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n");
        for (key, value) in [
            ("DATABASE_URL", "postgres://hub:hunter2@db.example/hub"),
            ("PUBLIC_BASE_URL", "https://hub.example"),
            ("CODE_KEYS_FILE", &keys),
            ("ADDRESS_KEY_FILE", &address_key),
            ("ISSUERS", ISSUERS),
            ("SMTP_HOST", "127.0.0.1"),
            ("SMTP_TLS", "none"),
            ("MAIL_FROM", "IPMHub <no-reply@hub.example>"),
        ] {
            setup.set(key, value);
        }
        setup
    }

    fn file(&self, name: &str, content: &str) -> String {
        let path = self.dir.join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn set(&mut self, key: &str, value: &str) {
        self.unset(key);
        self.variables.push((format!("INVITATIONS_{key}"), value.to_owned()));
    }

    fn unset(&mut self, key: &str) {
        self.variables.retain(|(name, _)| *name != format!("INVITATIONS_{key}"));
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_invitations"));
        command.args(args).env_clear().envs(self.variables.iter().cloned()).output().unwrap()
    }

    /// Starts with a wrong setting and returns the line that says so, which both commands end with.
    fn refusal(&self, flags: &[&str]) -> String {
        let [checked, served] = ["check-config", "serve"].map(|command| {
            let output = self.run(&[&[command], flags].concat());
            assert_eq!(output.status.code(), Some(2), "{output:?}");
            assert!(output.stdout.is_empty(), "{output:?}");
            let line = String::from_utf8(output.stderr).unwrap();
            assert_eq!(line.matches('\n').count(), 1, "{line}");
            line.trim_end().to_owned()
        });
        assert_eq!(checked, served);
        checked
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.dir);
    }
}

#[test]
fn right_settings_are_ok_without_a_database_or_a_mail_server() {
    let output = Setup::new().run(&["check-config"]);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "configuration ok\n");
    assert_eq!((output.status.code(), output.stderr), (Some(0), vec![]));
}

#[test]
fn a_wrong_setting_ends_the_start_with_one_line_that_names_it() {
    let issuer = |from: &str, to: &str| ISSUERS.replace(from, to);
    for (key, value, expected) in [
        ("LISTEN", "localhost", "must be an IP address with a port"),
        ("DATABASE_URL", "mysql://db.example/hub", "must be postgres://USER"),
        ("DATABASE_URL", "postgres://hub:a#b@db.example/hub", "must be postgres://USER"),
        ("DATABASE_CONNECTIONS", "0", r#"must be a whole number from 1 to 1000, but is "0""#),
        ("PUBLIC_BASE_URL", "http://hub.example", "must begin with https://"),
        ("PUBLIC_BASE_URL", "https://hub.example/?a=b", "must be the address of IPMHub's pages"),
        ("CODE_KEYS_FILE", "/nowhere", "cannot read the file: No such file"),
        ("ISSUERS", "[]", "must have an entry"),
        ("ISSUERS", "id = 1", "must be a list of entries: "),
        ("ISSUERS", &issuer("audience", "aud"), "unknown field, expected one of `id`, "),
        (
            "ISSUERS",
            &issuer("\"email_domains\":[\"example.com\"]", "\"services\":[]"),
            r#"entry "hub": email_domains "#,
        ),
        ("ISSUERS", &issuer("https://id.example", "https://dev.invitations.ipmhub.io/x"), "only `dev` may trust"),
        ("RESERVED_NAMES", "acme,Hub", "each name "),
        ("ACCOUNTS_CREATE_ORGANIZATIONS", "maybe", "must be true or false"),
        ("RESEND_INTERVAL_SECONDS", "1m", "must be a whole number from 0 to 86400"),
        ("WRONG_CODES_LIMIT", "-1", "must be a whole number from 0 to 1000000"),
        ("SWEEP_INTERVAL_SECONDS", "0", "must be a whole number from 1 to 3600"),
        ("SMTP_HOST", "", "must not be empty"),
        ("SMTP_PORT", "65536", "must be a whole number from 1 to 65535"),
        ("SMTP_TLS", "tls", "must be implicit, starttls or"),
        ("SMTP_PASSWORD", "hunter2", "must be set with the username"),
        ("SMTP_HELLO_NAME", "hub example", "must be a host name"),
        ("MAIL_FROM", "nobody", "must be one email address"),
        ("MAIL_WORKERS", "65", "must be a whole number from 1 to 64"),
        ("DEFAULT_DEADLINE_SECONDS", "31", "must not be longer than max_deadline_seconds"),
        ("REFLECTION", "1", "must be true or false"),
        ("ISSUERS", &issuer("\"discovery\":true", "\"jwks_file\":\"/nowhere\""), "jwks_file: No such file"),
        ("ISSUERS", &issuer("}]", ",\"leeway_seconds\":61}]"), "leeway_seconds must be at most 60"),
        ("LOG_FORMAT", "xml", "must be json or text"),
        ("LOG_LEVEL", "info,=", "must be error, warn, info"),
    ] {
        let mut setup = Setup::new();
        setup.set(key, value);
        let line = setup.refusal(&[]);
        let name = format!("invitations: setting {} (INVITATIONS_{key}): ", key.to_lowercase());
        assert!(line.starts_with(&name) && line.contains(expected), "{key}={value}: {line}");
    }

    let mut setup = Setup::new();
    setup.set("SMTP_HOST", "mail.example");
    let line = setup.refusal(&[]);
    assert!(line.starts_with("invitations: setting smtp_tls (INVITATIONS_SMTP_TLS): "), "{line}");
    assert!(line.contains("only for a mail server on this machine"), "{line}");

    let mut setup = Setup::new();
    setup.set("CODE_KEYS_FILE", &setup.file("short", "k1 AAAA"));
    let line = setup.refusal(&[]);
    assert!(line.contains("short: line 1 must be an id, a blank and at least 32 random bytes"), "{line}");
}

#[test]
fn tls_is_set_as_a_whole_and_its_files_are_read() {
    let refused = |settings: &[(&str, &str)], expected: &str| {
        let mut setup = Setup::new();
        for (key, value) in settings {
            setup.set(key, value);
        }
        let line = setup.refusal(&[]);
        assert!(line.contains(expected), "{line}");
    };
    let needed = "setting tls_certificate_file (INVITATIONS_TLS_CERTIFICATE_FILE): must be set where";
    refused(&[("TLS_KEY_FILE", "/nowhere")], needed);
    refused(&[("TLS_CLIENT_CA_FILE", "/nowhere")], needed);
    let needed = "setting tls_key_file (INVITATIONS_TLS_KEY_FILE): must be set with tls_certificate_file";
    refused(&[("TLS_CERTIFICATE_FILE", "/nowhere")], needed);
    let unreadable = "(INVITATIONS_TLS_CERTIFICATE_FILE): the certificate cannot be read: No such file";
    refused(&[("TLS_CERTIFICATE_FILE", "/nowhere"), ("TLS_KEY_FILE", "/nowhere")], unreadable);

    let mut setup = Setup::new();
    let made = rcgen::generate_simple_self_signed(vec!["hub.example".to_owned()]).unwrap();
    setup.set("TLS_CERTIFICATE_FILE", &setup.file("tls.crt", &made.cert.pem()));
    setup.set("TLS_KEY_FILE", &setup.file("tls.key", &made.signing_key.serialize_pem()));
    assert_eq!(setup.run(&["check-config"]).status.code(), Some(0));
}

#[test]
fn missing_settings_are_named_all_at_once() {
    let mut setup = Setup::new();
    setup.unset("DATABASE_URL");
    setup.unset("MAIL_FROM");
    assert_eq!(
        setup.refusal(&[]),
        "invitations: missing settings: database_url (INVITATIONS_DATABASE_URL), mail_from (INVITATIONS_MAIL_FROM); \
         set them in the environment or in the file that --config names"
    );
    // migrations need less
    setup.variables.clear();
    let stderr = setup.run(&["migrate"]).stderr;
    assert!(stderr.starts_with(b"invitations: missing settings: database_url (INVITATIONS_DATABASE_URL); set them"));
}

#[test]
fn a_flag_wins_over_the_variable_over_the_file_over_the_default() {
    let mut setup = Setup::new();
    let config = setup.file("config.toml", "[mail]\nworkers = 103\n");
    let winner = |setup: &Setup, flags: &[&str]| {
        let line = setup.refusal(flags);
        line.rsplit("but is ").next().map(str::to_owned)
    };
    let only_file = ["--config", &config];
    assert_eq!(winner(&setup, &only_file).as_deref(), Some("\"103\""));
    setup.set("MAIL_WORKERS", "102");
    assert_eq!(winner(&setup, &only_file).as_deref(), Some("\"102\""));
    assert_eq!(winner(&setup, &["--config", &config, "--mail-workers", "101"]).as_deref(), Some("\"101\""));
    // a right value above hides a wrong one below
    assert_eq!(setup.run(&["check-config", "--config", &config, "--mail-workers=25"]).status.code(), Some(0));
    setup.set("MAIL_WORKERS", "25");
    setup.set("CONFIG", &config);
    assert_eq!(setup.run(&["check-config"]).status.code(), Some(0));
}

#[test]
fn a_file_can_hold_all_settings() {
    let mut setup = Setup::new();
    let [keys, address_key] = ["code_keys", "address_key"].map(|name| setup.dir.join(name));
    let content = format!(
        r#"
        public_base_url = "https://hub.example"
        code_keys_file = "{}"
        address_key_file = "{}"
        reserved_names = ["acme", "hub-1"]
        [database]
        url = "postgres://hub:hunter2@db.example/hub"
        connections = 16
        [smtp]
        host = "localhost"
        tls = "none"
        [mail]
        from = "no-reply@hub.example"
        [[issuers]]
        id = "hub"
        kind = "user"
        issuer = "https://id.example"
        audience = "hub"
        discovery = true
        typ = "at+jwt"
        provider = "hub"
        email_domains = ["example.com"]
        "#,
        keys.display(),
        address_key.display()
    );
    let config = setup.file("config.toml", &content);
    setup.variables.clear();
    let output = setup.run(&["check-config", "--config", &config]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_key_of_the_file_that_is_no_setting_is_named() {
    let setup = Setup::new();
    let config = setup.file("config.toml", "[smtp]\nhots = 'mail.example'\n");
    let line = setup.refusal(&["--config", &config]);
    assert_eq!(line, format!("invitations: setting config (INVITATIONS_CONFIG): {config}: no such setting: smtp_hots"));
    let line = setup.refusal(&["--config", "/nowhere"]);
    assert!(line.contains("the file cannot be read: No such file"), "{line}");
}

#[test]
fn a_variable_that_is_no_setting_fails_the_check_and_known_others_do_not() {
    let mut setup = Setup::new();
    setup.set("PG_BIN", "/usr/lib/postgresql/17/bin");
    setup.set("PG_FETCH", "0");
    assert_eq!(setup.run(&["check-config"]).status.code(), Some(0));
    setup.set("SMTP_HOTS", "mail.example");
    setup.set("PORT", "tcp://10.0.0.1:50051");
    let output = setup.run(&["check-config"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "invitations: no such settings: INVITATIONS_PORT, INVITATIONS_SMTP_HOTS\n"
    );
}

#[test]
fn a_setting_that_has_another_name_now_is_refused_with_that_name() {
    for variable in ["METRICS_LISTEN", "METRICS_LISTEN_FILE"] {
        let mut setup = Setup::new();
        setup.set(variable, "[::]:9090");
        let line = setup.refusal(&[]);
        let expected = "setting metrics_listen (INVITATIONS_METRICS_LISTEN): is called admin_listen (INVITATIONS_ADMIN_LISTEN) now";
        assert_eq!(line, format!("invitations: {expected}"));
    }
}

#[test]
fn a_value_can_come_from_a_file() {
    let mut setup = Setup::new();
    setup.set("SMTP_USERNAME", "hub");
    setup.set("SMTP_PASSWORD_FILE", &setup.file("password", "hunter2\n"));
    setup.unset("DATABASE_URL");
    setup.set("DATABASE_URL_FILE", &setup.file("url", "postgres://hub:hunter2@db.example/hub\n"));
    let output = setup.run(&["check-config"]);
    assert!(output.status.success(), "{output:?}");

    setup.set("DATABASE_URL", "postgres://db.example/hub");
    let line = setup.refusal(&[]);
    assert!(line.ends_with("INVITATIONS_DATABASE_URL_FILE is set too: keep one of the two"), "{line}");
    setup.unset("DATABASE_URL");
    setup.set("DATABASE_URL_FILE", "/nowhere");
    let line = setup.refusal(&[]);
    assert!(
        line.contains("(INVITATIONS_DATABASE_URL): cannot read the file that INVITATIONS_DATABASE_URL_FILE names: "),
        "{line}"
    );
}

/// A Secret that was made with `echo`, or on Windows.
#[test]
fn a_password_is_one_line_wherever_it_comes_from() {
    let mut setup = Setup::new();
    setup.set("SMTP_USERNAME", "hub");
    for right in ["hunter2", "hunter2\n", "hunter2\r\n", " hunter2 ", "hünter2"] {
        setup.set("SMTP_PASSWORD", right);
        assert_eq!(setup.run(&["check-config"]).status.code(), Some(0), "{right:?}");
    }
    for wrong in ["", "\n", "hunter2\nhunter3", "hunter2\t", "\u{feff}hunter2"] {
        setup.set("SMTP_PASSWORD", wrong);
        let line = setup.refusal(&[]);
        assert!(line.contains("setting smtp_password (INVITATIONS_SMTP_PASSWORD): must be one line"), "{line}");
        assert!(!line.contains("hunter"), "{line}");
    }
    setup.unset("SMTP_PASSWORD");
    for (content, code) in [("\u{feff}hunter2\r\n", 0), ("hunter2\n\n", 0), ("hunter2\nhunter3\n", 2), ("\n", 2)] {
        setup.set("SMTP_PASSWORD_FILE", &setup.file("password", content));
        assert_eq!(setup.run(&["check-config"]).status.code(), Some(code), "{content:?}");
    }
}

#[test]
fn what_is_wrong_with_the_certificates_of_the_mail_server_is_said() {
    let mut setup = Setup::new();
    setup.set("SMTP_TLS", "starttls");
    setup.set("SMTP_HOST", "mail.example");
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(["mail.example".to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let expired = params.self_signed(&key).unwrap().pem();
    let both = [expired.as_str(), &certificate.pem()].concat();
    for right in [&certificate.pem(), &both] {
        setup.set("SMTP_CA_FILE", &setup.file("ca.pem", right));
        assert_eq!(setup.run(&["check-config"]).status.code(), Some(0));
    }
    for (wrong, expected) in [
        ("", "holds no certificate: it must be PEM"),
        ("\x30\x02", "holds no certificate: it must be PEM"),
        (&key.serialize_pem(), "holds no certificate: it must be PEM"),
        (&expired, "holds no certificate that is valid today"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "holds something that is no certificate"),
    ] {
        setup.set("SMTP_CA_FILE", &setup.file("ca.pem", wrong));
        let line = setup.refusal(&[]);
        assert!(line.contains("setting smtp_ca_file") && line.contains(expected), "{line}");
    }
}

#[test]
fn a_name_for_ehlo_is_a_host_or_an_address() {
    let mut setup = Setup::new();
    for (name, code) in [
        ("mail.example.com", 0),
        ("192.0.2.1", 0),
        ("[192.0.2.1]", 0),
        ("2001:db8::1", 0),
        ("[IPv6:2001:db8::1]", 0),
        ("192.0.2.300", 2),
        ("[mail.example.com]", 2),
        ("mail.example.com:25", 2),
    ] {
        setup.set("SMTP_HELLO_NAME", name);
        assert_eq!(setup.run(&["check-config"]).status.code(), Some(code), "{name}");
    }
}

#[test]
fn a_key_file_that_every_user_can_read_is_refused() {
    let setup = Setup::new();
    for name in ["code_keys", "address_key"] {
        let path = setup.dir.join(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let line = setup.refusal(&[]);
        assert!(line.contains(&format!("setting {name}_file")) && line.ends_with("chmod o= it"), "{line}");
        // what Kubernetes makes of a Secret with fsGroup
        fs::set_permissions(&path, fs::Permissions::from_mode(0o440)).unwrap();
        assert_eq!(setup.run(&["check-config"]).status.code(), Some(0));
    }
}

#[test]
fn secrets_are_never_shown() {
    const SECRET: &str = "hunter2";
    let mut setup = Setup::new();
    let config = setup.file("config.toml", "[database]\nurl = 'hunter2'\n[smtp]\npassword = 'hunter2'\n");
    let shows = |output: Output| {
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8(text).unwrap().contains(SECRET)
    };
    for args in [&["serve", "--help"][..], &["serve", "-h"], &["serve", "--config", &config, "--help"]] {
        assert!(!shows(setup.run(args)), "{args:?}");
    }
    for (key, value) in [
        ("DATABASE_URL", "hunter2"),
        ("DATABASE_URL", "postgres://hub:hunter2@db.example:port/hub"),
        ("DATABASE_URL", "postgres://hub:hunter2@db.example/hub?sslmode=hunter2"),
        ("SMTP_PASSWORD", "hunter2"),
        ("LOG_LEVEL", "trace,="),
    ] {
        setup.set(key, value);
        assert!(!shows(setup.run(&["serve"])), "{key}={value}");
    }
    for key in ["DATABASE_URL", "SMTP_PASSWORD", "LOG_LEVEL"] {
        setup.unset(key);
    }
    assert!(!shows(setup.run(&["serve", "--config", &config])));
    assert!(!shows(setup.run(&["serve", "--database-url", SECRET])));
    assert!(!shows(setup.run(&["migrate", "--database-url", "postgres://hub:hunter2@127.0.0.1:1/hub"])));
}

#[test]
fn the_version_is_said_with_the_commit_that_the_build_was_told() {
    let said = String::from_utf8(Setup::new().run(&["--version"]).stdout).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let expected = match option_env!("INVITATIONS_COMMIT") {
        None | Some("") => format!("invitations {version}\n"),
        Some(commit) => format!("invitations {version} ({commit})\n"),
    };
    assert_eq!(said, expected);
}

#[test]
fn help_documents_every_setting() {
    let setup = Setup::new();
    let help = String::from_utf8(setup.run(&["serve", "--help"]).stdout).unwrap();
    let tables = invitations::config::markdown();
    let rows = tables.lines().filter(|line| line.starts_with("| `")).collect::<Vec<_>>();
    assert!(rows.len() > 30);
    for row in rows {
        let cells = row.split('|').map(|cell| cell.trim().trim_matches('`')).collect::<Vec<_>>();
        let [_, key, variable, ..] = cells[..] else { panic!("{row}") };
        assert!(help.contains(&format!("--{} <", key.replace('_', "-"))), "{key}");
        assert!(help.contains(&format!("[env: {variable}]")), "{variable}");
    }
}

#[test]
fn a_probe_of_nothing_fails_at_once() {
    let output = Setup::new().run(&["probe", "--address", "127.0.0.1:1"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stderr, b"invitations: nothing answers at 127.0.0.1:1\n");
    let output = Setup::new().run(&["probe", "--address", "127.0.0.1:1", "--tls"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stderr.starts_with(b"invitations: nothing answers at 127.0.0.1:1 with TLS: "));
}
