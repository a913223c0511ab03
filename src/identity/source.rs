//! Where an issuer's keys come from: a mounted file, a URL, or the issuer's discovery document.

use std::{
    error::Error,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::{Certificate, Client, Response, Url, redirect::Policy};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{answering::Answering, entra};

/// For all requests of one load together.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The longest answer that is read, in bytes; Entra's key set has about 20 KiB.
const MAX_BYTES: usize = 256 * 1024;

#[derive(Debug)]
pub(super) enum Source {
    File(PathBuf),
    Url {
        access: Access,
        url: Url,
    },
    /// OIDC Discovery 1.0; the document must name the issuer that was asked.
    Discovery {
        access: Access,
        issuer: String,
        url: Url,
    },
}

impl Source {
    pub fn url(url: &str, access: Access) -> Result<Self, String> {
        Ok(Self::Url { access, url: checked(url)? })
    }

    /// `issuer` may be Entra's template: the document of `common` has it as it is.
    pub fn discovery(issuer: &str, access: Access) -> Result<Self, String> {
        let base = entra::filled(issuer, "common");
        let url = checked(&format!("{}/.well-known/openid-configuration", base.trim_end_matches('/')))?;
        Ok(Self::Discovery { access, issuer: issuer.to_owned(), url })
    }

    /// Fetches the key set as it is written, in 5 s at most.
    pub async fn load(&self) -> Result<Vec<u8>, String> {
        tokio::time::timeout(TIMEOUT, self.read()).await.map_err(|_| "no answer within 5 s".to_owned())?
    }

    async fn read(&self) -> Result<Vec<u8>, String> {
        #[derive(Deserialize)]
        struct Document {
            issuer: String,
            jwks_uri: String,
        }
        match self {
            Self::File(path) => tokio::fs::read(path).await.map_err(|error| error.to_string()),
            Self::Url { access, url } => access.get(&access.client(url)?, url).await,
            Self::Discovery { access, issuer, url } => {
                // one client for both: an issuer out there has no say about plain http to our own loopback
                let client = access.client(url)?;
                let document = serde_json::from_slice::<Document>(&access.get(&client, url).await?)
                    .map_err(|error| format!("not a discovery document: {error}"))?;
                if document.issuer != *issuer {
                    return Err("the discovery document is another issuer's".to_owned());
                }
                access.get(&client, &checked(&document.jwks_uri)?).await
            }
        }
    }
}

/// What a request to an issuer needs beside the URL. The files are read for each request: within a cluster both are
/// replaced while we run.
#[derive(Debug)]
pub(super) struct Access {
    ca_file: Option<PathBuf>,
    bearer_token_file: Option<PathBuf>,
}

impl Access {
    /// Reads both files once, so that a wrong path is noticed at start.
    pub fn new(ca_file: Option<PathBuf>, bearer_token_file: Option<PathBuf>) -> Result<Self, String> {
        if let Some(path) = &ca_file {
            certificates(path)?;
        }
        if let Some(path) = &bearer_token_file {
            secret(path, "bearer_token_file")?;
        }
        Ok(Self { ca_file, bearer_token_file })
    }

    fn client(&self, url: &Url) -> Result<Client, String> {
        client(url, self.ca_file.as_deref())
    }

    async fn get(&self, client: &Client, url: &Url) -> Result<Vec<u8>, String> {
        let mut request = client.get(url.clone());
        if let Some(path) = &self.bearer_token_file {
            request = request.bearer_auth(secret(path, "bearer_token_file")?.expose_secret());
        }
        let response = request.send().await.map_err(readable)?;
        if response.status() != http::StatusCode::OK {
            return Err(format!("the answer was {}", response.status()));
        }
        body(response).await
    }
}

/// Reads an answer up to a limit.
pub(super) async fn body(mut response: Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(readable)? {
        if body.len() + chunk.len() > MAX_BYTES {
            return Err("the answer has more than 256 KiB".to_owned());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// A secret of one line. The error names the setting and never shows what was read.
pub(super) fn secret(path: &Path, field: &str) -> Result<SecretString, String> {
    let problem = |problem: &str| format!("{field} {}: {problem}", path.display());
    // where a path should be, the secret itself may stand
    let text = std::fs::read_to_string(path).map_err(|error| format!("{field}: {error}"))?;
    let text = text.trim();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(problem("must hold one line of ASCII without blanks"));
    }
    Ok(text.into())
}

/// The certificates of a `ca_file`.
pub(super) fn certificates(path: &Path) -> Result<Vec<Certificate>, String> {
    let problem = |problem: &str| format!("ca_file {}: {problem}", path.display());
    let pem = std::fs::read(path).map_err(|error| format!("ca_file: {error}"))?;
    let certificates = Certificate::from_pem_bundle(&pem).map_err(|_| problem("is not PEM"))?;
    if certificates.is_empty() { Err(problem("holds no certificate")) } else { Ok(certificates) }
}

/// The message goes to our log, and a configured URL may hold a key.
pub(super) fn readable(error: reqwest::Error) -> String {
    let error = error.without_url();
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

/// For requests to this URL and others that it names.
pub(super) fn client(url: &Url, ca_file: Option<&Path>) -> Result<Client, String> {
    // a redirect would be another source than the configured one
    let builder = Client::builder().redirect(Policy::none()).dns_resolver(Answering::at_port_of(url));
    // no proxy reaches our own loopback
    let builder = if is_loopback(url) { builder.no_proxy() } else { builder.https_only(true) };
    let builder = match ca_file {
        Some(path) => builder.tls_certs_only(certificates(path)?),
        None => builder,
    };
    builder.build().map_err(|error| format!("cannot be fetched: {}", readable(error)))
}

/// Keys that came over a readable connection are anybody's keys.
pub(super) fn checked(url: &str) -> Result<Url, String> {
    let url = Url::parse(url).map_err(|error| format!("is not a URL: {error}"))?;
    if url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url)) {
        Ok(url)
    } else {
        Err("must be an https URL (http only on loopback)".to_owned())
    }
}

fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_only() {
        for good in ["https://login.example.com/keys", "http://127.0.0.1:1/", "http://[::1]:1/", "http://localhost/k"] {
            assert!(checked(good).is_ok(), "{good}");
        }
        for bad in ["http://example.com/", "http://127.0.0.1.example.com/", "http://10.0.0.1/", "file:///etc/keys", "x"]
        {
            assert!(checked(bad).is_err(), "{bad}");
        }
    }
}
