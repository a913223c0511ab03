//! What is Entra's own: one issuer for each tenant, whose `iss` is a template filled with the token's `tid`.
//!
//! Microsoft's rules for access tokens of the v2.0 endpoint: the `iss` and the key have to be those of the token's
//! tenant, the audience alone does not tell an access token of a person from an ID token or from a daemon's token, and
//! the `email` claim is whatever a tenant's administrator typed (nOAuth) unless `xms_edov` says otherwise.

use uuid::Uuid;

use super::claims::{Claims, OneOrMany};

/// Stands in an `iss` for the tenant's id, as in Entra's own discovery document and key set.
pub(super) const PLACEHOLDER: &str = "{tenantid}";
/// The tenant of all personal Microsoft accounts: anybody can sign in to it.
const CONSUMERS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
/// In `tenants`: every tenant but [`CONSUMERS`].
const ANY: &str = "any";

/// The tenants that may sign in.
#[derive(Debug)]
pub(super) struct Tenants {
    any: bool,
    listed: Vec<String>,
}

impl Tenants {
    pub fn new(tenants: &OneOrMany) -> Option<Self> {
        let (any, listed) = tenants.as_slice().iter().cloned().partition::<Vec<_>, _>(|tenant| tenant == ANY);
        let is_good = tenants.as_slice() != [""; 0] && listed.iter().all(|tenant| is_tenant_id(tenant));
        is_good.then_some(Self { any: !any.is_empty(), listed })
    }

    pub fn admits(&self, tenant: &str) -> bool {
        let is_listed = self.listed.iter().any(|listed| listed == tenant);
        is_listed || (self.any && tenant != CONSUMERS && is_tenant_id(tenant))
    }

    /// The tenant, if there can be no other.
    fn only(&self) -> Option<&str> {
        match (self.any, self.listed.as_slice()) {
            (false, [one]) => Some(one),
            _ => None,
        }
    }

    fn overlaps(&self, other: &Self) -> bool {
        (self.any && other.any)
            || self.listed.iter().any(|tenant| other.admits(tenant))
            || other.listed.iter().any(|tenant| self.admits(tenant))
    }
}

/// Ids are compared byte for byte, so only the form that Entra writes is one.
pub(super) fn is_tenant_id(text: &str) -> bool {
    Uuid::try_parse(text).is_ok_and(|id| id.to_string() == *text)
}

/// The `iss` that a token of this tenant has.
pub(super) fn filled(template: &str, tenant: &str) -> String {
    template.replace(PLACEHOLDER, tenant)
}

/// Checks an entry's `issuer`: of the v2.0 endpoint, and bound to the token's tenant.
pub(super) fn check_template(issuer: &str, tenants: &Tenants) -> Result<(), String> {
    if !issuer.ends_with("/v2.0") {
        return Err("issuer must be of the v2.0 endpoint and end in /v2.0 for provider \"entra\"".to_owned());
    }
    let has = |part: &str| issuer.split('/').filter(|segment| *segment == part).count() == 1;
    let is_template = has(PLACEHOLDER) && issuer.matches('{').count() == 1;
    if is_template || tenants.only().is_some_and(|tenant| has(tenant) && !issuer.contains('{')) {
        return Ok(());
    }
    Err(format!("issuer must have {PLACEHOLDER}, or the id of the only one of tenants, between two slashes"))
}

/// Whether one `iss` could fit both; the tenants are those of an issuer with [`PLACEHOLDER`].
pub(super) fn overlap((one, tenants): (&str, Option<&Tenants>), (two, others): (&str, Option<&Tenants>)) -> bool {
    let segments = |issuer: &str| issuer.split('/').map(str::to_owned).collect::<Vec<_>>();
    let (one, two) = (segments(one), segments(two));
    let fits = |a: &str, b: &str| match (a == PLACEHOLDER, b == PLACEHOLDER) {
        (false, false) => a == b,
        (true, false) => tenants.is_some_and(|tenants| tenants.admits(b)),
        (false, true) => others.is_some_and(|others| others.admits(a)),
        (true, true) => tenants.zip(others).is_some_and(|(tenants, others)| tenants.overlaps(others)),
    };
    one.len() == two.len() && one.iter().zip(&two).all(|(a, b)| fits(a, b))
}

