//! Which changes of a policy ask less of people than before.

use time::Duration;

use super::{AddressMatch, Policy, PolicyEdit, Role, policy::is_within};

/// The fields in which `new` asks less than `old`, each compared by itself; the others ask for more, for as much, or for
/// nothing. A field that is not named here does not compile.
pub fn weakened(old: &Policy, new: &Policy) -> PolicyEdit {
    let Policy {
        allowed_email_domains,
        blocked_email_domains,
        allowed_providers,
        address_match,
        max_attestation_age,
        approval_role,
        // how long something lives, and who is reminded of it
        invitation_lifetime: _,
        offer_lifetime: _,
        reminders: _,
        expiry_notifications: _,
    } = new;
    PolicyEdit {
        allowed_email_domains: admits_more(&old.allowed_email_domains, allowed_email_domains)
            .then(|| allowed_email_domains.clone()),
        blocked_email_domains: blocks_less(&old.blocked_email_domains, blocked_email_domains)
            .then(|| blocked_email_domains.clone()),
        allowed_providers: admits_more(&old.allowed_providers, allowed_providers).then(|| allowed_providers.clone()),
        address_match: (old.address_match != AddressMatch::Warn && *address_match == AddressMatch::Warn)
            .then_some(*address_match),
        max_attestation_age: takes_older(old.max_attestation_age, *max_attestation_age).then_some(*max_attestation_age),
        approval_role: approves_less(old.approval_role, *approval_role).then_some(*approval_role),
        ..PolicyEdit::default()
    }
}

/// An empty list admits all.
fn admits_more(old: &[String], new: &[String]) -> bool {
    !old.is_empty() && (new.is_empty() || new.iter().any(|entry| !old.contains(entry)))
}

/// A domain that is blocked blocks its subdomains.
fn blocks_less(old: &[String], new: &[String]) -> bool {
    old.iter().any(|domain| !new.iter().any(|listed| is_within(domain, listed)))
}

/// None is what the deployment takes, which is never less.
fn takes_older(old: Option<Duration>, new: Option<Duration>) -> bool {
    old.is_some_and(|old| new.is_none_or(|new| new > old))
}

/// A lower role has more offers approved; none has none.
fn approves_less(old: Option<Role>, new: Option<Role>) -> bool {
    old.is_some_and(|old| new.is_none_or(|new| new > old))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[&str]) -> Vec<String> {
        entries.iter().map(|entry| (*entry).to_owned()).collect()
    }

    #[test]
    fn a_list_of_what_is_admitted_is_weaker_where_it_admits_something_new() {
        for (old, new, is_weaker) in [
            (&[][..], &["a.example"][..], false),
            (&["a.example"], &["a.example"], false),
            (&["a.example", "b.example"], &["b.example", "a.example"], false),
            (&["a.example", "b.example"], &["b.example"], false),
            (&["a.example"], &["a.example", "a.example"], false),
            (&["a.example"], &[], true),
            (&["a.example"], &["a.example", "b.example"], true),
            (&["a.example"], &["b.example"], true),
            // other than where it is blocked, a subdomain is another domain
            (&["a.example"], &["sub.a.example"], true),
        ] {
            let policy = |list: Vec<String>| Policy { allowed_email_domains: list, ..Policy::default() };
            let providers = |list: Vec<String>| Policy { allowed_providers: list, ..Policy::default() };
            let weaker = weakened(&policy(list(old)), &policy(list(new)));
            assert_eq!(weaker.allowed_email_domains, is_weaker.then(|| list(new)), "{old:?} to {new:?}");
            let weaker = weakened(&providers(list(old)), &providers(list(new)));
            assert_eq!(weaker.allowed_providers, is_weaker.then(|| list(new)), "{old:?} to {new:?}");
        }
    }

    #[test]
    fn a_list_of_what_is_blocked_is_weaker_where_it_blocks_something_less() {
        for (old, new, is_weaker) in [
            (&[][..], &["a.example"][..], false),
            (&["a.example"], &["b.example", "a.example"], false),
            (&["sub.a.example"], &["a.example"], false),
            (&["a.example"], &[], true),
            (&["a.example"], &["sub.a.example"], true),
            (&["a.example"], &["other-a.example"], true),
            (&["other-a.example"], &["a.example"], true),
        ] {
            let policy = |list: Vec<String>| Policy { blocked_email_domains: list, ..Policy::default() };
            let weaker = weakened(&policy(list(old)), &policy(list(new)));
            assert_eq!(weaker.blocked_email_domains, is_weaker.then(|| list(new)), "{old:?} to {new:?}");
        }
    }

    #[test]
    fn a_rule_is_weaker_where_it_holds_for_less() {
        let roles = [None].into_iter().chain(Role::ALL.map(Some));
        for old in roles.clone() {
            for new in roles.clone() {
                let policy = |approval_role| Policy { approval_role, ..Policy::default() };
                let needs = |rule: Option<Role>| {
                    Role::ALL.into_iter().filter(move |role| policy(rule).needs_approval(*role)).count()
                };
                let expected = (needs(new) < needs(old)).then_some(new);
                assert_eq!(weakened(&policy(old), &policy(new)).approval_role, expected, "{old:?} to {new:?}");
            }
        }
        let ages = [None, Some(Duration::days(1)), Some(Duration::days(7))];
        for (old, new, is_weaker) in
            [(0, 1, false), (0, 2, false), (1, 1, false), (2, 1, false), (1, 2, true), (1, 0, true)]
        {
            let policy = |age: usize| Policy { max_attestation_age: ages[age], ..Policy::default() };
            let weaker = weakened(&policy(old), &policy(new)).max_attestation_age;
            assert_eq!(weaker, is_weaker.then_some(ages[new]), "{:?} to {:?}", ages[old], ages[new]);
        }
        let [warn, require] = [AddressMatch::Warn, AddressMatch::Require]
            .map(|address_match| Policy { address_match, ..Policy::default() });
        assert_eq!(weakened(&require, &warn).address_match, Some(AddressMatch::Warn));
        for (old, new) in [(&warn, &require), (&warn, &warn), (&require, &require)] {
            assert_eq!(weakened(old, new), PolicyEdit::default());
        }
    }

    #[test]
    fn what_asks_nothing_of_anybody_is_never_weaker() {
        let other = Policy {
            invitation_lifetime: Duration::hours(1),
            offer_lifetime: Duration::days(30),
            reminders: false,
            expiry_notifications: false,
            ..Policy::default()
        };
        assert_eq!(weakened(&other, &Policy::default()), PolicyEdit::default());
        assert_eq!(weakened(&Policy::default(), &other), PolicyEdit::default());
    }
}
