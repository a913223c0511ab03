//! Who gets a connection, and for how long.

use super::*;

const FIRST_BYTE_TIMEOUT: Duration = Duration::from_millis(200);

async fn impatient() -> Server {
    Server::start(ServeSettings { first_byte_timeout: FIRST_BYTE_TIMEOUT, ..settings() }).await
}

#[tokio::test]
async fn a_silent_connection_is_closed() {
    let server = impatient().await;
    let began = Instant::now();
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    assert!(is_closed(&mut socket).await);
    assert!(began.elapsed() >= FIRST_BYTE_TIMEOUT);
}

#[tokio::test]
async fn half_a_preface_is_not_enough() {
    let server = impatient().await;
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    socket.write_all(&PREFACE[..12]).await.unwrap();
    assert!(is_closed(&mut socket).await);
}

#[tokio::test]
async fn a_preface_in_pieces_gets_no_more_time_for_each() {
    let server = impatient().await;
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    let (mut reader, mut writer) = socket.split();
    let drip = async {
        for byte in PREFACE.chunks(1) {
            sleep(FIRST_BYTE_TIMEOUT / 4).await;
            if writer.write_all(byte).await.is_err() {
                return;
            }
        }
        panic!("the whole preface was taken");
    };
    let closed = async { timeout(SOON, reader.read(&mut [0; 1])).await.unwrap().unwrap_or(0) };
    tokio::select! {
        () = drip => {}
        read = closed => assert_eq!(read, 0),
    }
}

#[tokio::test]
async fn a_connection_with_the_whole_preface_stays_open() {
    let server = impatient().await;
    let staying = async {
        loop {
            // a machine that stands still sends the preface too late
            if let Ok(connection) = Connection::try_open(server.address).await {
                sleep(FIRST_BYTE_TIMEOUT * 3).await;
                if let Ok(answer) = connection.try_call(GET, &[], &get("anna")).await {
                    return answer;
                }
            }
        }
    };
    let answer = timeout(SOON, staying).await.expect("one connection stays open");
    assert_eq!(answer.status.code(), Code::Ok);
}

#[tokio::test]
async fn what_is_not_http2_is_closed_at_once() {
    let server = Server::start(settings()).await;
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert!(is_closed(&mut socket).await);
}

