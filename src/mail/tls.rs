//! Encrypted connections to the mail server.
//!
//! Our own instead of lettre's for two reasons: its implicit TLS leaves Nagle's algorithm on (44 ms for each email), and
//! its STARTTLS keeps what arrived in plain text before the handshake and takes it for answers afterwards, so that
//! somebody on the way can shift every answer by one.

use std::io::{self, Error, ErrorKind};
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use lettre::transport::smtp::client::AsyncTokioStream;
use lettre::transport::smtp::extension::ClientId;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::settings::InvalidSetting;

/// The longest reply that is read in plain text, in bytes.
const LONGEST_REPLY: usize = 16 * 1024;

/// What a TLS handshake with the mail server needs.
#[derive(Clone)]
pub struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Tls {
    /// Trusts the system's certificates and those of `ca_file`, for that host only.
    pub fn new(host: &str, ca_file: Option<&Path>) -> Result<Self, InvalidSetting> {
        let name = ServerName::try_from(host.to_owned());
        let name =
            name.map_err(|_| InvalidSetting::new("host", "must be a host name or an IP address, for its certificate"))?;
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(path) = ca_file {
            add_file(&mut roots, path)?;
        }
        if roots.is_empty() {
            let problem = "is needed, because this system has no certificates of its own: name a PEM file";
            return Err(InvalidSetting::new("ca_file", problem));
        }
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| InvalidSetting::new("tls", format!("cannot be set up: {error}")))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), name })
    }

    /// Implicit TLS: the handshake comes first.
    pub async fn wrap(&self, stream: TcpStream) -> io::Result<Encrypted> {
        let stream = self.connector.connect(self.name.clone(), stream).await?;
        Ok(Encrypted { stream, greeting: b"" })
    }

    /// STARTTLS (RFC 3207), required: fails where the server does not offer it.
    pub async fn upgrade(&self, mut stream: TcpStream, hello: &ClientId) -> io::Result<Encrypted> {
        read_reply(&mut stream, "220").await?;
        stream.write_all(format!("EHLO {hello}\r\n").as_bytes()).await?;
        let offers = read_reply(&mut stream, "250").await?;
        if !offers.lines().any(|line| line.get(4..).is_some_and(|word| word.trim().eq_ignore_ascii_case("STARTTLS"))) {
            return Err(Error::new(ErrorKind::Unsupported, "the mail server does not offer STARTTLS"));
        }
        stream.write_all(b"STARTTLS\r\n").await?;
        read_reply(&mut stream, "220").await?;
        // the server does not greet again, but lettre begins with reading a greeting
        Ok(Encrypted { greeting: b"220 \r\n", ..self.wrap(stream).await? })
    }
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), InvalidSetting> {
    let problem = |why: &str| InvalidSetting::new("ca_file", format!("{} {why}", path.display()));
    let certificates = CertificateDer::pem_file_iter(path).map_err(|_| problem("cannot be read"))?;
    let before = roots.len();
    for certificate in certificates {
        let certificate = certificate.map_err(|_| problem("is not PEM"))?;
        roots.add(certificate).map_err(|_| problem("holds something that is no certificate"))?;
    }
    if roots.len() == before { Err(problem("holds no certificate")) } else { Ok(()) }
}

/// Reads one reply (RFC 5321, 4.2.1) with that code, and nothing more: we wait for each reply, so what follows it in the
/// same breath was not written by an honest server.
async fn read_reply(stream: &mut TcpStream, code: &str) -> io::Result<String> {
    let mut reply = Vec::new();
    loop {
        if stream.read_buf(&mut reply).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let text = std::str::from_utf8(&reply).map_err(|_| ErrorKind::InvalidData)?;
        let ends = text.split_inclusive('\n').map(|line| line.ends_with('\n') && line.as_bytes().get(3) != Some(&b'-'));
        let ends = ends.collect::<Vec<_>>();
        match ends.iter().position(|is_end| *is_end) {
            Some(end) if end + 1 < ends.len() => {
                return Err(Error::new(ErrorKind::InvalidData, "the mail server spoke before it was asked"));
            }
            Some(_) if text.starts_with(code) => return Ok(text.to_owned()),
            Some(_) => return Err(Error::new(ErrorKind::Unsupported, "the mail server refused STARTTLS")),
            None if reply.len() > LONGEST_REPLY => return Err(ErrorKind::InvalidData.into()),
            None => {}
        }
    }
}

/// A TLS stream as lettre takes it.
#[derive(Debug)]
pub struct Encrypted {
    stream: TlsStream<TcpStream>,
    /// To be read before what comes from the server.
    greeting: &'static [u8],
}

impl AsyncTokioStream for Encrypted {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.get_ref().0.peer_addr()
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.greeting.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let (now, later) = self.greeting.split_at(self.greeting.len().min(buf.remaining()));
        buf.put_slice(now);
        self.greeting = later;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
