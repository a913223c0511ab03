//! Who works with the service while somebody attacks it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::transport::Endpoint;

use crate::support::{Channel, PATIENCE, Person, channel_to};

/// Somebody who calls one time after the other: on a connection that was there before the attacks, and on new ones.
pub struct Bystander {
    pub stop: Arc<AtomicBool>,
    pub calls: Arc<AtomicUsize>,
    pub errors: JoinHandle<Vec<String>>,
}

impl Bystander {
    pub async fn start(person: &Person, server: SocketAddr) -> Self {
        let person = person.on(&channel_to(server).await);
        let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&calls));
        let errors = tokio::spawn(async move {
            let mut errors = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let newcomer = match Channel::open(Endpoint::from_shared(format!("http://{server}")).unwrap()).await {
                    Ok(channel) => person.on(&channel),
                    Err(error) => {
                        errors.push(format!("no connection: {error:?}"));
                        continue;
                    }
                };
                for caller in [&person, &newcomer] {
                    match timeout(PATIENCE, caller.member("acme", "olga")).await {
                        Ok(Ok(_)) => {}
                        Ok(Err(status)) => errors.push(status.to_string()),
                        Err(_) => errors.push("no answer".to_owned()),
                    }
                }
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            errors
        });
        Self { stop, calls, errors }
    }

    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}
