//! How the value of one setting is read. An error completes "setting …: ", and shows no value but a number: what stands in
//! the wrong place may be a secret.

use std::{
    fmt::Display,
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    str::FromStr,
    time::Duration,
};

use secrecy::SecretString;

use crate::{
    domain::{ID_RULE, Username},
    identity::IssuerEntry,
    mail::{BaseUrl, InvalidSetting},
    store::{pool, roles},
    telemetry,
};

// By their plain names clap would take these types for a repeated and an optional flag.
/// Entries that are one value.
pub type Issuers = Vec<IssuerEntry>;
/// Names that are one value.
pub type Names = Vec<String>;
/// A number, or no limit.
pub type Limit = Option<i32>;
/// A time that something is kept for, or for ever.
pub type Age = Option<Duration>;

/// Windows' editors begin a file with it.
pub(super) const BYTE_ORDER_MARK: char = '\u{feff}';
/// The longest number that is shown.
const SHOWN: usize = 20;

/// A number; the range's ends are part of it.
pub(super) fn number<T>(range: RangeInclusive<T>) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync
where
    T: FromStr + PartialOrd + Display + Clone + Send + Sync,
{
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| but_is(&format!("must be a whole number from {} to {}", range.start(), range.end()), text))
    }
}

pub(super) fn seconds(range: RangeInclusive<u64>) -> impl Fn(&str) -> Result<Duration, String> + Clone + Send + Sync {
    let number = number(range);
    move |text| number(text).map(Duration::from_secs)
}

pub(super) fn days(range: RangeInclusive<u64>) -> impl Fn(&str) -> Result<Duration, String> + Clone + Send + Sync {
    let number = number(range);
    move |text| number(text).map(|days| Duration::from_hours(24 * days))
}

/// Days, in which 0 stands for ever.
pub(super) fn age(text: &str) -> Result<Age, String> {
    days(0..=36_500)(text).map(|age| Some(age).filter(|age| !age.is_zero()))
}

/// A number in which 0 stands for none.
pub(super) fn limit(most: i32) -> impl Fn(&str) -> Result<Limit, String> + Clone + Send + Sync {
    let number = number(0..=most);
    move |text| number(text).map(|limit| Some(limit).filter(|limit| *limit > 0))
}

pub(super) fn text(text: &str) -> Result<String, String> {
    // an empty variable mostly is a template that went wrong
    if text.is_empty() || text.contains(char::is_control) {
        return Err(but_is("must not be empty or have control characters", text));
    }
    Ok(text.to_owned())
}

/// A password. The line end that `echo` and editors put behind it, and which a Secret then holds, is not part of it.
pub(super) fn secret(text: &str) -> Result<SecretString, String> {
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() || text.contains(|c: char| c.is_control() || c == BYTE_ORDER_MARK) {
        let rule = "must be one line, neither empty nor with control characters or a byte order mark (it is not shown, \
                    because it is a secret)";
        return Err(rule.to_owned());
    }
    Ok(text.into())
}

pub(super) fn database_url(text: &str) -> Result<SecretString, String> {
    if !pool::is_url(text) {
        let rule = "must be postgres://USER:PASSWORD@HOST:PORT/DATABASE, with special characters as %XX (it is not \
                    shown, because it is a secret)";
        return Err(rule.to_owned());
    }
    Ok(text.into())
}

pub(super) fn role(text: &str) -> Result<String, String> {
    let rule = "must be a role's name of lower-case letters, digits, _ and -, beginning with a letter, at most 63";
    if roles::is_name(text) { Ok(text.to_owned()) } else { Err(but_is(rule, text)) }
}

pub(crate) fn socket_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| but_is("must be an IP address with a port, such as 127.0.0.1:50051 or [::]:50051", text))
}

pub(super) fn public_base_url(text: &str) -> Result<BaseUrl, String> {
    let url = mail::<BaseUrl>(text)?;
    let uri = text.parse::<http::Uri>().unwrap_or_default();
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    // links carry codes
    if uri.scheme_str() != Some("https") && !is_loopback {
        return Err(but_is("must begin with https://, except on localhost, 127.0.0.1 and [::1]", text));
    }
    Ok(url)
}

