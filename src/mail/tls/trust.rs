//! Which certificate a mail server may show.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::{VerifierBuilderError, WebPkiServerVerifier, verify_server_name};
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// What comes from an authority of the system or of the `ca_file`, and what stands in the `ca_file` itself: a server may
/// show a certificate that it has made for itself, and `openssl req -x509` makes that as an authority.
#[derive(Debug)]
pub struct Trust {
    authorities: Arc<WebPkiServerVerifier>,
    own: Vec<CertificateDer<'static>>,
}

impl Trust {
    /// `own` are those of the `ca_file`.
    pub fn new(
        mut roots: RootCertStore,
        own: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, VerifierBuilderError> {
        roots.add_parsable_certificates(own.iter().cloned());
        let authorities = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
        Ok(Self { authorities, own })
    }

    /// Whether there are certificates of the file's own, and none that is valid today.
    pub fn is_out_of_date(&self, name: &ServerName<'_>) -> bool {
        let is_late = |own: &CertificateDer<'_>| {
            let verified = self.authorities.verify_server_cert(own, &[], name, &[], UnixTime::now());
            matches!(verified, Err(Error::InvalidCertificate(why)) if is_about_time(&why))
        };
        !self.own.is_empty() && self.own.iter().all(is_late)
    }

    /// That very certificate, shown by whoever has its key. Its names must fit; some have none.
    fn accept_own(shown: &CertificateDer<'_>, name: &ServerName<'_>) -> Result<ServerCertVerified, Error> {
        match verify_server_name(&ParsedCertificate::try_from(shown)?, name) {
            Err(Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. }))
                if presented.is_empty() => {}
            verified => verified?,
        }
        Ok(ServerCertVerified::assertion())
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.authorities.verify_server_cert(shown, intermediates, name, ocsp_response, now) {
            // the dates are looked at before anything else
            Err(Error::InvalidCertificate(why)) if self.own.contains(shown) && !is_about_time(&why) => {
                Self::accept_own(shown, name)
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

fn is_about_time(why: &CertificateError) -> bool {
    use CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    matches!(why, Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. })
}

/// The certificates of a PEM file; an error completes "FILE ".
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    let read = CertificateDer::pem_file_iter(path).map_err(|_| "cannot be read")?;
    let certificates = read.collect::<Result<Vec<_>, _>>().map_err(|_| "is not PEM")?;
    let is_one = |certificate| RootCertStore::empty().add(certificate).is_ok();
    if certificates.is_empty() {
        Err("holds no certificate: it must be PEM, with the line BEGIN CERTIFICATE")
    } else if certificates.iter().cloned().all(is_one) {
        Ok(certificates)
    } else {
        Err("holds something that is no certificate")
    }
}
