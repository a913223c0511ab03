//! `grpc.health.v1.Health`.

use super::*;

async fn next(watch: &mut Streaming<HealthCheckResponse>) -> Option<ServingStatus> {
    timeout(SOON, watch.next()).await.unwrap().map(|response| response.unwrap().status())
}

async fn check(server: &Server, service: &str) -> Result<ServingStatus, Code> {
    let request = HealthCheckRequest { service: service.to_owned() };
    let answer = HealthClient::new(server.channel().await).check(request).await;
    answer.map(|response| response.into_inner().status()).map_err(|status| status.code())
}

#[tokio::test]
async fn nothing_is_served_before_the_application_is_ready_but_the_process_is_alive() {
    let ready = Arc::new(tokio::sync::Semaphore::new(0));
    let server = Server::start_ready_after(settings(), ready.clone()).await;
    let mut whole = server.watch("").await;
    let mut service = server.watch("ipmhub.invitations.v1.InvitationService").await;
    assert_eq!(next(&mut whole).await, Some(ServingStatus::NotServing));
    assert_eq!(next(&mut service).await, Some(ServingStatus::NotServing));
    for service in ["", "ipmhub.invitations.v1.OrganizationService", "ipmhub.invitations.v1.MailService"] {
        assert_eq!(check(&server, service).await, Ok(ServingStatus::NotServing));
    }
    assert_eq!(check(&server, "liveness").await, Ok(ServingStatus::Serving));

    ready.add_permits(1);
    assert_eq!(next(&mut whole).await, Some(ServingStatus::Serving));
    assert_eq!(next(&mut service).await, Some(ServingStatus::Serving));
    assert_eq!(check(&server, "").await, Ok(ServingStatus::Serving));
}

#[tokio::test]
async fn an_unknown_service_is_not_found_by_check_and_stays_watched() {
    let server = Server::start(settings()).await;
    assert_eq!(check(&server, "no.such.Service").await, Err(Code::NotFound));
    let mut watch = server.watch("no.such.Service").await;
    assert_eq!(next(&mut watch).await, Some(ServingStatus::ServiceUnknown));
    assert!(timeout(Duration::from_millis(200), watch.next()).await.is_err());
}

#[tokio::test]
async fn a_watch_outlives_the_deadline_of_calls() {
    let deadline = Duration::from_millis(100);
    let short = ServeSettings { default_deadline: deadline, max_deadline: deadline, ..settings() };
    let server = Server::start(short).await;
    let mut watch = server.watch("liveness").await;
    assert_eq!(next(&mut watch).await, Some(ServingStatus::Serving));
    assert!(timeout(deadline * 3, watch.next()).await.is_err());
}