/// What the mail module knows how to read.
pub(super) fn mail<T: FromStr<Err = InvalidSetting>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: InvalidSetting| but_is(&error.problem, text))
}

/// Of a collector: gRPC has no path, and a user's name with a password would be a secret in the wrong place.
pub(super) fn collector(text: &str) -> Result<String, String> {
    let uri = text.parse::<http::Uri>().unwrap_or_default();
    let host = uri.host().unwrap_or_default();
    let plain = uri.port_u16().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let is_plain = !host.is_empty() && uri.authority().is_some_and(|it| it.as_str() == plain);
    let is_bare = uri.path_and_query().is_none_or(|path| path == "/");
    if !matches!(uri.scheme_str(), Some("http" | "https")) || !is_plain || !is_bare {
        return Err(but_is("must be http:// or https:// with a host and a port, such as http://collector:4317", text));
    }
    Ok(text.to_owned())
}

/// A part of all.
pub(super) fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| but_is("must be a number from 0 to 1", text))
}

pub(super) fn issuers(text: &str) -> Result<Issuers, String> {
    let entries: Issuers =
        serde_json::from_str(text).map_err(|error| format!("must be a list of entries: {}", without_found(&error)))?;
    if entries.is_empty() {
        return Err("must have an entry, or nobody could call".to_owned());
    }
    Ok(entries)
}

/// A list in JSON, as the file and the chart write it, or names with commas between them.
pub(super) fn names(text: &str) -> Result<Names, String> {
    let names = if text.starts_with('[') {
        serde_json::from_str(text).map_err(|_| but_is("must be a list of names", text))?
    } else {
        text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect::<Names>()
    };
    match names.iter().find(|name| Username::parse(name).is_none()) {
        // nobody can take such a name, so it was meant to be another one
        Some(name) => Err(but_is(&format!("each name {ID_RULE}"), name)),
        None => Ok(names),
    }
}

pub(super) fn log_level(text: &str) -> Result<String, String> {
    let rule = "must be error, warn, info, debug or trace, or a filter such as info,invitations=debug";
    telemetry::filter(text).map(|_| text.to_owned()).map_err(|_| but_is(rule, text))
}

fn but_is(rule: &str, text: &str) -> String {
    let is_number = text.len() <= SHOWN && text.bytes().all(|byte| byte.is_ascii_digit() || b"-.".contains(&byte));
    if is_number { format!("{rule}, but is {text:?}") } else { rule.to_owned() }
}

