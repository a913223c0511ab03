//! The dev issuer: a key of its own in the state directory, and tokens for whoever a developer wants to be.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use jsonwebtoken::{
    Algorithm, EncodingKey, Header, encode,
    jwk::{Jwk, JwkSet, ThumbprintHash},
};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::{
    domain::Scope,
    identity::{DEV_ISSUERS, ENTRA, GITHUB, IssuerEntry, IssuerKind, OneOrMany, ServiceEntry},
};

const AUDIENCE: &str = "invitations";
const LIFETIME: Duration = Duration::hours(12);
/// The one tenant of dev's Entra.
const TENANT: &str = "00000000-0000-4000-8000-00000000de00";
/// What Entra calls it by default when an app is to act for the person who has signed in.
const ENTRA_SCOPE: &str = "access_as_user";
/// What tells an access token from an ID token (RFC 9068).
const TYP: &str = "at+jwt";

/// What kind of account a dev user signs in with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Provider {
    Github,
    Entra,
}

/// The entries that make a server in `dev` trust this directory's key: `dev-github`, `dev-entra`, `dev-services`.
///
/// Every service exists, reaches every organization and grants at most the default role; its token's `scope` claim
/// says what it may do.
pub fn entries(dir: &Path) -> io::Result<Vec<IssuerEntry>> {
    let (_, jwk) = key(dir)?;
    let jwks_file = dir.join("issuer.jwks");
    let json = serde_json::to_vec(&JwkSet { keys: vec![jwk] })?;
    // written beside and renamed, so that a server that reads it now never sees half of it
    let new = private_file(dir, &json)?;
    fs::rename(new, &jwks_file)?;

    let entry = |kind, name: &str| IssuerEntry {
        issuer: Some(issuer(name)),
        audience: Some(AUDIENCE.to_owned()),
        jwks_file: Some(jwks_file.clone()),
        algorithms: vec![Algorithm::EdDSA],
        ..IssuerEntry::new(&format!("dev-{name}"), kind)
    };
    let user = |provider: &str| IssuerEntry {
        typ: Some(TYP.to_owned()),
        provider: Some(provider.to_owned()),
        email_domains: Some(OneOrMany::One("*".to_owned())),
        ..entry(IssuerKind::User, provider)
    };
    let any_service = ServiceEntry {
        subject: "*".to_owned(),
        scopes: Scope::ALL.map(|scope| scope.as_str().to_owned()).to_vec(),
        organizations: OneOrMany::One("*".to_owned()),
        highest_role: None,
    };
    Ok(vec![
        user(GITHUB),
        IssuerEntry {
            tenants: Some(OneOrMany::One(TENANT.to_owned())),
            scope: Some(ENTRA_SCOPE.to_owned()),
            ..user(ENTRA)
        },
        IssuerEntry { services: vec![any_service], ..entry(IssuerKind::Service, "services") },
    ])
}

/// A token for a person, good for 12 h; without an address it says nothing about addresses.
pub fn user_token(
    dir: &Path,
    subject: &str,
    email: Option<&str>,
    verified: bool,
    provider: Provider,
) -> io::Result<String> {
    let mut claims = match provider {
        Provider::Github => json!({"iss": issuer(GITHUB), "sub": subject}),
        Provider::Entra => json!({
            "iss": issuer(ENTRA), "ver": "2.0", "sub": subject, "tid": TENANT, "oid": subject, "scp": ENTRA_SCOPE,
        }),
    };
    if let Some(email) = email {
        claims["email"] = email.into();
        let flag = if provider == Provider::Entra { "xms_edov" } else { "email_verified" };
        claims[flag] = verified.into();
    }
    sign(dir, claims)
}

/// A token for a service with these scopes, good for 12 h.
pub fn service_token(dir: &Path, name: &str, scopes: &[Scope]) -> io::Result<String> {
    let scope = scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" ");
    sign(dir, json!({"iss": issuer("services"), "sub": name, "scope": scope}))
}

fn issuer(name: &str) -> String {
    // each of Entra's tenants is an issuer of its own
    let below = if name == ENTRA { format!("/{TENANT}/v2.0") } else { String::new() };
    format!("{DEV_ISSUERS}{name}{below}")
}

fn sign(dir: &Path, mut claims: Value) -> io::Result<String> {
    let (key, jwk) = key(dir)?;
    let now = OffsetDateTime::now_utc();
    claims["aud"] = AUDIENCE.into();
    claims["iat"] = now.unix_timestamp().into();
    claims["exp"] = (now + LIFETIME).unix_timestamp().into();
    let header = Header { typ: Some(TYP.to_owned()), kid: jwk.common.key_id, ..Header::new(Algorithm::EdDSA) };
    encode(&header, &claims, &key).map_err(io::Error::other)
}

