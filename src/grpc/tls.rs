//! TLS for the server's connections: certificate and key from files, taken anew when these change; and, where it is
//! wanted, a client certificate, which lets a connection in and says nothing about who calls.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// The one protocol that is spoken here, as ALPN names it (RFC 9113, 3.2).
pub(super) const ALPN: &[u8] = b"h2";

/// PEM files, which may be replaced while the server runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsFiles {
    /// The server's certificate, then those between it and a root.
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Whose certificates clients must have; `None`: they need none.
    pub client_ca: Option<PathBuf>,
}

/// What the files hold; compared, because a time of change misses what is replaced by symlinks, as Kubernetes does.
#[derive(PartialEq, Eq)]
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

/// Makes handshakes with what was last read and good.
#[derive(Debug)]
pub(super) struct Tls {
    files: TlsFiles,
    acceptor: watch::Sender<Arc<ServerConfig>>,
}

impl TlsFiles {
    /// Whether a server could start with them; an error is one line that names the file.
    pub fn check(&self) -> Result<(), String> {
        self.read().and_then(|contents| self.config(&contents)).map(|_| ())
    }

    fn read(&self) -> Result<Contents, String> {
        // a path that leads nowhere may be the key itself
        let read = |what: &'static str| {
            move |path: &Path| std::fs::read(path).map_err(|error| format!("the {what} cannot be read: {error}"))
        };
        Ok(Contents {
            certificate: read("certificate")(&self.certificate)?,
            key: read("key")(&self.key)?,
            client_ca: self.client_ca.as_deref().map(read("client CA")).transpose()?,
        })
    }

    fn config(&self, contents: &Contents) -> Result<Arc<ServerConfig>, String> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let chain = certificates(&self.certificate, &contents.certificate)?;
        // the parser's own words could show what stands in the file
        let key = PrivateKeyDer::from_pem_slice(&contents.key)
            .map_err(|_| problem(&self.key, "holds no private key in PEM"))?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let builder = match self.client_ca.as_deref().zip(contents.client_ca.as_ref()) {
            None => builder.with_no_client_auth(),
            Some((path, pem)) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(path, pem)? {
                    roots.add(certificate).map_err(|error| problem(path, &error.to_string()))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().map_err(|error| problem(path, &error.to_string()))?)
            }
        };
        // a key of another certificate is found here
        let config = builder.with_single_cert(chain, key);
        let mut config =
            config.map_err(|error| problem(&self.key, &format!("does not fit the certificate: {error}")))?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Arc::new(config))
    }
}

impl Tls {
    pub(super) fn new(files: TlsFiles) -> Result<Self, String> {
        let config = files.config(&files.read()?)?;
        Ok(Self { files, acceptor: watch::Sender::new(config) })
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.acceptor.borrow()))
    }

    /// Looks at the files again and again. New connections get what is new and good; what is not is logged once, and
    /// what was good before stays in use.
    pub(super) async fn follow(&self, every: Duration) {
        // what was read at start is read once more, which does no harm
        let mut seen = None;
        loop {
            sleep(every).await;
            let read = self.files.read();
            if seen.as_ref() == Some(&read) {
                continue;
            }
            match read.as_ref().map_err(Clone::clone).and_then(|contents| self.files.config(contents)) {
                Ok(config) => {
                    self.acceptor.send_replace(config);
                    if seen.is_some() {
                        tracing::info!("the TLS files have changed, new connections use them");
                    }
                }
                Err(error) => tracing::error!(
                    error,
                    "the TLS files have changed and cannot be used, the former ones stay in use: replace them"
                ),
            }
            seen = Some(read);
        }
    }
}

pub(super) fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.map_err(|_| problem(path, "is not PEM"))?;
    if certificates.is_empty() { Err(problem(path, "holds no certificate")) } else { Ok(certificates) }
}

pub(super) fn problem(path: &Path, problem: &str) -> String {
    format!("{} {problem}", path.display())
}
