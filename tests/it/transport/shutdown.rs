//! The order in which a server ends.

use super::*;

#[tokio::test]
async fn the_server_says_so_first_goes_on_answering_and_then_closes() {
    let endpoint_delay = Duration::from_millis(300);
    let server = Server::start(ServeSettings { endpoint_delay, ..settings() }).await;
    let mut watch = server.watch("").await;
    let mut status = async || timeout(SOON, watch.next()).await.unwrap().map(|response| response.unwrap().status());
    while status().await != Some(ServingStatus::Serving) {}

    let began = Instant::now();
    server.stop.cancel();
    assert_eq!(status().await, Some(ServingStatus::NotServing));
    let late = Connection::open(&server).await;
    assert_eq!(late.get("anna").await.status.code(), Code::Ok);
    assert!(began.elapsed() < endpoint_delay);

    assert_eq!(status().await, None);
    assert!(began.elapsed() >= endpoint_delay);
    let address = server.address;
    server.has_ended().await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_call_that_is_open_is_answered() {
    let server = Server::start(settings()).await;
    let connection = Connection::open(&server).await;
    let stop = async {
        server.stub.entered.notified().await;
        server.stop.cancel();
        // The listener closes when draining begins.
        while TcpStream::connect(server.address).await.is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
        server.stub.released.notify_one();
    };
    let (answer, ()) = tokio::join!(connection.get("waits"), stop);
    assert_eq!(answer.status.code(), Code::Ok);
    server.has_ended().await;
}

#[tokio::test]
async fn what_does_not_end_is_cut_off() {
    let drain_timeout = Duration::from_millis(300);
    let server = Server::start(ServeSettings { drain_timeout, ..settings() }).await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let connection = Connection::open(&server).await;
    let message = get("waits");
    let mut waiting = Box::pin(connection.try_call(GET, &[], &message));
    tokio::select! {
        answer = &mut waiting => panic!("{answer:?}"),
        () = server.stub.entered.notified() => {}
    }

    let began = Instant::now();
    server.stop.cancel();
    assert!(is_closed(&mut silent).await);
    assert!(began.elapsed() < drain_timeout, "a silent connection held up the shutdown");
    server.has_ended().await;
    assert!(began.elapsed() >= drain_timeout);
    assert!(waiting.await.is_err());
}
