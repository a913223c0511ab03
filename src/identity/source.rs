//! Where an issuer's keys come from: a mounted file, a URL, or the issuer's discovery document.

use std::{error::Error, net::IpAddr, path::PathBuf, time::Duration};

use reqwest::{Client, Url, redirect::Policy};
use serde::Deserialize;

use super::jwks::{self, Keys};

/// For all requests of one load together.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The longest answer that is read, in bytes; Entra's key set has about 20 KiB.
const MAX_BYTES: usize = 256 * 1024;

#[derive(Debug)]
pub(super) enum Source {
    File(PathBuf),
    Url {
        client: Client,
        url: Url,
    },
    /// OIDC Discovery 1.0; the document must name the issuer that was asked.
    Discovery {
        client: Client,
        issuer: String,
        url: Url,
    },
}

impl Source {
    pub fn url(url: &str) -> Result<Self, String> {
        let url = checked(url)?;
        Ok(Self::Url { client: client(&url)?, url })
    }

    pub fn discovery(issuer: &str) -> Result<Self, String> {
        let url = checked(&format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/')))?;
        Ok(Self::Discovery { client: client(&url)?, issuer: issuer.to_owned(), url })
    }

    /// Fetches the keys, in 5 s at most.
    pub async fn load(&self) -> Result<Keys, String> {
        let json =
            tokio::time::timeout(TIMEOUT, self.read()).await.map_err(|_| "no answer within 5 s".to_owned())??;
        jwks::parse(&json)
    }

    async fn read(&self) -> Result<Vec<u8>, String> {
        #[derive(Deserialize)]
        struct Document {
            issuer: String,
            jwks_uri: String,
        }
        match self {
            Self::File(path) => tokio::fs::read(path).await.map_err(|error| error.to_string()),
            Self::Url { client, url } => get(client, url).await,
            Self::Discovery { client, issuer, url } => {
                let document = serde_json::from_slice::<Document>(&get(client, url).await?)
                    .map_err(|error| format!("not a discovery document: {error}"))?;
                if document.issuer != *issuer {
                    return Err("the discovery document is another issuer's".to_owned());
                }
                get(client, &checked(&document.jwks_uri)?).await
            }
        }
    }
}

async fn get(client: &Client, url: &Url) -> Result<Vec<u8>, String> {
    let mut response = client.get(url.clone()).send().await.map_err(readable)?;
    if response.status() != http::StatusCode::OK {
        return Err(format!("the answer was {}", response.status()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(readable)? {
        if body.len() + chunk.len() > MAX_BYTES {
            return Err("the answer has more than 256 KiB".to_owned());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The message goes to our log, and a configured URL may hold a key.
fn readable(error: reqwest::Error) -> String {
    let error = error.without_url();
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

fn client(url: &Url) -> Result<Client, String> {
    // a redirect would be another source than the configured one
    let builder = Client::builder().redirect(Policy::none());
    // no proxy reaches our own loopback
    let builder = if is_loopback(url) { builder.no_proxy() } else { builder.https_only(true) };
    builder.build().map_err(|error| format!("cannot be fetched: {}", readable(error)))
}

/// Keys that came over a readable connection are anybody's keys.
fn checked(url: &str) -> Result<Url, String> {
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
