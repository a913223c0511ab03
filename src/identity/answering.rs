//! Which address of an issuer's host is asked: one that answers.
//!
//! hyper gives the other family of addresses its share of the time, but tries those of one family one after another, and
//! waits for each as long as the system does.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::dns::{Name, Resolve, Resolving};

use crate::dial::Addresses;

/// How long an answer is waited for. Without one, hyper tries all of them in turn.
const LIMIT: Duration = Duration::from_secs(2);

/// Resolves names, and puts the address that answers in front.
#[derive(Debug)]
pub(super) struct Answering {
    port: u16,
}

impl Answering {
    pub fn at_port_of(url: &Url) -> Arc<Self> {
        Arc::new(Self { port: url.port_or_known_default().unwrap_or(443) })
    }
}

impl Resolve for Answering {
    fn resolve(&self, name: Name) -> Resolving {
        let port = self.port;
        Box::pin(async move {
            let mut addresses = Addresses::of(name.as_str(), port).await?.by_answer(LIMIT).await;
            // the one of the URL, which may be another issuer's
            for address in &mut addresses {
                address.set_port(0);
            }
            Ok(Box::new(addresses.into_iter()) as _)
        })
    }
}
