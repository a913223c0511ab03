//! What surrounds every handler: deadlines, limits, panics, unreadable requests.

use super::*;

const SHORT: Duration = Duration::from_millis(150);

#[tokio::test]
async fn a_call_without_a_deadline_gets_the_default_one() {
    let server = Server::start(ServeSettings { default_deadline: SHORT, ..settings() }).await;
    let connection = Connection::open(&server).await;
    let began = Instant::now();
    let answer = connection.get("waits").await;
    assert!(began.elapsed() >= SHORT);
    assert_eq!(answer.status.code(), Code::DeadlineExceeded);
    assert_eq!(answer.reason(), ErrorReason::DeadlinePassed.as_str_name());
}

#[tokio::test]
async fn the_callers_deadline_is_kept() {
    let server = Server::start(settings()).await;
    let connection = Connection::open(&server).await;
    let answer = connection.call(GET, &[("grpc-timeout", "150m")], &get("waits")).await;
    assert_eq!(answer.status.code(), Code::DeadlineExceeded);
    assert_eq!(answer.reason(), ErrorReason::DeadlinePassed.as_str_name());
}

#[tokio::test]
async fn the_callers_deadline_is_bounded() {
    let server = Server::start(ServeSettings { max_deadline: SHORT, ..settings() }).await;
    let connection = Connection::open(&server).await;
    let answer = connection.call(GET, &[("grpc-timeout", "1H")], &get("waits")).await;
    assert_eq!(answer.status.code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn a_call_within_its_deadline_is_answered() {
    let server = Server::start(settings()).await;
    let connection = Connection::open(&server).await;
    let release = async {
        sleep(SHORT * 2).await;
        server.stub.released.notify_one();
    };
    let headers = [("grpc-timeout", "10S")];
    let message = get("waits");
    let (answer, ()) = tokio::join!(connection.call(GET, &headers, &message), release);
    assert_eq!(answer.status.code(), Code::Ok);
}

#[tokio::test]
async fn an_unreadable_deadline_is_refused() {
    let server = Server::start(settings()).await;
    let connection = Connection::open(&server).await;
    let answer = connection.call(GET, &[("grpc-timeout", "soon")], &get("anna")).await;
    assert_eq!(answer.status.code(), Code::InvalidArgument);
    assert_eq!(answer.reason(), ErrorReason::FieldInvalid.as_str_name());
    assert_eq!(answer.bad_fields(), ["grpc-timeout"]);
}

#[tokio::test]
async fn an_unknown_service_or_method_is_named() {
    let server = Server::start(settings()).await;
    let connection = Connection::open(&server).await;
    for method in ["/ipmhub.invitations.v1.AccountService/StealAccount", "/no.such.Service/Get", "/"] {
        let answer = connection.call(method, &[], &[]).await;
        assert_eq!(answer.status.code(), Code::Unimplemented);
        assert_eq!(answer.reason(), ErrorReason::MethodUnknown.as_str_name());
        assert_eq!(answer.metadata("method").as_deref(), Some(method));
    }
}

#[tokio::test]
async fn what_is_not_a_request_is_the_callers_fault() {
    let server = Server::start(settings()).await;
    let connection = Connection::open(&server).await;
    let too_large = get(&"a".repeat(65 * 1024));
    for message in [&b"\xff\xff\xff"[..], &[10, 1, 0xff], &too_large] {
        let answer = connection.call(GET, &[], message).await;
        assert_eq!(answer.status.code(), Code::InvalidArgument, "{answer:?}");
        assert_eq!(answer.reason(), ErrorReason::FieldInvalid.as_str_name());
    }
    let control = connection.get(&"a".repeat(60 * 1024)).await;
    assert_eq!(control.status.code(), Code::Ok);
}

#[tokio::test]
async fn what_is_not_grpc_is_refused_in_http_too_and_carries_nothing_out() {
    let server = Server::start(settings()).await;
    let connection = Connection::open(&server).await;
    let gets = [("GET", Some("application/grpc")), ("HEAD", Some("application/grpc"))];
    let posts = [
        None,
        Some("application/json"),
        Some("application/grpc-web"),
        Some("application/grpc-web+proto"),
        Some("application/grpcfoo"),
        Some("application/grpc+json"),
    ];
    let controls = [Some("application/grpc"), Some("application/grpc+proto"), Some("application/grpc; charset=utf-8")];
    let posts = posts.into_iter().chain(controls).map(|content_type| ("POST", content_type));
    for (method, content_type) in gets.into_iter().chain(posts) {
        let mut request = http::Request::builder().method(method).uri(format!("http://service{GET}"));
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let mut requests = connection.requests.clone().ready().await.unwrap();
        let (response, mut body) = requests.send_request(request.body(()).unwrap(), false).unwrap();
        let message = get("anna");
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        body.send_data([&[0], &length[..], &message].concat().into(), true).unwrap();
        let head = response.await.unwrap();
        let status = Status::from_header_map(head.headers());
        if method == "POST" && controls.contains(&content_type) {
            assert_eq!((head.status().as_u16(), status.is_none()), (200, true), "{head:?}");
            continue;
        }
        let (http, field) = if method == "POST" { (415, "content-type") } else { (405, ":method") };
        assert_eq!(head.status().as_u16(), http);
        let status = status.unwrap();
        assert_eq!(status.code(), Code::InvalidArgument);
        let details = status.get_error_details();
        assert_eq!(details.error_info().unwrap().reason, ErrorReason::FieldInvalid.as_str_name());
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, field);
        assert_eq!(head.headers().get("allow").is_some(), http == 405);
    }
    assert_eq!(server.stub.calls.load(Ordering::Relaxed), controls.len());
}

#[tokio::test]
async fn a_compressed_request_is_bounded_by_what_it_grows_to() {
    let server = Server::start(settings()).await;
    let mut client = AccountServiceClient::new(server.channel().await).send_compressed(Gzip);
    let bomb = client.get_account(GetAccountRequest { name: "a".repeat(4 * 1024 * 1024) }).await.unwrap_err();
    assert_eq!(bomb.code(), Code::InvalidArgument);
    let name = "a".repeat(60 * 1024);
    let small = client.get_account(GetAccountRequest { name: name.clone() }).await.unwrap();
    assert_eq!(small.into_inner().name, name);
}

#[tokio::test]
async fn an_unknown_compression_is_told_so_and_not_quoted() {
    let server = Server::start(settings()).await;
    let connection = Connection::open(&server).await;
    for encoding in ["zstd", &"x".repeat(8000)] {
        let answer = connection.call(GET, &[("grpc-encoding", encoding)], &get("anna")).await;
        assert_eq!(answer.status.code(), Code::Unimplemented);
        assert_eq!(answer.reason(), ErrorReason::EncodingUnsupported.as_str_name());
        assert!(answer.status.message().len() < 200 && !answer.status.message().contains(encoding), "{answer:?}");
        let known = answer.status.metadata().get("grpc-accept-encoding").unwrap();
        assert!(known.to_str().unwrap().contains("gzip"), "{known:?}");
    }
}

/// What never gets as far as a handler: tonic's own answers have no details.
#[tokio::test]
async fn whatever_is_refused_on_the_way_has_a_reason_of_the_contract() {
    let server = Server::start(settings()).await;
    let connection = Connection::open(&server).await;
    let framed = |flag: u8, length: u32, message: &[u8]| [&[flag][..], &length.to_be_bytes(), message].concat();
    let good = framed(0, 6, &get("anna"));
    assert_eq!(good.len(), 11);
    let no_method = "/ipmhub.invitations.v1.AccountService/StealAccount";
    for (what, path, headers, body, code) in [
        ("an unknown method", no_method, &[][..], good.clone(), Code::Unimplemented),
        ("an unknown service", "/no.such.Service/Get", &[], good.clone(), Code::Unimplemented),
        ("an unknown encoding", GET, &[("grpc-encoding", "br")], good.clone(), Code::Unimplemented),
        ("no message", GET, &[], Vec::new(), Code::InvalidArgument),
        ("half a frame", GET, &[], good[..3].to_vec(), Code::InvalidArgument),
        ("half a message", GET, &[], good[..8].to_vec(), Code::InvalidArgument),
        ("a flag that is none", GET, &[], framed(7, 6, &get("anna")), Code::InvalidArgument),
        ("compressed as nobody said", GET, &[], framed(1, 6, &get("anna")), Code::InvalidArgument),
        ("broken gzip", GET, &[("grpc-encoding", "gzip")], framed(1, 6, &get("anna")), Code::InvalidArgument),
        ("no protobuf", GET, &[], framed(0, 2, b"\xff\xff"), Code::InvalidArgument),
        ("too large", GET, &[], framed(0, 70_000, &vec![0; 70_000]), Code::InvalidArgument),
        ("an odd deadline", GET, &[("grpc-timeout", "soon")], good.clone(), Code::InvalidArgument),
    ] {
        let (response, mut sent) = connection.begin(path, headers).await.unwrap();
        sent.send_data(body.into(), true).unwrap();
        let answer = timeout(SOON, async { answer(response.await?).await }).await.unwrap().unwrap();
        assert_eq!(answer.status.code(), code, "{what}: {answer:?}");
        let info = answer.status.get_details_error_info().unwrap_or_else(|| panic!("{what}: {answer:?}"));
        assert!(ErrorReason::from_str_name(&info.reason).is_some_and(|reason| reason != ErrorReason::Unspecified));
        assert_eq!(answer.status.get_details_bad_request().is_some(), code == Code::InvalidArgument, "{what}");
    }
    // the control: the same frame as it should be
    let (response, mut sent) = connection.begin(GET, &[]).await.unwrap();
    sent.send_data(good.into(), true).unwrap();
    assert_eq!(answer(response.await.unwrap()).await.unwrap().status.code(), Code::Ok);
}

#[tokio::test]
async fn only_a_change_may_have_taken_effect_when_its_deadline_passes() {
    let server = Server::start(settings()).await;
    let connection = Connection::open(&server).await;
    let create = "/ipmhub.invitations.v1.AccountService/CreateAccount";
    for (path, may_have_changed) in [(GET, false), (create, true)] {
        let answer = connection.call(path, &[("grpc-timeout", "100m")], &get("waits")).await;
        assert_eq!(answer.status.code(), Code::DeadlineExceeded);
        assert_eq!(answer.status.message().contains("may have taken effect"), may_have_changed, "{answer:?}");
    }
}

#[tokio::test]
async fn a_panic_ends_its_call_and_no_other() {
    let server = Server::start(settings()).await;
    let connection = Connection::open(&server).await;
    let panic = async {
        server.stub.entered.notified().await;
        let answer = connection.get("panics").await;
        server.stub.released.notify_one();
        answer
    };
    let (other, panicked) = tokio::join!(connection.get("waits"), panic);
    assert_eq!(panicked.status.code(), Code::Internal);
    assert_eq!(panicked.reason(), ErrorReason::InternalError.as_str_name());
    assert_eq!(panicked.metadata("call_id"), Some(panicked.call_id));
    assert!(!panicked.status.message().contains("as asked for"));
    assert_eq!(other.status.code(), Code::Ok);
}

#[tokio::test]
async fn open_streams_are_bounded_and_a_closed_one_makes_room() {
    let server = Server::start(ServeSettings { max_open_streams: 1, ..settings() }).await;
    let first = server.watch("").await;
    let mut client = HealthClient::new(server.channel().await);
    let refused = client.watch(HealthCheckRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let details = refused.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, ErrorReason::Overloaded.as_str_name());
    assert!(details.retry_info().is_some());
    assert!(refused.metadata().get("grpc-retry-pushback-ms").is_none(), "only UNAVAILABLE is to be repeated by itself");

    client.check(HealthCheckRequest::default()).await.unwrap();
    drop(first);
    let freed = async {
        while client.watch(HealthCheckRequest::default()).await.is_err() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, freed).await.unwrap();
}

#[tokio::test]
async fn of_requests_without_an_end_the_oldest_gives_way() {
    let server = Server::start(ServeSettings { max_arriving_requests: 3, ..settings() }).await;
    let connection = Connection::open(&server).await;
    let (oldest, _body) = connection.unended().await;
    let (next, _body) = connection.unended().await;
    // beside them there is room for one that arrives, which one that is being answered does not take
    let message = get("waits");
    let others = async {
        server.stub.entered.notified().await;
        let answer = connection.get("anna").await;
        server.stub.released.notify_one();
        answer
    };
    let (waited, other) = tokio::join!(connection.call(GET, &[], &message), others);
    assert_eq!([waited.status.code(), other.status.code()], [Code::Ok; 2]);
    assert!(!oldest.is_finished(), "no more than three were on their way");

    let (third, _body) = connection.unended().await;
    let (fourth, _body) = connection.unended().await;
    let refused = timeout(SOON, oldest).await.unwrap().unwrap().unwrap();
    assert_eq!(refused.status.code(), Code::ResourceExhausted);
    assert_eq!(refused.reason(), ErrorReason::Overloaded.as_str_name());
    assert!(refused.status.get_details_retry_info().is_some());
    assert!([next, third, fourth].iter().all(|call| !call.is_finished()));
}

#[tokio::test]
async fn of_answers_that_nobody_takes_the_oldest_is_cut_off() {
    let server = Server::start(ServeSettings { max_untaken_answers: 2, ..settings() }).await;
    let socket = TcpStream::connect(server.address).await.unwrap();
    let (requests, connection) = h2::client::Builder::new().initial_window_size(0).handshake(socket).await.unwrap();
    let reader = Connection { requests, ended: tokio::spawn(connection) };
    let answer = async || reader.send(GET, &[], &get("anna")).await.unwrap().into_body();
    let (mut oldest, mut next) = (answer().await, answer().await);
    assert!(oldest.data().now_or_never().is_none(), "no more than two are untaken");

    let mut newest = answer().await;
    let cut = timeout(SOON, oldest.data()).await.unwrap().unwrap().unwrap_err();
    assert_eq!(cut.reason(), Some(h2::Reason::CANCEL));
    assert!([&mut next, &mut newest].into_iter().all(|body| body.data().now_or_never().is_none()));
    // whoever takes them is not in the way
    let other = Connection::open(&server).await;
    for _ in 0..5 {
        assert_eq!(other.get(&"a".repeat(60 * 1024)).await.status.code(), Code::Ok);
    }
}
