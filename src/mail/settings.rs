//! What the configuration says about email, checked once at the start.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use lettre::message::Mailbox;
use secrecy::SecretString;

use super::hello::hello_name;

/// How to reach the mail server, and what emails say about us.
#[derive(Clone, Debug)]
pub struct MailSettings {
    /// Name or address of the mail server; its certificate has to be for it.
    pub host: String,
    pub port: u16,
    pub tls: SmtpTls,
    /// With a password: sign in by AUTH PLAIN or LOGIN.
    pub username: Option<String>,
    pub password: Option<SecretString>,
    /// Sender of the envelope and of the message; bounces go there.
    pub from: Mailbox,
    pub public_base_url: BaseUrl,
    /// What we call ourselves in EHLO: a host name or an address.
    pub hello_name: String,
    /// Certificates to trust beside the system's: a PEM file.
    pub ca_file: Option<PathBuf>,
    /// How long a new email may wait unseen where nobody wakes the workers.
    pub poll_interval: Duration,
    /// Emails sent at once, each over a connection of its own; 1 to 64.
    pub workers: usize,
}

impl MailSettings {
    /// What a single value cannot tell by its type; the first fault is returned.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        if self.host.is_empty() || self.host.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(InvalidSetting::new("host", "must be the name or the address of the mail server"));
        }
        if self.tls == SmtpTls::None && !is_loopback(&self.host) {
            let problem = "none is only for a mail server on this machine (localhost, 127.0.0.1, ::1), because emails carry \
                           codes: choose implicit or starttls";
            return Err(InvalidSetting::new("tls", problem));
        }
        if self.username.is_some() != self.password.is_some() {
            return Err(InvalidSetting::new("password", "must be set with the username, and only with it"));
        }
        self.hello()?;
        if self.poll_interval.is_zero() {
            return Err(InvalidSetting::new("poll_interval", "must be longer than 0"));
        }
        if !(1..=64).contains(&self.workers) {
            return Err(InvalidSetting::new("workers", "must be 1 to 64"));
        }
        Ok(())
    }

    /// The word behind EHLO.
    pub fn hello(&self) -> Result<String, InvalidSetting> {
        let problem = "must be a host name, such as mail.example.com, or an IP address";
        hello_name(&self.hello_name).ok_or_else(|| InvalidSetting::new("hello_name", problem))
    }
}

/// Reads the `from` setting: `IPMHub <no-reply@example.com>` or the address alone.
pub fn parse_from(text: &str) -> Result<Mailbox, InvalidSetting> {
    let problem = "must be one email address, with or without a name: IPMHub <no-reply@example.com>";
    let mailbox = text.parse::<Mailbox>().map_err(|_| InvalidSetting::new("from", problem))?;
    // lettre panics on a line break in a name
    let is_clean = mailbox.name.as_deref().is_none_or(|name| !name.contains(char::is_control));
    let is_ascii = mailbox.email.to_string().is_ascii();
    if is_clean && is_ascii { Ok(mailbox) } else { Err(InvalidSetting::new("from", problem)) }
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// How the connection to the mail server is encrypted. The certificate is always checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SmtpTls {
    /// From the first byte (RFC 8314), mostly on port 465.
    Implicit,
    /// By the STARTTLS command, mostly on port 587; without it nothing is sent.
    Starttls,
    /// Not at all; only to this machine.
    None,
}

impl FromStr for SmtpTls {
    type Err = InvalidSetting;

    fn from_str(text: &str) -> Result<Self, InvalidSetting> {
        match text {
            "implicit" => Ok(Self::Implicit),
            "starttls" => Ok(Self::Starttls),
            "none" => Ok(Self::None),
            _ => Err(InvalidSetting::new("tls", "must be implicit, starttls or none")),
        }
    }
}

/// What every link in an email begins with: no slash at its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BaseUrl(String);

impl BaseUrl {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BaseUrl {
    type Err = InvalidSetting;

