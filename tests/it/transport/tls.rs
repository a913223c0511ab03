//! TLS and client certificates, with certificates that are made for each test.

mod probe;

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use invitations::dev::issuer::{self, Provider};
use invitations::dev::mailbox::{Mailbox, Script};
use invitations::grpc::tls::TlsFiles;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::*;
use crate::support::{Database, scratch, settings_for};

/// An authority, and the folder where what it makes is mounted as Kubernetes mounts a Secret: files that are links
/// through `..data`, which is replaced as a whole.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: PathBuf,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let dir = scratch(name);
        std::fs::write(dir.join("ca.pem"), issuer.pem()).unwrap();
        for file in ["tls.crt", "tls.key"] {
            symlink(format!("..data/{file}"), dir.join(file)).unwrap();
        }
        let authority = Self { issuer, dir };
        authority.renew();
        authority
    }

    /// Chain and key for 127.0.0.1 in PEM.
    fn certificate(&self) -> (String, String) {
        let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// Mounts a new certificate; returns it.
    fn renew(&self) -> CertificateDer<'static> {
        let (certificate, key) = self.certificate();
        self.mount(&certificate, &key);
        CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()
    }

    fn mount(&self, certificate: &str, key: &str) {
        let version = self.dir.join(uuid::Uuid::new_v4().to_string());
        std::fs::create_dir(&version).unwrap();
        std::fs::write(version.join("tls.crt"), certificate).unwrap();
        std::fs::write(version.join("tls.key"), key).unwrap();
        symlink(&version, self.dir.join("..new")).unwrap();
        std::fs::rename(self.dir.join("..new"), self.dir.join("..data")).unwrap();
    }

    fn files(&self, client_ca: Option<&Self>) -> TlsFiles {
        let client_ca = client_ca.map(|authority| authority.dir.join("ca.pem"));
        TlsFiles { certificate: self.dir.join("tls.crt"), key: self.dir.join("tls.key"), client_ca }
    }

    /// A client that trusts this authority and shows a certificate of `identity`.
    fn client(&self, identity: Option<&Self>, alpn: &[&[u8]]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match identity.map(Self::certificate) {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let chain = vec![CertificateDer::from_pem_slice(chain.as_bytes()).unwrap()];
                builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap()
            }
        };
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        config
    }
}

async fn start(files: TlsFiles) -> Server {
    Server::start(ServeSettings { tls: Some(files), ..settings() }).await
}

async fn handshake(server: &Server, client: ClientConfig) -> std::io::Result<TlsStream<TcpStream>> {
    handshake_at(server.address, client).await
}

async fn handshake_at(address: SocketAddr, client: ClientConfig) -> std::io::Result<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(address).await.unwrap();
    TlsConnector::from(Arc::new(client)).connect(ServerName::try_from("127.0.0.1").unwrap(), socket).await
}

/// Calls over a connection of its own. A server that takes no certificate says so after the client's handshake.
async fn call(server: &Server, client: ClientConfig) -> Result<Code, String> {
    call_at(server.address, client, &[], "anna").await.map(|answer| answer.status.code())
}

async fn call_at(
    address: SocketAddr,
    client: ClientConfig,
    headers: &[(&str, &str)],
    name: &str,
) -> Result<Answer, String> {
    let socket = handshake_at(address, client).await.map_err(|error| error.to_string())?;
    let connection = Connection::over(socket).await.map_err(|error| error.to_string())?;
    let answer = timeout(SOON, connection.try_call(GET, headers, &get(name))).await.unwrap();
    answer.map_err(|error| error.to_string())
}

/// The certificate that a new connection is shown.
async fn shown(server: &Server, authority: &Authority) -> CertificateDer<'static> {
    let socket = handshake(server, authority.client(None, &[b"h2"])).await.unwrap();
    socket.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

