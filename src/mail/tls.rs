//! Encrypted connections to the mail server.

mod trust;

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use self::trust::Trust;
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
        // a path that leads nowhere may be something else
        let problem = |path: &Path, why: &str| {
            let file = if path.exists() { path.display().to_string() } else { "the file".to_owned() };
            InvalidSetting::new("ca_file", format!("{file} {why}"))
        };
        let own = match ca_file {
            Some(path) => trust::certificates(path).map_err(|why| problem(path, why))?,
            None => Vec::new(),
        };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let trust = Trust::new(roots, own, Arc::clone(&provider)).map_err(|_| {
            InvalidSetting::new(
                "ca_file",
                "is needed, because this system has no certificates of its own: name a PEM file",
            )
        })?;
        if let Some(path) = ca_file.filter(|_| trust.is_out_of_date(&name)) {
            return Err(problem(path, "holds no certificate that is valid today"));
        }
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| InvalidSetting::new("tls", format!("cannot be set up: {error}")))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(trust))
            .with_no_client_auth();
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), name })
    }

    pub async fn connect(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.connector.connect(self.name.clone(), stream).await
    }
}