/// The directory's key, made on first use.
fn key(dir: &Path) -> io::Result<(EncodingKey, Jwk)> {
    let path = dir.join("issuer");
    if !path.exists() {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let new = private_file(dir, new_key().as_bytes())?;
        // of two processes that come here at once, the first one's key counts
        let linked = fs::hard_link(&new, &path);
        fs::remove_file(new)?;
        linked.or_else(|error| if path.exists() { Ok(()) } else { Err(error) })?;
    }
    let key = EncodingKey::from_ed_pem(&fs::read(&path)?).map_err(|error| {
        io::Error::other(format!("{} is not an Ed25519 key, remove it to get a new one: {error}", path.display()))
    })?;
    let mut jwk = Jwk::from_encoding_key(&key, Algorithm::EdDSA).map_err(io::Error::other)?;
    jwk.common.key_id = Some(jwk.thumbprint(ThumbprintHash::SHA256).map_err(io::Error::other)?);
    Ok((key, jwk))
}

/// An Ed25519 key as PEM. RFC 8410, section 7: a fixed prefix, then 32 random bytes.
fn new_key() -> String {
    const PREFIX: [u8; 16] = *b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
    let der = [PREFIX, rand::random(), rand::random()].concat();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der))
}

/// Writes a file that only its owner reads, under a name that nobody else uses.
fn private_file(dir: &Path, content: &[u8]) -> io::Result<PathBuf> {
    let path = dir.join(format!(".issuer-{}", uuid::Uuid::new_v4()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    file.write_all(content)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::fs::PermissionsExt,
        sync::{Arc, Barrier},
        thread,
    };

    use super::*;
    use crate::{
        domain::{Identity, Role},
        identity::{Credential, Verifier},
    };

    struct Dir(PathBuf);

    impl Dir {
        fn new() -> Self {
            Self(std::env::temp_dir().join(format!("invitations-test-{}", uuid::Uuid::new_v4())))
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    async fn user(verifier: &Verifier, token: &str) -> Identity {
        match verifier.verify(token).await.unwrap() {
            Credential::User(identity) => Arc::unwrap_or_clone(identity),
            Credential::Service(service) => panic!("{service:?}"),
        }
    }

    #[tokio::test]
    async fn minted_tokens_are_good_for_the_entries_of_the_same_directory() {
        let dir = Dir::new();
        // a token may come before the server
        let github = user_token(&dir.0, "anna", Some("anna@example.com"), true, Provider::Github).unwrap();
        let entries = entries(&dir.0).unwrap();
        assert!(entries.iter().all(IssuerEntry::is_dev));
        let verifier = Verifier::new(entries).unwrap();

        let anna = user(&verifier, &github).await;
        assert_eq!((anna.issuer.as_str(), anna.subject), ("dev-github", vec!["anna".to_owned()]));
        assert_eq!(anna.emails.unwrap()[0].typed(), "anna@example.com");
        for provider in [Provider::Github, Provider::Entra] {
            let token = user_token(&dir.0, "anna", Some("anna@example.com"), false, provider).unwrap();
            assert_eq!(user(&verifier, &token).await.emails, Some(vec![]));
            let token = user_token(&dir.0, "anna", None, true, provider).unwrap();
            assert_eq!(user(&verifier, &token).await.emails, None);
        }
        let entra = user_token(&dir.0, "anna", Some("anna@example.com"), true, Provider::Entra).unwrap();
        let anna = user(&verifier, &entra).await;
        assert_eq!((anna.issuer.as_str(), anna.subject), ("dev-entra", vec![TENANT.to_owned(), "anna".to_owned()]));
        assert_eq!(anna.emails.unwrap().len(), 1);

        let scopes = [Scope::InvitationsRead, Scope::MailOperate];
        let token = service_token(&dir.0, "gateway", &scopes).unwrap();
        let Credential::Service(service) = verifier.verify(&token).await.unwrap() else { panic!() };
        assert_eq!((service.issuer.as_str(), service.subject.as_str()), ("dev-services", "gateway"));
        assert_eq!((&service.scopes[..], &service.organizations), (&scopes[..], &None));
        assert_eq!(service.highest_role, Role::Contributor);
        assert!(verifier.verify(&service_token(&dir.0, "*", &scopes).unwrap()).await.is_err());
    }

    #[tokio::test]
    async fn another_directorys_tokens_are_refused() {
        let (ours, theirs) = (Dir::new(), Dir::new());
        let verifier = Verifier::new(entries(&ours.0).unwrap()).unwrap();
        let token = |dir: &Dir| user_token(&dir.0, "anna", None, true, Provider::Github).unwrap();
        assert!(verifier.verify(&token(&theirs)).await.is_err());
        assert!(verifier.verify(&token(&ours)).await.is_ok());
    }

    #[test]
    fn the_key_is_private_and_stays_the_same() {
        let dir = Dir::new();
        entries(&dir.0).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&dir.0), mode(&dir.0.join("issuer"))), (0o700, 0o600));
        let first = fs::read(dir.0.join("issuer")).unwrap();
        entries(&dir.0).unwrap();
        assert_eq!(fs::read(dir.0.join("issuer")).unwrap(), first);
        assert_eq!(fs::read_dir(&dir.0).unwrap().count(), 2);
    }

    #[test]
    fn processes_that_start_at_once_agree_on_one_key() {
        for _ in 0..100 {
            let dir = Dir::new();
            let together = Barrier::new(4);
            let one = || {
                together.wait();
                key(&dir.0).unwrap().1
            };
            let keys = thread::scope(|scope| [(); 4].map(|()| scope.spawn(one)).map(|thread| thread.join().unwrap()));
            assert!(keys.iter().all(|key| *key == keys[0]));
        }
    }
}
