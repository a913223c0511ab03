//! How a service behind TLS is asked how it is.

use invitations::grpc::probe::{ProbeTls, serving};

use super::*;

#[tokio::test]
async fn a_probe_asks_over_tls() {
    let (authority, others) = (Authority::new("tls-probe"), Authority::new("tls-probe-others"));
    let server = start(authority.files(None)).await;
    let address = server.address.to_string();
    let probe = async |address: &str, tls: ProbeTls| {
        let mut answer = serving(address, "liveness".to_owned(), Some(tls.clone())).await;
        for _ in 0..10 {
            // the machine has stood still for as long as a probe waits
            if answer.as_ref().is_err_and(|error| error.ends_with(" does not answer within 2 s")) {
                answer = serving(address, "liveness".to_owned(), Some(tls.clone())).await;
            }
        }
        answer
    };
    let trusting = |authority: &Authority| ProbeTls { ca_file: Some(authority.dir.join("ca.pem")), identity: None };
    assert_eq!(probe(&address, trusting(&authority)).await, Ok(()));
    assert_eq!(probe(&address, ProbeTls::default()).await, Ok(()));
    let error = probe(&address, trusting(&others)).await.unwrap_err();
    assert!(error.starts_with("nothing answers at 127.0.0.1:") && error.contains("certificate"), "{error}");
    assert!(serving(&address, String::new(), None).await.is_err());
    let elsewhere = probe("192.0.2.1:50051", ProbeTls::default()).await;
    assert!(elsewhere.unwrap_err().starts_with("--tls-ca-file is needed"));

    let server = start(authority.files(Some(&authority))).await;
    let address = server.address.to_string();
    let identity = Some((authority.dir.join("tls.crt"), authority.dir.join("tls.key")));
    assert_eq!(probe(&address, ProbeTls { identity, ..ProbeTls::default() }).await, Ok(()));
    assert!(probe(&address, ProbeTls::default()).await.is_err());
}
