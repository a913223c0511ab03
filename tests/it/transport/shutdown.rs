//! The order in which a server ends.

use super::*;

/// A server that is told to stop and says so, and the moment when it was told.
async fn stopped(endpoint_delay: Duration) -> (Server, Streaming<HealthCheckResponse>, Instant) {
    let server = Server::start(ServeSettings { endpoint_delay, ..settings() }).await;
    let mut watch = server.watch("").await;
    while status(&mut watch).await != Some(ServingStatus::Serving) {}
    let began = Instant::now();
    server.stop.cancel();
    assert_eq!(status(&mut watch).await, Some(ServingStatus::NotServing));
    (server, watch, began)
}

async fn status(watch: &mut Streaming<HealthCheckResponse>) -> Option<ServingStatus> {
    timeout(SOON, watch.next()).await.unwrap().map(|response| response.unwrap().status())
}

/// Whether calls at that address reach that stub. When its server has ended, another test may have the port.
async fn is_reached(stub: &Stub, address: SocketAddr) -> bool {
    let before = stub.calls.load(Ordering::Relaxed);
    if let Ok(socket) = TcpStream::connect(address).await
        && let Ok(connection) = Connection::over(socket).await
    {
        let message = get("anna");
        let call = timeout(SOON, connection.try_call(GET, &[], &message)).await;
        drop(call.expect("whoever listens answers or hangs up"));
    }
    stub.calls.load(Ordering::Relaxed) > before
}

#[tokio::test]
async fn the_server_says_so_first_and_goes_on_answering() {
    let (server, ..) = stopped(Duration::from_mins(1)).await;
    let late = Connection::open(&server).await;
    assert_eq!(late.get("anna").await.status.code(), Code::Ok);
}

#[tokio::test]
async fn the_server_closes_when_the_delay_is_over() {
    let endpoint_delay = Duration::from_millis(300);
    let (server, mut watch, began) = stopped(endpoint_delay).await;
    assert_eq!(status(&mut watch).await, None);
    assert!(began.elapsed() >= endpoint_delay);
    let (address, stub) = (server.address, server.stub.clone());
    server.has_ended().await;
    assert!(!is_reached(&stub, address).await);
}

#[tokio::test]
async fn a_call_that_is_open_is_answered() {
    let server = Server::start(settings()).await;
    let connection = Connection::open(&server).await;
    let stop = async {
        server.stub.entered.notified().await;
        server.stop.cancel();
        // The listener closes when draining begins.
        while is_reached(&server.stub, server.address).await {
            sleep(Duration::from_millis(5)).await;
        }
        server.stub.released.notify_one();
    };
    let (answer, ()) = tokio::join!(connection.get("waits"), stop);
    assert_eq!(answer.status.code(), Code::Ok);
    server.has_ended().await;
}

/// A server with a silent connection, and with a call that does not end.
async fn busy(drain_timeout: Duration) -> (Server, TcpStream, JoinHandle<Result<Answer, h2::Error>>) {
    let server = Server::start(ServeSettings { drain_timeout, ..settings() }).await;
    let silent = TcpStream::connect(server.address).await.unwrap();
    let connection = Connection::open(&server).await;
    let waiting = tokio::spawn(async move { connection.try_call(GET, &[], &get("waits")).await });
    timeout(SOON, server.stub.entered.notified()).await.unwrap();
    (server, silent, waiting)
}

#[tokio::test]
async fn a_silent_connection_does_not_hold_up_the_shutdown() {
    let (server, mut silent, waiting) = busy(Duration::from_mins(1)).await;
    server.stop.cancel();
    assert!(is_closed(&mut silent).await);
    assert!(!waiting.is_finished(), "the control: the others still have time");
}

#[tokio::test]
async fn what_does_not_end_is_cut_off() {
    let drain_timeout = Duration::from_millis(300);
    let (server, _silent, waiting) = busy(drain_timeout).await;
    let began = Instant::now();
    server.stop.cancel();
    server.has_ended().await;
    assert!(began.elapsed() >= drain_timeout);
    assert!(waiting.await.unwrap().is_err());
}
