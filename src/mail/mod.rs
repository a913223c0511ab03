//! Email: takes what is due from the outbox, writes it, and hands it to the mail server. The only user of lettre.
//!
//! At least once: an email is settled after the mail server has answered, so a crash in between sends it again, with the
//! same `Message-ID` and the same code.

mod backoff;
mod batch;
mod cold;
mod hello;
mod judge;
mod message;
mod notices;
mod round;
mod settings;
mod smtp;
mod templates;
mod tls;
mod wanted;
mod worker;

use std::time::Duration;

pub use batch::Round;
pub use cold::MailLimits;
pub use round::Worker;
pub use settings::{BaseUrl, InvalidSetting, MailSettings, SmtpTls, parse_from};
pub use smtp::Timeouts;
pub use worker::run;

use crate::domain::{CodeKeys, Service};

/// All that is needed to write and send emails; shared by the workers.
#[derive(Debug)]
pub struct Mailer {
    writer: message::Writer,
    server: smtp::Server,
    limits: MailLimits,
    poll_interval: Duration,
    workers: usize,
}

impl Mailer {
    /// Checks the settings and reads the certificates.
    pub fn new(settings: MailSettings, code_keys: CodeKeys, limits: MailLimits) -> Result<Self, InvalidSetting> {
        settings.check()?;
        let server = smtp::Server::new(&settings)?;
        let broken = |error| InvalidSetting::new("templates", format!("cannot be read: {error}"));
        let templates = templates::Templates::new().map_err(broken)?;
        let writer = message::Writer {
            templates,
            from: settings.from,
            base: settings.public_base_url,
            code_keys,
            services: Vec::new(),
        };
        Ok(Self { writer, server, limits, poll_interval: settings.poll_interval, workers: settings.workers })
    }

    /// The configured services: what one of them offered counts while its entry still grants the role.
    #[must_use]
    pub fn with_services(mut self, services: Vec<Service>) -> Self {
        self.writer.services = services;
        self
    }

    /// Other times than [`Timeouts::default`]: for tests with a mail server that stalls.
    #[must_use]
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.server.timeouts = timeouts;
        self
    }
}
