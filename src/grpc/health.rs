//! `grpc.health.v1.Health`: whether calls can be carried out.
//!
//! tonic-health says SERVING from its first instant and ends Watch of an unknown service, where the protocol keeps it
//! open: <https://github.com/grpc/grpc/blob/master/doc/health-checking.md>.

use std::convert::Infallible;
use std::future::ready;
use std::pin::{Pin, pin};
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use hyper::body::Incoming;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::{Request, Response, Status, async_trait};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{self, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tower::Service;

use super::sizes::Size;
use crate::pb::{account_service_server, invitation_service_server, mail_service_server, organization_service_server};

/// What follows the readiness of the application: the server as a whole, and each service.
const READINESS: [&str; 5] = [
    "",
    account_service_server::SERVICE_NAME,
    invitation_service_server::SERVICE_NAME,
    mail_service_server::SERVICE_NAME,
    organization_service_server::SERVICE_NAME,
];

/// Serving as long as the process answers at all: no restart helps against an outage of Postgres.
const LIVENESS: &str = "liveness";

/// How often to ask whether calls can be carried out.
const EVERY: Duration = Duration::from_millis(1500);

/// So many failed checks in a row are an outage, not a hiccup.
const FAILURES: u32 = 3;

/// The health of the server. Clones share it.
#[derive(Clone, Debug)]
pub struct Health {
    ready: watch::Sender<bool>,
    draining: CancellationToken,
}

impl Health {
    /// NOT_SERVING. From `draining` on, Watch streams end, as they would hold up the end of the server.
    pub fn new(draining: CancellationToken) -> Self {
        Self { ready: watch::Sender::new(false), draining }
    }

    /// Follows `ready` until `stop`; NOT_SERVING from then on.
    pub async fn follow_until<R>(self, stop: CancellationToken, ready: impl Fn() -> R + Send)
    where
        R: Future<Output = bool> + Send,
    {
        stop.run_until_cancelled(self.follow(EVERY, ready)).await;
        self.set(false);
    }

    /// Ends what is watched, with the server.
    pub(super) fn draining(&self) -> CancellationToken {
        self.draining.clone()
    }

    /// The service alone, for a port without the limits of calls.
    pub fn answers(&self) -> HealthAnswers {
        let service = HealthServer::new(self.clone()).max_decoding_message_size(Size::Short.most());
        HealthAnswers(Routes::new(service).prepare())
    }

    /// Makes the services SERVING or NOT_SERVING.
    pub fn set(&self, ready: bool) {
        let changed = self.ready.send_if_modified(|was| std::mem::replace(was, ready) != ready);
        if changed {
            tracing::info!(ready, "health has changed");
        }
    }

    /// Asks `ready` again and again: SERVING after one yes, NOT_SERVING after three times no in a row. No answer in time
    /// counts as no, and is waited for all the same: over a slow network connecting takes longer.
    async fn follow<R>(&self, every: Duration, ready: impl Fn() -> R) -> Infallible
    where
        R: Future<Output = bool>,
    {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failures = 0;
        let mut asked = pin!(ready());
        loop {
            ticks.tick().await;
            let answer = timeout(every, &mut asked).await;
            if answer.is_ok() {
                asked.set(ready());
            }
            if answer.unwrap_or(false) {
                failures = 0;
                self.set(true);
            } else {
                failures += 1;
                if failures >= FAILURES {
                    self.set(false);
                }
            }
        }
    }

    /// The status of a service now and after each change; the stream has no end.
    fn statuses(&self, service: &str) -> Pin<Box<dyn Stream<Item = ServingStatus> + Send>> {
        if READINESS.contains(&service) {
            let mut changes = self.ready.subscribe();
            changes.mark_changed();
            return stream::unfold(changes, |mut changes| async move {
                changes.changed().await.ok()?;
                let ready = *changes.borrow_and_update();
                Some((status(ready), changes))
            })
            .boxed();
        }
        let constant = if service == LIVENESS { ServingStatus::Serving } else { ServingStatus::ServiceUnknown };
        stream::once(ready(constant)).chain(stream::pending()).boxed()
    }
}

#[async_trait]
impl health_server::Health for Health {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        match self.statuses(&request.get_ref().service).next().await {
            Some(ServingStatus::ServiceUnknown) | None => Err(Status::not_found("the server has no such service")),
            Some(status) => Ok(Response::new(response(status))),
        }
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let statuses = self.statuses(&request.get_ref().service).map(response).map(Ok);
        Ok(Response::new(statuses.take_until(self.draining.clone().cancelled_owned()).boxed()))
    }
}

/// What the health service says.
#[derive(Clone, Debug)]
pub struct HealthAnswers(Routes);

impl HealthAnswers {
    pub fn is_asked<B>(request: &http::Request<B>) -> bool {
        request.uri().path().starts_with("/grpc.health.v1.Health/")
    }

    pub async fn answer(mut self, request: http::Request<Incoming>) -> http::Response<Body> {
        let Ok(answer) = self.0.call(request.map(Body::new)).await;
        answer
    }
}

fn status(ready: bool) -> ServingStatus {
    if ready { ServingStatus::Serving } else { ServingStatus::NotServing }
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Health after each answer of `ready`, in their order; `false` before the first.
    async fn followed(answers: &[bool]) -> Vec<bool> {
        let health = Health::new(CancellationToken::new());
        let seen = Mutex::new(Vec::new());
        let all = CancellationToken::new();
        let ready = async || {
            let mut seen = seen.lock().unwrap();
            seen.push(*health.ready.borrow());
            let answer = answers.get(seen.len() - 1).copied();
            if answer.is_none() {
                all.cancel();
            }
            answer.unwrap_or_default()
        };
        tokio::select! {
            never = health.follow(Duration::from_millis(1), ready) => match never {},
            () = all.cancelled() => {}
        }
        let mut seen = seen.into_inner().unwrap();
        // a tick may still come before the end is noticed
        seen.truncate(answers.len() + 1);
        seen
    }

    #[tokio::test]
    async fn one_good_check_serves_and_three_bad_ones_in_a_row_do_not() {
        let answers = [false, true, false, false, true, false, false, false, false, true];
        let health = [false, false, true, true, true, true, true, true, false, false, true];
        assert_eq!(followed(&answers).await, health);
    }

    #[tokio::test]
    async fn a_check_that_takes_longer_is_waited_for() {
        let health = Health::new(CancellationToken::new());
        let mut changes = health.ready.subscribe();
        let slow = async || {
            tokio::time::sleep(Duration::from_millis(50)).await;
            true
        };
        tokio::select! {
            never = health.follow(Duration::from_millis(10), slow) => match never {},
            seen = changes.changed() => seen.unwrap(),
        }
        assert!(*changes.borrow());
    }

    #[tokio::test]
    async fn a_check_that_does_not_answer_counts_as_a_bad_one() {
        let health = Health::new(CancellationToken::new());
        health.set(true);
        let mut changes = health.ready.subscribe();
        tokio::select! {
            never = health.follow(Duration::from_millis(1), async || std::future::pending().await) => match never {},
            seen = changes.changed() => seen.unwrap(),
        }
        assert!(!*changes.borrow());
    }
}
