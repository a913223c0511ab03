//! Encrypted connections to the mail server.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::settings::InvalidSetting;

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

    pub async fn connect(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.connector.connect(self.name.clone(), stream).await
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