/// What the parser says, without the words that it has found: its own names are in it where it expects something.
fn without_found(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let text = text.trim_end_matches(&place);
    if text.starts_with("missing field") || !text.contains(['`', '"', ':']) {
        return format!("{text}{place}");
    }
    let what = text.split(['`', '"', ':']).next().unwrap_or_default().trim();
    let expected = text.rsplit_once(", expected ").map(|(_, expected)| format!(", expected {expected}"));
    format!("{what}{}{place}", expected.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn the_ends_of_a_range_belong_to_it() {
        let port = number(1..=u16::MAX);
        assert_eq!((port("1"), port("65535")), (Ok(1), Ok(u16::MAX)));
        for wrong in ["0", "65536", "-1", "", " 1", "1.0", "ten"] {
            assert!(port(wrong).is_err_and(|error| error.contains("from 1 to 65535")), "{wrong}");
        }
    }

    #[test]
    fn a_password_is_one_line_without_its_end() {
        for given in ["hunter2", "hunter2\n", "hunter2\r\n", "hunter2\n\n"] {
            assert_eq!(secret(given).unwrap().expose_secret(), "hunter2", "{given:?}");
        }
        for kept in [" hunter2 ", "hünter2", "hunter 2"] {
            assert_eq!(secret(kept).unwrap().expose_secret(), kept);
        }
        for wrong in ["", "\n", "hunter2\nhunter3", "\thunter2", "hunter2\0", "hunter2\u{85}", "\u{feff}hunter2"] {
            let error = secret(wrong).unwrap_err();
            assert!(error.contains("one line") && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_collector_has_a_scheme_and_a_host_alone() {
        for good in ["http://collector:4317", "https://otel.example.com", "http://[::1]:4317/", "http://10.0.0.1:4317"]
        {
            assert_eq!(collector(good).as_deref(), Ok(good));
        }
        for wrong in [
            "",
            "collector:4317",
            "grpc://collector:4317",
            "http://",
            "http://:4317",
            "http://collector:4317/v1/traces",
            "http://collector/?token=hunter2",
            "http://me:hunter2@collector:4317",
            "http://collector:99999",
        ] {
            assert!(
                collector(wrong)
                    .is_err_and(|error| error.contains("http://collector:4317") && !error.contains("hunter2")),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_share_is_a_part_of_all() {
        assert_eq!(["0", "0.25", "1", "1e-3"].map(share), [Ok(0.0), Ok(0.25), Ok(1.0), Ok(0.001)]);
        for wrong in ["-0.1", "1.01", "NaN", "inf", "", "all", "10%"] {
            assert!(share(wrong).is_err_and(|error| error.contains("from 0 to 1")), "{wrong}");
        }
    }

    #[test]
    fn a_limit_of_0_is_none() {
        let limit = limit(10);
        assert_eq!((limit("0"), limit("10")), (Ok(None), Ok(Some(10))));
        assert!(limit("11").is_err());
    }

    #[test]
    fn an_age_of_0_is_for_ever() {
        assert_eq!((age("0"), age("2")), (Ok(None), Ok(Some(Duration::from_hours(48)))));
        assert!(age("36501").is_err() && age("-1").is_err());
    }

    #[test]
    fn names_come_as_a_list_or_with_commas() {
        let expected = Ok(vec!["acme".to_owned(), "hub-1".to_owned()]);
        assert_eq!(names("acme, hub-1,"), expected);
        assert_eq!(names(r#"["acme", "hub-1"]"#), expected);
        assert_eq!(names(""), Ok(vec![]));
        for wrong in ["Acme", "acme hub", "[acme]", "[1]"] {
            assert!(names(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn links_with_codes_are_encrypted_except_on_this_machine() {
        for right in ["https://hub.example", "http://localhost:8080", "http://127.0.0.1/hub", "http://[::1]:1"] {
            assert!(public_base_url(right).is_ok(), "{right}");
        }
        for wrong in
            ["http://hub.example", "http://localhost.example", "http://10.0.0.1", "hub.example", "https://h/?a"]
        {
            assert!(public_base_url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn no_value_is_shown_but_a_number() {
        for wrong in ["hunter2", "4711hunter2", "\nhunter2", &"9".repeat(21)] {
            let error = number(1..=9)(wrong).unwrap_err();
            assert!(error.ends_with("from 1 to 9"), "{error}");
        }
        assert!(number(1..=9)("-4711").unwrap_err().ends_with("but is \"-4711\""));
    }

    #[test]
    fn what_is_found_among_the_issuers_is_not_shown() {
        for wrong in [
            "hunter2",
            "\"hunter2\"",
            "{\"hunter2\": 1}",
            "[\"hunter2\"]",
            "[{\"hunter2\": 1}]",
            "[{\"id\": \"a\", \"kind\": \"hunter2\"}]",
            "[{\"id\": [\"hunter2\"]}]",
            "[{\"id\": \"a\", \"leeway_seconds\": \"hunter2\"}]",
        ] {
            let error = issuers(wrong).unwrap_err();
            assert!(!error.contains("hunter2") && error.contains(" at line 1 column "), "{wrong}: {error}");
        }
        let error = issuers("[{\"aud\": 1}]").unwrap_err();
        assert!(error.contains("unknown field, expected one of `id`, "), "{error}");
    }
}
