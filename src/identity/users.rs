//! People: which identity a token of a user issuer names, and which addresses it attests.

use time::OffsetDateTime;

use super::{
    claims::{Claims, OneOrMany},
    entra::{self, Tenants},
    entry::{ENTRA, GITHUB, IssuerEntry, is_id},
};
use crate::domain::{EmailAddress, ID_RULE, Identity, a_label};

/// The longest subject, in bytes (OIDC Core 2 has the same limit).
const MAX_SUBJECT_BYTES: usize = 255;

/// What an entry says about the people who sign in by it.
#[derive(Debug)]
pub(super) struct Users {
    pub provider: String,
    /// Of Entra; `None` for other providers.
    pub tenants: Option<Tenants>,
    domains: EmailDomains,
    /// Tenant and A-label.
    verified_domains: Vec<(String, String)>,
}

/// The domains whose addresses an issuer may attest, as A-labels; `None` is every domain.
#[derive(Debug)]
pub(super) struct EmailDomains(Option<Vec<String>>);

impl EmailDomains {
    /// `"*"` is only for github and entra, which verify addresses themselves.
    pub fn new(entry: &IssuerEntry) -> Result<Self, String> {
        let domains = entry.email_domains.as_ref().map_or(&[][..], OneOrMany::as_slice);
        if domains == ["*"] && entry.provider.as_deref().is_some_and(|provider| [GITHUB, ENTRA].contains(&provider)) {
            return Ok(Self(None));
        }
        let labels = domains.iter().map(|domain| a_label(domain)).collect::<Option<Vec<_>>>();
        let labels = labels.filter(|labels| !labels.is_empty());
        let rule = "email_domains must list domains such as example.com (\"*\" only for github and entra)";
        labels.map(|labels| Self(Some(labels))).ok_or_else(|| rule.to_owned())
    }

    pub fn have(&self, domain: &str) -> bool {
        self.0.as_ref().is_none_or(|domains| domains.iter().any(|one| one == domain))
    }
}

impl Users {
    /// An error names the field.
    pub fn new(entry: &IssuerEntry) -> Result<Self, String> {
        let Some(provider) = entry.provider.clone().filter(|provider| is_id(provider)) else {
            return Err(format!("provider is required and {ID_RULE}"));
        };
        let tenants = entry.tenants.as_ref().map(Tenants::new);
        let tenants = match (provider == ENTRA, tenants) {
            (true, Some(Some(tenants))) => Some(tenants),
            (false, None) => None,
            _ => {
                let rule = "tenants must list tenant ids in lower case or be \"any\" for provider \"entra\", and be \
                            absent for others";
                return Err(rule.to_owned());
            }
        };
        let domains = EmailDomains::new(entry)?;
        let verified_domains = verified_domains(entry, tenants.as_ref(), &domains)?;
        if let Some(tenants) = &tenants {
            entra::check_template(entry.issuer.as_deref().unwrap_or_default(), tenants)?;
        }
        Ok(Self { provider, tenants, domains, verified_domains })
    }

    /// Whom a token names that holds every condition.
    pub fn identity(&self, issuer: &str, claims: &Claims) -> Result<Identity, &'static str> {
        let (subject, tenant) = if self.tenants.is_some() {
            let (Some(tid), Some(oid)) = (claims.tid()?, claims.oid()?) else {
                return Err("without tid or oid");
            };
            (vec![tid.to_owned(), subject(oid)?.to_owned()], Some(tid.to_owned()))
        } else {
            (vec![subject(claims.sub()?)?.to_owned()], None)
        };
        Ok(Identity {
            issuer: issuer.to_owned(),
            subject,
            provider: self.provider.clone(),
            tenant,
            emails: self.attested(claims)?,
            attest_time: OffsetDateTime::from_unix_timestamp(claims.times()?.iat).map_err(|_| "iat is no time")?,
        })
    }

    /// The address that counts as the person's: verified, and of a domain that this issuer may speak for.
    fn attested(&self, claims: &Claims) -> Result<Option<Vec<EmailAddress>>, &'static str> {
        let counts =
            |email: &EmailAddress| self.is_verified(claims, email.domain()) && self.domains.have(email.domain());
        Ok(claims.email()?.map(|email| EmailAddress::parse(email).filter(counts).into_iter().collect()))
    }

    fn is_verified(&self, claims: &Claims, domain: &str) -> bool {
        if self.tenants.is_none() {
            return claims.email_is_verified();
        }
        let by_rule = |(tenant, ours): &(String, String)| claims.tid() == Ok(Some(tenant)) && ours == domain;
        claims.email_domain_owner_is_verified() || self.verified_domains.iter().any(by_rule)
    }
}

fn verified_domains(
    entry: &IssuerEntry,
    tenants: Option<&Tenants>,
    domains: &EmailDomains,
) -> Result<Vec<(String, String)>, String> {
    let rule =
        "verified_domains must have an admitted tenant and a domain of email_domains each, for provider \"entra\"";
    let verified = entry.verified_domains.iter().map(|one| {
        let domain = a_label(&one.domain).filter(|domain| domains.have(domain))?;
        tenants.is_some_and(|tenants| tenants.admits(&one.tenant)).then(|| (one.tenant.clone(), domain))
    });
    verified.collect::<Option<Vec<_>>>().ok_or_else(|| rule.to_owned())
}

/// Postgres takes no NUL in a text, and a control character in a log line is a trap.
pub(super) fn subject(text: &str) -> Result<&str, &'static str> {
    if text.is_empty() || text.len() > MAX_SUBJECT_BYTES || text.contains(char::is_control) {
        return Err("its subject is empty, longer than 255 bytes or has a control character");
    }
    Ok(text)
}