/// The conditions on a token of a tenant's issuer beside those of every issuer; `scope` is the configured one.
pub(super) fn check(claims: &Claims, scope: &str) -> Result<(), &'static str> {
    if claims.ver()? != Some("2.0") {
        Err("not of Entra's v2.0 endpoint")
    } else if claims.idtyp()? == Some("app") {
        Err("a daemon's token")
    } else if !claims.has_scp(scope)? {
        // an ID token has none, nor has a daemon's token
        Err("without the required scope")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "8d8ac610-566d-4ef0-9c22-186b2a5ed793";
    const TWO: &str = "11111111-2222-4333-8444-555555555555";

    fn tenants(list: &[&str]) -> Tenants {
        Tenants::new(&OneOrMany::Many(list.iter().map(|one| (*one).to_owned()).collect())).unwrap()
    }

    #[test]
    fn the_tenant_of_personal_accounts_has_to_be_listed() {
        assert!(tenants(&["any"]).admits(ONE));
        assert!(!tenants(&["any"]).admits(CONSUMERS));
        assert!(tenants(&["any", CONSUMERS]).admits(CONSUMERS));
        assert!(tenants(&[CONSUMERS]).admits(CONSUMERS));
        assert!(!tenants(&[CONSUMERS]).admits(ONE));
        for none in ["", "common", &ONE.to_uppercase(), "{8d8ac610-566d-4ef0-9c22-186b2a5ed793}"] {
            assert!(!tenants(&["any"]).admits(none), "{none}");
        }
        assert!(Tenants::new(&OneOrMany::Many(Vec::new())).is_none());
        assert!(Tenants::new(&OneOrMany::One(ONE.to_uppercase())).is_none());
    }

    #[test]
    fn an_issuer_is_bound_to_a_tenant() {
        let check = |issuer: &str, list: &[&str]| check_template(issuer, &tenants(list)).is_ok();
        assert!(check("https://login.example/{tenantid}/v2.0", &["any"]));
        assert!(check(&format!("https://login.example/{ONE}/v2.0"), &[ONE]));
        for (issuer, list) in [
            ("https://login.example/{tenantid}", &["any"][..]),
            ("https://login.example/{tenantid}/v2.0/", &["any"]),
            ("https://login.example/v2.0", &[ONE]),
            ("https://login.example/x{tenantid}/v2.0", &["any"]),
            ("https://login.example/{tenantid}/{tenantid}/v2.0", &["any"]),
            ("https://login.example/{tenant}/v2.0", &["any"]),
            (&format!("https://login.example/{ONE}/v2.0"), &["any"]),
            (&format!("https://login.example/{ONE}/v2.0"), &[ONE, TWO]),
            (&format!("https://login.example/{ONE}/v2.0"), &[TWO]),
        ] {
            assert!(!check(issuer, list), "{issuer} {list:?}");
        }
    }

    #[test]
    fn templates_overlap_where_a_tenant_could_sign_in_by_both() {
        const TEMPLATE: &str = "https://login.example/{tenantid}/v2.0";
        let any = tenants(&["any"]);
        let one = tenants(&[ONE]);
        let concrete = |tenant: &str| format!("https://login.example/{tenant}/v2.0");
        let both = |a: (&str, &Tenants), b: &str| {
            let there = overlap((a.0, Some(a.1)), (b, None));
            assert_eq!(there, overlap((b, None), (a.0, Some(a.1))), "both ways are the same");
            there
        };
        assert!(both((TEMPLATE, &any), &concrete(ONE)));
        assert!(!both((TEMPLATE, &any), &concrete(CONSUMERS)));
        assert!(both((TEMPLATE, &one), &concrete(ONE)));
        assert!(!both((TEMPLATE, &one), &concrete(TWO)));
        assert!(!both((TEMPLATE, &any), "https://other.example/8d8ac610-566d-4ef0-9c22-186b2a5ed793/v2.0"));
        let templates = |a: &Tenants, b: &Tenants| overlap((TEMPLATE, Some(a)), (TEMPLATE, Some(b)));
        assert!(templates(&any, &any) && templates(&any, &one) && templates(&one, &any));
        assert!(!templates(&any, &tenants(&[CONSUMERS])) && !templates(&one, &tenants(&[TWO])));
    }
}