#[tokio::test]
async fn calls_are_answered_over_tls_and_not_without() {
    let authority = Authority::new("tls-calls");
    let server = start(authority.files(None)).await;
    assert_eq!(call(&server, authority.client(None, &[b"h2"])).await, Ok(Code::Ok));
    let socket = handshake(&server, authority.client(None, &[b"http/1.1", b"h2"])).await.unwrap();
    assert_eq!(socket.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    // another protocol, another authority, no TLS
    assert!(call(&server, authority.client(None, &[b"http/1.1"])).await.is_err());
    assert!(call(&server, Authority::new("tls-stranger").client(None, &[b"h2"])).await.is_err());
    let mut plain = TcpStream::connect(server.address).await.unwrap();
    plain.write_all(PREFACE).await.unwrap();
    let mut answer = Vec::new();
    timeout(SOON, plain.read_to_end(&mut answer)).await.unwrap().ok();
    // at most TLS's own alert, whose type is 21
    assert!(answer.is_empty() || answer[0] == 21, "{answer:?}");
}

#[tokio::test]
async fn a_handshake_that_is_not_finished_in_time_is_closed() {
    let authority = Authority::new("tls-slow");
    let (tls, first_byte_timeout) = (Some(authority.files(None)), Duration::from_millis(500));
    let server = Server::start(ServeSettings { tls, first_byte_timeout, ..settings() }).await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    assert!(is_closed(&mut silent).await);
    // the beginning of a ClientHello
    let mut half = TcpStream::connect(server.address).await.unwrap();
    half.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
    assert!(is_closed(&mut half).await);
    // the handshake is done, on a busy machine not with the first try; the preface does not come
    let greeting = async {
        loop {
            if let Ok(greeted) = handshake(&server, authority.client(None, &[b"h2"])).await {
                return greeted;
            }
        }
    };
    let mut greeted = timeout(SOON, greeting).await.expect("a handshake is finished in time");
    let closed = timeout(SOON, greeted.read(&mut [0; 1])).await.unwrap();
    assert!(closed.map_or(true, |read| read == 0));
}

#[tokio::test]
async fn a_client_certificate_lets_in_whom_the_authority_knows() {
    let (authority, others) = (Authority::new("mtls"), Authority::new("mtls-others"));
    let server = start(authority.files(Some(&authority))).await;
    assert_eq!(call(&server, authority.client(Some(&authority), &[b"h2"])).await, Ok(Code::Ok));
    assert!(call(&server, authority.client(None, &[b"h2"])).await.is_err());
    assert!(call(&server, authority.client(Some(&others), &[b"h2"])).await.is_err());
    // the control: it is the client's authority that is missing, nothing else
    let open = start(authority.files(None)).await;
    assert_eq!(call(&open, authority.client(None, &[b"h2"])).await, Ok(Code::Ok));
}

/// Against the real service: who shows a certificate is still nobody.
#[tokio::test]
async fn a_client_certificate_grants_nothing() {
    let (authority, database) = (Authority::new("mtls-service"), Database::create().await);
    let dir = scratch(&database.name);
    let mailbox = Mailbox::start(([127, 0, 0, 1], 0).into(), &dir.join("mailbox"), Script::accept_all()).await.unwrap();
    let [certificate, key, ca] = ["tls.crt", "tls.key", "ca.pem"].map(|name| authority.dir.join(name));
    let files = [("tls_certificate_file", certificate), ("tls_key_file", key), ("tls_client_ca_file", ca)];
    let files = files.each_ref().map(|(setting, path)| (*setting, path.to_str().unwrap()));
    let settings = settings_for(&database.service_url, &dir, mailbox.addr(), &files);
    let stop = CancellationToken::new();
    let service = invitations::server::Server::start(&settings, &stop).await.unwrap();

    let token = issuer::user_token(&dir, "anna", Some("anna@example.com"), true, Provider::Github).unwrap();
    let bearer = format!("Bearer {token}");
    let answer = async |certificate: bool, headers: &[(&str, &str)]| {
        let client = authority.client(certificate.then_some(&authority), &[b"h2"]);
        let answer = call_at(service.address(), client, headers, "accounts/me").await?;
        Ok::<_, String>((answer.status.code(), answer.reason()))
    };
    let refused = |reason: &str| Ok((Code::Unauthenticated, reason.to_owned()));
    assert_eq!(answer(true, &[]).await, refused("TOKEN_MISSING"));
    assert_eq!(answer(true, &[("authorization", "Bearer x")]).await, refused("TOKEN_INVALID"));
    // the controls: with a token she is somebody, and without a certificate she does not get this far
    let token = [("authorization", bearer.as_str())];
    assert_eq!(answer(true, &token).await.unwrap().1, "ACCOUNT_REQUIRED");
    assert!(answer(false, &token).await.is_err());
    stop.cancel();
    service.finished().await.unwrap();
}

#[tokio::test]
async fn clients_of_another_authority_are_let_in_when_its_file_changes() {
    let (authority, others) = (Authority::new("mtls-reload"), Authority::new("mtls-reload-others"));
    let server = start(authority.files(Some(&authority))).await;
    let is_let_in = async |whose: &Authority| call(&server, authority.client(Some(whose), &[b"h2"])).await.is_ok();
    let file = authority.dir.join("ca.pem");
    let mount = |pem: &str| {
        std::fs::write(authority.dir.join("new.pem"), pem).unwrap();
        std::fs::rename(authority.dir.join("new.pem"), &file).unwrap();
    };
    assert!(is_let_in(&authority).await && !is_let_in(&others).await);
    // a file that cannot be used changes nothing
    mount("");
    sleep(Duration::from_millis(200)).await;
    assert!(is_let_in(&authority).await && !is_let_in(&others).await);

    mount(&others.issuer.pem());
    timeout(SOON, async { while !is_let_in(&others).await {} }).await.expect("the new authority counts");
    assert!(!is_let_in(&authority).await);
}

#[tokio::test]
async fn new_files_are_used_and_bad_ones_change_nothing() {
    let authority = Authority::new("tls-reload");
    let server = start(authority.files(None)).await;
    let open = handshake(&server, authority.client(None, &[b"h2"])).await.unwrap();
    let open = Connection::over(open).await.unwrap();
    let becomes = async |expected: &CertificateDer<'static>| {
        let changing = async { while shown(&server, &authority).await != *expected {} };
        timeout(SOON, changing).await.expect("the new certificate is shown");
    };
    let first = shown(&server, &authority).await;
    let second = authority.renew();
    assert_ne!(first, second);
    becomes(&second).await;

    let (certificate, other_key) = (authority.certificate().0, authority.certificate().1);
    for (bad, key) in [("", ""), ("-----BEGIN CERTIFICATE-----\n!", &other_key), (&certificate, &other_key)] {
        authority.mount(bad, key);
        // several looks, each of which would have taken it
        sleep(Duration::from_millis(200)).await;
        assert_eq!(shown(&server, &authority).await, second);
    }
    std::fs::remove_file(authority.dir.join("..data")).unwrap();
    sleep(Duration::from_millis(200)).await;
    assert_eq!(shown(&server, &authority).await, second);

    // and it goes on looking
    let third = authority.renew();
    becomes(&third).await;
    assert_eq!(open.get("anna").await.status.code(), Code::Ok);
}

#[tokio::test]
async fn a_server_does_not_start_with_files_that_do_not_fit() {
    let authority = Authority::new("tls-start");
    authority.files(Some(&authority)).check().unwrap();
    let (certificate, _) = authority.certificate();
    for (certificate, key, why) in [
        ("", "", "tls.crt holds no certificate"),
        (&*certificate, "", "tls.key holds no private key"),
        (&certificate, &authority.certificate().1, "tls.key does not fit the certificate"),
    ] {
        authority.mount(certificate, key);
        let error = authority.files(None).check().unwrap_err();
        assert!(error.contains(why) && !error.contains('\n'), "{error}");
    }
    let missing = TlsFiles { key: authority.dir.join("nothing"), ..authority.files(None) };
    assert!(missing.check().unwrap_err().contains("the key cannot be read: No such file"));
}
