//! What settings mean together, and what stands in the files that they name.

use super::{Error, Settings};
use crate::{
    grpc::tls::TlsFiles,
    identity::{IssuerEntry, Verifier},
    mail::{self, InvalidSetting, MailLimits, MailSettings, Mailer, SmtpTls},
};

impl Settings {
    /// Checks what no setting can tell alone.
    pub fn check(&self) -> Result<(), Error> {
        if self.calls.default_deadline_seconds > self.calls.max_deadline_seconds {
            return Err(Error::setting("default_deadline_seconds", "must not be longer than max_deadline_seconds"));
        }
        self.tls_files()?;
        self.mail_settings()?;
        Ok(())
    }

    /// Checks everything but what others have to answer. Refuses the dev issuer, whose key lies on a developer's disk.
    pub fn check_for_production(&self) -> Result<(), Error> {
        self.check()?;
        if let Some(IssuerEntry { id, .. }) = self.tenancy.issuers.iter().find(|entry| entry.is_dev()) {
            return Err(Error::setting(
                "issuers",
                &format!("entry {id:?} is the dev issuer, which only `dev` may trust"),
            ));
        }
        if let Some(files) = self.tls_files()? {
            files.check().map_err(|error| Error::setting("tls_certificate_file", &error))?;
        }
        self.verifier()?;
        self.mailer()?;
        Ok(())
    }

    /// What the server needs for TLS; `None` without it.
    pub fn tls_files(&self) -> Result<Option<TlsFiles>, Error> {
        let calls = self.calls.clone();
        match (calls.tls_certificate_file, calls.tls_key_file, calls.tls_client_ca_file) {
            (Some(certificate), Some(key), client_ca) => Ok(Some(TlsFiles { certificate, key, client_ca })),
            (None, None, None) => Ok(None),
            (Some(_), None, _) => Err(Error::setting("tls_key_file", "must be set with tls_certificate_file")),
            (None, _, _) => Err(Error::setting(
                "tls_certificate_file",
                "must be set where tls_key_file or tls_client_ca_file is: nothing would be encrypted",
            )),
        }
    }

    /// Reads the issuers' key files, and asks no URL.
    pub fn verifier(&self) -> Result<Verifier, Error> {
        Verifier::new(self.tenancy.issuers.clone())
            .map_err(|error| Error::setting("issuers", error.trim_start_matches("issuers: ")))
    }

    /// What writes and sends email.
    pub fn mailer(&self) -> Result<Mailer, InvalidSetting> {
        let limits = MailLimits {
            address_key: self.tenancy.address_key.clone(),
            per_address: self.throttles.emails_per_address_limit,
            per_organization: self.throttles.emails_per_organization_and_address_limit,
            unproven: self.throttles.unverified_notifications_limit,
            notices: self.throttles.notices_per_address_limit,
        };
        Mailer::new(self.mail_settings()?, self.tenancy.code_keys.clone(), limits)
    }

    /// What email needs; an error's field becomes the setting's name by [`Error::from`].
    pub fn mail_settings(&self) -> Result<MailSettings, InvalidSetting> {
        let mail = self.mail.clone();
        let base_url = &self.tenancy.public_base_url;
        let usual_port = match mail.smtp_tls {
            SmtpTls::Implicit => 465,
            SmtpTls::Starttls => 587,
            SmtpTls::None => 25,
        };
        let public_host = || {
            let uri = base_url.as_str().parse::<http::Uri>().unwrap_or_default();
            uri.host().unwrap_or_default().to_owned()
        };
        let settings = MailSettings {
            host: mail.smtp_host,
            port: mail.smtp_port.unwrap_or(usual_port),
            tls: mail.smtp_tls,
            username: mail.smtp_username,
            password: mail.smtp_password,
            from: mail::parse_from(&mail.mail_from)?,
            public_base_url: base_url.clone(),
            hello_name: mail.smtp_hello_name.unwrap_or_else(public_host),
            ca_file: mail.smtp_ca_file,
            poll_interval: mail.mail_poll_interval_seconds,
            workers: mail.mail_workers,
        };
        settings.check()?;
        Ok(settings)
    }
}

impl From<InvalidSetting> for Error {
    fn from(InvalidSetting { field, problem }: InvalidSetting) -> Self {
        match field {
            "from" | "workers" => Self::setting(&format!("mail_{field}"), &problem),
            "poll_interval" => Self::setting("mail_poll_interval_seconds", &problem),
            "public_base_url" => Self::setting(field, &problem),
            _ => Self::setting(&format!("smtp_{field}"), &problem),
        }
    }
}