    /// Takes `https://host[:port][/path]`, also with `http`. Nothing in it needs escaping in HTML.
    fn from_str(text: &str) -> Result<Self, InvalidSetting> {
        let problem = "must be the address of IPMHub's pages, such as https://hub.example.com, without ? and #";
        let invalid = || InvalidSetting::new("public_base_url", problem);
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~:/[]%".contains(c);
        let uri = text.parse::<http::Uri>().map_err(|_| invalid())?;
        let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
        let has_host = uri.host().is_some_and(|host| !host.is_empty());
        if !is_web || !has_host || !text.chars().all(is_plain) {
            return Err(invalid());
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A setting that email cannot work with: the name of the field of [`MailSettings`] and what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("{field} {problem}")]
pub struct InvalidSetting {
    pub field: &'static str,
    pub problem: String,
}

impl InvalidSetting {
    pub fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> MailSettings {
        MailSettings {
            host: "127.0.0.1".to_owned(),
            port: 25,
            tls: SmtpTls::None,
            username: None,
            password: None,
            from: parse_from("IPMHub <no-reply@hub.example>").unwrap(),
            public_base_url: "https://hub.example".parse().unwrap(),
            hello_name: "hub.example".to_owned(),
            ca_file: None,
            poll_interval: Duration::from_secs(1),
            workers: 4,
        }
    }

    fn fault(change: impl FnOnce(&mut MailSettings)) -> Option<&'static str> {
        let mut settings = settings();
        change(&mut settings);
        settings.check().err().map(|invalid| invalid.field)
    }

    #[test]
    fn plain_smtp_is_only_for_this_machine() {
        for host in ["localhost", "127.0.0.1", "127.9.9.9", "::1"] {
            assert_eq!(fault(|s| s.host = host.to_owned()), None, "{host}");
        }
        for host in ["mail.example.com", "10.0.0.1", "0.0.0.0", "localhost.example.com", "127.0.0.1.example.com"] {
            assert_eq!(fault(|s| s.host = host.to_owned()), Some("tls"), "{host}");
            assert_eq!(fault(|s| (s.host, s.tls) = (host.to_owned(), SmtpTls::Starttls)), None, "{host}");
        }
    }

    #[test]
    fn each_wrong_setting_is_named() {
        assert_eq!(fault(|_| {}), None);
        assert_eq!(fault(|s| s.host = String::new()), Some("host"));
        assert_eq!(fault(|s| s.username = Some("hub".to_owned())), Some("password"));
        assert_eq!(fault(|s| s.password = Some("secret".into())), Some("password"));
        assert_eq!(fault(|s| s.hello_name = "hub\r\nRSET".to_owned()), Some("hello_name"));
        assert_eq!(fault(|s| s.poll_interval = Duration::ZERO), Some("poll_interval"));
        assert_eq!(fault(|s| s.workers = 0), Some("workers"));
    }

    #[test]
    fn the_sender_is_one_address() {
        assert!(parse_from("no-reply@hub.example").is_ok());
        for bad in ["", "IPMHub", "a@b.example, c@d.example", "\"a\r\nBcc: x@y.example\" <a@b.example>"] {
            assert!(parse_from(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_base_url_needs_no_escaping() {
        let base = |text: &str| text.parse::<BaseUrl>().ok().map(|base| base.to_string());
        assert_eq!(base("https://hub.example/"), Some("https://hub.example".to_owned()));
        assert_eq!(base("http://127.0.0.1:8080/hub"), Some("http://127.0.0.1:8080/hub".to_owned()));
        for bad in ["", "hub.example", "/hub", "ftp://hub.example", "https://", "https://a@hub.example"] {
            assert_eq!(base(bad), None, "{bad}");
        }
        for bad in ["https://h.example/?a=b", "https://h.example/#a", "https://h.example/\"><script>", "javascript:x"] {
            assert_eq!(base(bad), None, "{bad}");
        }
    }

    #[test]
    fn debug_shows_no_password() {
        let mut settings = settings();
        settings.password = Some("hunter2".into());
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
