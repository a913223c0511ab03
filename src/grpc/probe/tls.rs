//! The client side of TLS, for a service that is served with it.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme};
use tower::util::BoxCloneService;

use crate::grpc::tls::{ALPN, certificates, problem};

/// How to ask.
#[derive(Clone, Debug, Default)]
pub struct ProbeTls {
    /// PEM file with what the server's certificate has to come from. `None`: every certificate is taken, which is only
    /// for an address of this machine, where nobody stands between.
    pub ca_file: Option<PathBuf>,
    /// Chain and key in PEM files, for a server that wants a certificate of its clients.
    pub identity: Option<(PathBuf, PathBuf)>,
}

type Connection = TokioIo<TlsStream<TcpStream>>;

impl ProbeTls {
    /// Connects to `address` alone, whatever it is asked for.
    pub(super) fn connector(&self, address: &str) -> Result<BoxCloneService<Uri, Connection, io::Error>, String> {
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']).to_owned();
        let is_loopback = host == "localhost" || address.parse::<SocketAddr>().is_ok_and(|it| it.ip().is_loopback());
        if self.ca_file.is_none() && !is_loopback {
            return Err("--tls-ca-file is needed: without it only an address of this machine can be asked".to_owned());
        }
        let name = ServerName::try_from(host).map_err(|_| "--address has no host for a certificate".to_owned())?;
        let connector = TlsConnector::from(Arc::new(self.config()?));
        let address = address.to_owned();
        let connect = move |_: Uri| -> Pin<Box<dyn Future<Output = io::Result<Connection>> + Send>> {
            let (connector, name, address) = (connector.clone(), name.clone(), address.clone());
            Box::pin(async move {
                let socket = TcpStream::connect(address).await?;
                Ok(TokioIo::new(connector.connect(name, socket).await?))
            })
        };
        Ok(BoxCloneService::new(tower::service_fn(connect)))
    }

    fn config(&self) -> Result<ClientConfig, String> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let read =
            |path: &PathBuf| std::fs::read(path).map_err(|error| problem(path, &format!("cannot be read: {error}")));
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let builder = match &self.ca_file {
            None => builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider))),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(path, &read(path)?)? {
                    roots.add(certificate).map_err(|error| problem(path, &error.to_string()))?;
                }
                builder.with_root_certificates(roots)
            }
        };
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let pem = PrivateKeyDer::from_pem_slice(&read(key)?);
                let secret = pem.map_err(|_| problem(key, "holds no private key in PEM"))?;
                let identity = builder.with_client_auth_cert(certificates(chain, &read(chain)?)?, secret);
                identity.map_err(|error| problem(key, &format!("does not fit the certificate: {error}")))?
            }
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(config)
    }
}

/// All that an error says: what is above says only that the connection failed, and an [`io::Error`] hides what it holds.
pub(super) fn cause(error: &dyn Error) -> String {
    let mut texts = vec![error.to_string()];
    let mut cause = error;
    while let Some(below) = cause.source() {
        texts.push(below.to_string());
        cause = below;
    }
    texts.dedup();
    texts.join(": ")
}

/// Takes every certificate whose key signs the handshake.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