#[tokio::test]
async fn one_connection_too_many_is_closed_at_once_where_the_others_have_calls_and_a_closed_one_makes_room() {
    let server = Server::start(ServeSettings { max_connections: 1, ..settings() }).await;
    let first = Connection::open(&server).await;
    let message = get("waits");
    let other = async {
        server.stub.entered.notified().await;
        let mut second = TcpStream::connect(server.address).await.unwrap();
        assert!(is_closed(&mut second).await);
        server.stub.released.notify_one();
    };
    let (answer, ()) = tokio::join!(first.call(GET, &[], &message), other);
    assert_eq!(answer.status.code(), Code::Ok);

    first.ended.abort();
    let third = async {
        loop {
            if let Ok(third) = Connection::try_open(server.address).await
                && let Ok(answer) = third.try_call(GET, &[], &get("anna")).await
            {
                return answer;
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    assert_eq!(timeout(SOON, third).await.unwrap().status.code(), Code::Ok);
}

#[tokio::test]
async fn for_one_connection_too_many_the_one_goes_that_has_no_call_for_longest() {
    let server = Server::start(ServeSettings { max_connections: 3, ..settings() }).await;
    let [busy, resting, longest] = [(); 3].map(|()| Connection::open(&server));
    let (busy, resting, longest) = (busy.await, resting.await, longest.await);
    let message = get("waits");
    let others = async {
        server.stub.entered.notified().await;
        assert_eq!(longest.get("anna").await.status.code(), Code::Ok);
        assert_eq!(resting.get("anna").await.status.code(), Code::Ok);
        let newest = Connection::open(&server).await;
        assert_eq!(newest.get("anna").await.status.code(), Code::Ok);
        timeout(SOON, longest.ended).await.unwrap().unwrap().unwrap();
        assert_eq!(resting.get("anna").await.status.code(), Code::Ok);
        server.stub.released.notify_one();
    };
    let (answer, ()) = tokio::join!(busy.call(GET, &[], &message), others);
    assert_eq!(answer.status.code(), Code::Ok);
}

#[tokio::test]
async fn one_that_says_nothing_gives_way_too() {
    let server = Server::start(ServeSettings { max_connections: 1, ..settings() }).await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    silent.write_all(&PREFACE[..12]).await.unwrap();
    let next = Connection::open(&server).await;
    assert_eq!(next.get("anna").await.status.code(), Code::Ok);
    assert!(is_closed(&mut silent).await);

    // one that answers nothing, a goodbye neither
    let mut deaf = TcpStream::connect(server.address).await.unwrap();
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    deaf.write_all(&[PREFACE, &settings].concat()).await.unwrap();
    assert_eq!(deaf.read(&mut [0; 1]).await.unwrap(), 1);
    let last = Connection::open(&server).await;
    assert_eq!(last.get("anna").await.status.code(), Code::Ok);
}

#[tokio::test]
async fn an_old_connection_is_told_to_go_and_its_open_call_ends_in_peace() {
    let max_connection_age = Duration::from_millis(200);
    let server = Server::start(ServeSettings { max_connection_age, ..settings() }).await;
    let began = Instant::now();
    let idle = Connection::open(&server).await;
    let calling = async {
        loop {
            let busy = Connection::open(&server).await;
            match busy.try_call(GET, &[], &get("waits")).await {
                // a machine that stood still began the call when the connection had been told to go
                Err(_) if server.stub.calls.load(Ordering::Relaxed) == 0 => {}
                answer => return (busy, answer.unwrap()),
            }
        }
    };
    let release = async {
        server.stub.entered.notified().await;
        timeout(SOON, idle.ended).await.unwrap().unwrap().unwrap();
        assert!(began.elapsed() >= max_connection_age * 9 / 10);
        // The busy one has been told as well by now.
        sleep(max_connection_age * 2).await;
        server.stub.released.notify_one();
    };
    let both = async { tokio::join!(calling, release).0 };
    let (busy, answer) = timeout(2 * SOON, both).await.expect("the call gets through");
    assert_eq!(answer.status.code(), Code::Ok);
    timeout(SOON, busy.ended).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_connection_may_have_so_many_calls_open_and_no_more() {
    let server = Server::start(ServeSettings { max_concurrent_streams: 2, ..settings() }).await;
    let connection = Connection::open(&server).await;
    assert_eq!(connection.get("anna").await.status.code(), Code::Ok);
    assert_eq!(connection.requests.current_max_send_streams(), 2);
}

#[tokio::test]
async fn metadata_beyond_the_limit_is_refused_and_the_connection_lives() {
    let server = Server::start(settings()).await;
    let connection = Connection::open(&server).await;
    let large = "a".repeat(20 * 1024);
    let refused = timeout(SOON, connection.send(GET, &[("x-large", &large)], &get("anna"))).await.unwrap();
    assert_eq!(refused.unwrap().status(), http::StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    assert_eq!(connection.get("anna").await.status.code(), Code::Ok);
}

#[tokio::test]
async fn a_flood_of_resets_ends_its_connection_and_no_other() {
    let server = Server::start(settings()).await;
    let other = Connection::open(&server).await;
    let flood = Connection::open(&server).await;
    let flooding = async {
        while let Ok(mut requests) = flood.requests.clone().ready().await {
            let request = http::Request::post(format!("http://service{GET}")).body(()).unwrap();
            let Ok((_, mut body)) = requests.send_request(request, false) else { return };
            body.send_reset(h2::Reason::CANCEL);
            // Else nothing would be sent, only collected.
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, flooding).await.unwrap();
    assert!(timeout(SOON, flood.ended).await.unwrap().unwrap().is_err());
    assert_eq!(other.get("anna").await.status.code(), Code::Ok);
}

#[tokio::test]
async fn a_flood_of_continuations_ends_its_connection() {
    const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    const HEADERS_WITHOUT_END: &[u8] = &[0, 0, 0, 1, 0, 0, 0, 0, 1];
    const EMPTY_CONTINUATION: &[u8] = &[0, 0, 0, 9, 0, 0, 0, 0, 1];
    let server = Server::start(settings()).await;
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    socket.write_all(&[PREFACE, SETTINGS, HEADERS_WITHOUT_END].concat()).await.unwrap();
    let flood = EMPTY_CONTINUATION.repeat(1000);
    let flooding = async { while socket.write_all(&flood).await.is_ok() {} };
    timeout(SOON, flooding).await.unwrap();
}
