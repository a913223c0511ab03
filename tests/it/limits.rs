//! What a caller, a person and an organization may do only so often: over two replicas, each limit with its control.

mod callers;
mod changes;
mod guesses;
mod identities;
mod mail;
mod organizations;
mod resends;

use futures_util::future::join_all;
use invitations::dev::mailbox::Script;
use invitations::pb;
use tonic::Status;

use crate::support::{Channel, Person, Service, reason, retry_after};

/// The service as two replicas that hold the same limits, and a third one without them: the control.
struct Limited {
    service: Service,
    second: Channel,
    unlimited: Channel,
}

impl Limited {
    async fn start(settings: &[(&'static str, &'static str)]) -> Self {
        // three replicas side by side: few connections for each
        let with_few = |settings: &[(&'static str, &'static str)]| {
            [settings, &[("database_connections", "4"), ("mail_workers", "1")]].concat()
        };
        let service = Service::start_with(&with_few(settings), Script::accept_all()).await;
        let second = service.replica(&with_few(settings)).await;
        let off = settings.iter().map(|(key, _)| (*key, "0")).collect::<Vec<_>>();
        let unlimited = service.replica(&with_few(&off)).await;
        let limited = Self { service, second, unlimited };
        limited.warm_up().await;
        limited
    }

    /// Makes the pools connect: on a busy machine that takes longer than a call waits for a connection.
    async fn warm_up(&self) {
        let nobody = self.service.stranger("nobody", "nobody@example.com");
        for channel in [&self.service.channel, &self.second, &self.unlimited] {
            let nobody = nobody.on(channel);
            let message = || pb::GetAccountRequest { name: "accounts/nobody".to_owned() };
            let call = async |_| nobody.accounts.clone().get_account(message()).await.unwrap_err().code();
            while join_all((0..32).map(call)).await.contains(&tonic::Code::Unavailable) {}
        }
    }

    /// The same caller on one replica and the other in turn.
    fn in_turn(&self, person: &Person, count: usize) -> impl Iterator<Item = Person> {
        let both = [person.on(&self.service.channel), person.on(&self.second)];
        (0..count).map(move |n| both[n % 2].clone())
    }
}

/// Fails unless that is the reason and the caller is told to wait, at most a day and one of its slots.
#[track_caller]
fn assert_limited<T: std::fmt::Debug>(outcome: Result<T, Status>, expected: &str) {
    let wait = retry_after(&outcome).expect("the caller is told how long to wait").as_secs();
    assert!((1..=25 * 60 * 60).contains(&wait), "{wait} s");
    assert_eq!(outcome.as_ref().unwrap_err().code(), tonic::Code::ResourceExhausted);
    assert_eq!(reason(outcome), expected);
}

fn request_id() -> String {
    uuid::Uuid::new_v4().to_string()
}
