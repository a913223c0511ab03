//! Many people who sign in at once, with new addresses, take the connections for such transactions; and only those.

use std::time::{Duration, Instant};

use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::support::{Service, reason};

/// Longer than three checks of readiness take.
const WAVE: Duration = Duration::from_secs(8);
const PEOPLE: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wave_of_sign_ins_leaves_writers_and_readiness_alone() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    for n in 0..PEOPLE {
        service.account(&format!("guest-{n}")).await;
    }
    service.account("other").await;
    // what a sign-in has to write waits for this
    let mut held = service.pool().begin().await.unwrap();
    let lock = "SELECT FROM identities WHERE username LIKE 'guest-%' FOR UPDATE";
    sqlx::query(lock).execute(&mut *held).await.unwrap();

    let begin = Instant::now();
    let wave = futures_util::future::join_all((0..PEOPLE).map(async |n| {
        let name = format!("guest-{n}");
        while begin.elapsed() < WAVE {
            let guest = service.signed_in_later(&name, 1, &format!("{name}@new.example"));
            guest.member("acme", &name).await.unwrap_err();
        }
    }));
    let others = async {
        let mut invited = 0;
        while begin.elapsed() < WAVE {
            owner.invite("acme", &format!("person-{invited}@example.com")).await.unwrap();
            invited += 1;
        }
        let check = HealthCheckRequest { service: String::new() };
        let health = HealthClient::new(service.channel.clone()).check(check).await.unwrap().into_inner();
        assert_eq!(health.status(), ServingStatus::Serving);
        invited
    };
    // the control: whoever needs one of those connections, though not what is locked, does not always get one
    let control = async {
        let mut got_none = false;
        for seconds in 1..30 {
            let other = service.signed_in_later("other", seconds, &format!("other-{seconds}@new.example"));
            let outcome = other.member("acme", "other").await;
            got_none |= reason(outcome) == "OVERLOADED";
            if got_none || begin.elapsed() >= WAVE {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        got_none
    };
    let (_, invited, got_none) = tokio::join!(wave, others, control);
    assert!(got_none, "the wave has not taken those connections");
    assert!(invited > 10, "{invited} invitations in {WAVE:?}");
}
