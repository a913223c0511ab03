//! An issuer's entry as it stands in the configuration: one `[[issuers]]` table of the file, or one object in the list
//! of `INVITATIONS_ISSUERS`. docs/issuers.md has an example of each kind.

use std::path::PathBuf;

use jsonwebtoken::Algorithm;
use serde::{Deserialize, Serialize};

use super::claims::OneOrMany;
use crate::domain::Username;

/// The provider whose tokens name a person by tenant and object id and attest addresses with `xms_edov`.
pub const ENTRA: &str = "entra";
pub const GITHUB: &str = "github";

/// Every `iss` of the dev issuer starts with this; nobody can serve keys there, so that no real issuer has it.
pub(crate) const DEV_ISSUERS: &str = "https://dev.invitations.ipmhub.io/";
/// What `algorithms` may hold, and is where it is absent.
pub(super) const ALGORITHMS: [Algorithm; 3] = [Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256];

/// Whose tokens count. Everything but `id`, `kind`, `provider`, `email_domains` and `github` is about JWTs; an entry
/// with `github` has no others.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerEntry {
    /// Stored with each identity and service, so it is chosen once: 3 to 39 of `a-z 0-9 -`.
    pub id: String,
    pub kind: IssuerKind,
    /// The `iss` claim, compared byte for byte. For entra it ends in `/v2.0` and has either `{tenantid}`, which stands
    /// for the token's `tid`, or the one listed tenant, as a part of its path.
    pub issuer: Option<String>,
    /// The `aud` claim must have it. No token may fit two entries: they differ in `issuer` or `audience`.
    pub audience: Option<String>,
    /// The issuer's keys; exactly one of `jwks_url`, `jwks_file` and `discovery` is set. URLs are https, or loopback.
    pub jwks_url: Option<String>,
    pub jwks_file: Option<PathBuf>,
    /// The keys are where `{issuer}/.well-known/openid-configuration` says, with `common` for `{tenantid}`.
    #[serde(default)]
    pub discovery: bool,
    /// PEM file with the only certificates to trust at `jwks_url` or discovery, for an issuer within a cluster; without
    /// it the system's. Read anew for each request.
    pub ca_file: Option<PathBuf>,
    /// File with a token to send to `jwks_url`, such as a pod's own one to Kubernetes. Read anew for each request.
    pub bearer_token_file: Option<PathBuf>,
    /// Some of `EdDSA`, `ES256` and `RS256`.
    #[serde(default = "all_algorithms")]
    pub algorithms: Vec<Algorithm>,
    /// How much the issuer's clock and ours may differ, in seconds, up to 60.
    #[serde(default = "usual_leeway")]
    pub leeway_seconds: u8,
    /// The `typ` header that tokens must have, such as `at+jwt`. Without it `JWT`, `at+jwt` and none are taken.
    pub typ: Option<String>,
    /// A scope that tokens must have in `scope` or `scp`; for entra it is required, and only `scp` counts. `user`, other
    /// providers: this or a `typ` other than `JWT` is required, because either tells access tokens from ID tokens.
    pub scope: Option<String>,
    /// `user`: `github`, `entra` or another name, shown to administrators and compared with their policies.
    pub provider: Option<String>,
    /// `user`: the domains whose addresses the issuer may attest; `"*"` only for github and entra.
    pub email_domains: Option<OneOrMany>,
    /// `user`, entra: the ids of the tenants that may sign in, or `"any"`: all but Microsoft's own for personal
    /// accounts, which has to be listed (`["any", "9188040d-6c67-4c5b-b112-36a304b66dad"]`).
    pub tenants: Option<OneOrMany>,
    /// `user`, entra: where an address counts though the token has no `xms_edov`, because the tenant's administrators
    /// are known to give its addresses only to those who own them.
    #[serde(default)]
    pub verified_domains: Vec<VerifiedDomain>,
    /// `user`, github: callers send the token that GitHub itself gave them, and GitHub is asked whose it is.
    pub github: Option<GithubEntry>,
    /// `service`: the services that may call; nobody else's token is taken.
    #[serde(default)]
    pub services: Vec<ServiceEntry>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IssuerKind {
    User,
    Service,
}

/// An Entra tenant whose word counts for the addresses of one domain.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifiedDomain {
    pub tenant: String,
    pub domain: String,
}

/// The OAuth app or GitHub App that callers have signed in to.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GithubEntry {
    pub client_id: String,
    /// File with the client secret, read anew for each check.
    pub client_secret_file: PathBuf,
    /// Where GitHub's REST API is: https, or http on loopback. `https://HOST/api/v3` for a server of one's own.
    #[serde(default = "github_api")]
    pub api_url: String,
    /// PEM file with the only certificates to trust there; without it the system's. Read at start.
    pub ca_file: Option<PathBuf>,
    /// Tokens that this process may have checked in a minute, 1 to 100000. Each is asked about once a minute while it
    /// is in use; half is for those that were good within the last 24 h. GitHub allows an app 5000 requests an hour, so
    /// all replicas together should stay at 80.
    #[serde(default = "usual_checks")]
    pub checks_per_minute: u32,
}

/// What one service may do. Where its token has a `scope` or `scp` claim, the scopes missing there are taken away.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceEntry {
    /// The `sub` claim; `*`, for the dev issuer only, is every one that has no entry of its own.
    pub subject: String,
    pub scopes: Vec<String>,
    /// Ids, or `"*"`, which `accounts.admin` and `mail.operate` need: they act on every organization.
    pub organizations: OneOrMany,
    /// The highest role that it may grant; CONTRIBUTOR where absent.
    pub highest_role: Option<String>,
}

impl IssuerEntry {
    /// An entry with nothing but its name.
    pub fn new(id: &str, kind: IssuerKind) -> Self {
        Self {
            id: id.to_owned(),
            kind,
            issuer: None,
            audience: None,
            jwks_url: None,
            jwks_file: None,
            discovery: false,
            ca_file: None,
            bearer_token_file: None,
            algorithms: all_algorithms(),
            leeway_seconds: usual_leeway(),
            typ: None,
            scope: None,
            provider: None,
            email_domains: None,
            tenants: None,
            verified_domains: Vec::new(),
            github: None,
            services: Vec::new(),
        }
    }

    /// Whether it trusts the dev issuer, whose key lies on a developer's disk. `serve` must not start with one.
    pub fn is_dev(&self) -> bool {
        self.issuer.as_ref().is_some_and(|issuer| issuer.starts_with(DEV_ISSUERS))
    }
}

/// All our ids follow the rule of usernames.
pub(super) fn is_id(text: &str) -> bool {
    Username::parse(text).is_some()
}

fn all_algorithms() -> Vec<Algorithm> {
    ALGORITHMS.to_vec()
}

fn usual_leeway() -> u8 {
    30
}

fn github_api() -> String {
    "https://api.github.com".to_owned()
}

/// With two replicas below 5000 an hour.
fn usual_checks() -> u32 {
    40
}
