//! Decodes what an organization sets: field by field, for creating one and for changing one.

#![expect(clippy::option_option, reason = "the outer one says that the field is good, the inner one that it is given")]

use time::Duration;

use super::fields::{Fields, LONGEST_LIST, is_short};
use super::update_mask;
use crate::domain::{AddressMatch, Edit, FieldFault, LimitsEdit, OrganizationLimits, PolicyEdit, a_label};
use crate::pb;

/// What can be set, by the paths of `update_mask`.
const PATHS: [&str; 18] = [
    "display_name",
    "notification_email",
    "locale",
    "seat_limit",
    "limits",
    "limits.invitations_per_day",
    "limits.open_invitations",
    "policy",
    "policy.allowed_email_domains",
    "policy.blocked_email_domains",
    "policy.allowed_providers",
    "policy.address_match",
    "policy.invitation_lifetime",
    "policy.offer_lifetime",
    "policy.max_attestation_age",
    "policy.approval_role",
    "policy.reminders_disabled",
    "policy.expiry_notifications_disabled",
];
/// What a mask may name without effect (AIP-134, AIP-203).
const NOT_SET: [&str; 7] =
    ["name", "notification_email_verified", "seats_taken", "create_time", "update_time", "etag", "pending_change"];
/// The highest limit that an organization can have of its own.
const MAX_LIMIT: i32 = 1_000_000;
/// How long a list of names in a rule gets, in bytes.
const MOST_LISTED: usize = 60;

/// What an update changes. Without a mask it is what the message holds, down to the single field of the policy; `*` is
/// everything.
pub fn edit(
    fields: &mut Fields,
    organization: &pb::Organization,
    mask: Option<&prost_types::FieldMask>,
    providers: &[String],
) -> Option<Edit> {
    let given = mask.map(|mask| mask.paths.as_slice()).unwrap_or_default();
    let is_path = |path: &str| path == "*" || PATHS.contains(&path) || NOT_SET.contains(&path);
    update_mask::check(fields, given, "paths of Organization", is_path);
    let held = held(organization);
    let named = |path: &str| {
        let whole = path.split('.').next().unwrap_or_default();
        let is_given = |given: &String| given == "*" || given == path || given == whole;
        if given.is_empty() { held.contains(&path) } else { given.iter().any(is_given) }
    };
    let field = |path: &str| format!("organization.{path}");

    let display_name = fields.optional(named("display_name"), |fields| {
        fields.display_name(&field("display_name"), &organization.display_name)
    });
    let notification_email = fields.optional(named("notification_email"), |fields| {
        fields.email(&field("notification_email"), &organization.notification_email)
    });
    let locale = fields.optional(named("locale"), |fields| {
        Some(fields.locale(&field("locale"), &organization.locale)?.unwrap_or_else(default_locale))
    });
    let seat_limit = fields.optional(named("seat_limit"), |fields| seat_limit(fields, organization));
    let limits = organization.limits.unwrap_or_default();
    let mut limit =
        |path: &str, given| fields.optional(named(&format!("limits.{path}")), |fields| limit(fields, path, given));
    let invitations_per_day = limit("invitations_per_day", limits.invitations_per_day);
    let open_invitations = limit("open_invitations", limits.open_invitations);
    let etag = fields.etag(&field("etag"), &organization.etag);
    let none = pb::Policy::default();
    let policy = organization.policy.as_ref().unwrap_or(&none);
    let policy = policy_edit(fields, policy, providers, |path| named(&format!("policy.{path}")));
    Some(Edit {
        display_name: display_name?,
        notification_email: notification_email?,
        locale: locale?,
        policy: policy?,
        seat_limit: seat_limit?,
        limits: LimitsEdit { invitations_per_day: invitations_per_day?, open_invitations: open_invitations? },
        etag: etag?,
    })
}

/// The paths of what a message holds: texts that are not empty, flags that are set, lists with an entry.
fn held(organization: &pb::Organization) -> Vec<&'static str> {
    let none = pb::Policy::default();
    let policy = organization.policy.as_ref().unwrap_or(&none);
    let limits = organization.limits.unwrap_or_default();
    let held = [
        ("display_name", !organization.display_name.is_empty()),
        ("notification_email", !organization.notification_email.is_empty()),
        ("locale", !organization.locale.is_empty()),
        ("seat_limit", organization.seat_limit.is_some()),
        ("limits.invitations_per_day", limits.invitations_per_day.is_some()),
        ("limits.open_invitations", limits.open_invitations.is_some()),
        ("policy.allowed_email_domains", !policy.allowed_email_domains.is_empty()),
        ("policy.blocked_email_domains", !policy.blocked_email_domains.is_empty()),
        ("policy.allowed_providers", !policy.allowed_providers.is_empty()),
        ("policy.address_match", policy.address_match != 0),
        ("policy.invitation_lifetime", policy.invitation_lifetime.is_some()),
        ("policy.offer_lifetime", policy.offer_lifetime.is_some()),
        ("policy.max_attestation_age", policy.max_attestation_age.is_some()),
        ("policy.approval_role", policy.approval_role != 0),
        ("policy.reminders_disabled", policy.reminders_disabled),
        ("policy.expiry_notifications_disabled", policy.expiry_notifications_disabled),
    ];
    held.into_iter().filter(|(_, is_held)| *is_held).map(|(path, _)| path).collect()
}

pub fn default_locale() -> String {
    "en".to_owned()
}

/// `None` within: no limit.
pub fn seat_limit(fields: &mut Fields, organization: &pb::Organization) -> Option<Option<i32>> {
    if organization.seat_limit.is_some_and(|limit| limit < 0) {
        fields.refuse("organization.seat_limit", FieldFault::OutOfRange, "must be 0 or more, or unset for no limit");
        return None;
    }
    Some(organization.seat_limit)
}

/// The limits as a whole; what is not set is the deployment's.
pub fn limits(fields: &mut Fields, limits: Option<&pb::OrganizationLimits>) -> Option<OrganizationLimits> {
    let limits = limits.copied().unwrap_or_default();
    let invitations_per_day = limit(fields, "invitations_per_day", limits.invitations_per_day);
    let open_invitations = limit(fields, "open_invitations", limits.open_invitations);
    Some(OrganizationLimits { invitations_per_day: invitations_per_day?, open_invitations: open_invitations? })
}

/// `None` within: the limit of the deployment.
fn limit(fields: &mut Fields, path: &str, limit: Option<i32>) -> Option<Option<i32>> {
    if limit.is_some_and(|limit| !(0..=MAX_LIMIT).contains(&limit)) {
        let rule = "must be from 0 to 1000000, or unset for the limit of the deployment";
        fields.refuse(&format!("organization.limits.{path}"), FieldFault::OutOfRange, rule);
        return None;
    }
    Some(limit)
}

/// The policy as a whole; what is not set has its default.
pub fn policy(fields: &mut Fields, policy: Option<&pb::Policy>, providers: &[String]) -> Option<PolicyEdit> {
    match policy {
        None => Some(PolicyEdit::default()),
        Some(policy) => policy_edit(fields, policy, providers, |_| true),
    }
}

/// What is not named is not looked at.
fn policy_edit(
    fields: &mut Fields,
    policy: &pb::Policy,
    providers: &[String],
    named: impl Fn(&str) -> bool,
) -> Option<PolicyEdit> {
    let or_default = |time: Option<Duration>| time.unwrap_or(crate::domain::DEFAULT_LIFETIME);
    let allowed_email_domains = fields.optional(named("allowed_email_domains"), |fields| {
        domains(fields, "allowed_email_domains", &policy.allowed_email_domains)
    });
    let blocked_email_domains = fields.optional(named("blocked_email_domains"), |fields| {
        domains(fields, "blocked_email_domains", &policy.blocked_email_domains)
    });
    let allowed_providers = fields
        .optional(named("allowed_providers"), |fields| allowed_providers(fields, &policy.allowed_providers, providers));
    let address_match = fields.optional(named("address_match"), |fields| address_match(fields, policy.address_match));
    let mut time = |path: &str, given: Option<&prost_types::Duration>| {
        fields.optional(named(path), |fields| fields.lifetime(&format!("organization.policy.{path}"), given))
    };
    let invitation_lifetime = time("invitation_lifetime", policy.invitation_lifetime.as_ref());
    let offer_lifetime = time("offer_lifetime", policy.offer_lifetime.as_ref());
    let max_attestation_age = time("max_attestation_age", policy.max_attestation_age.as_ref());
    let approval_role = fields.optional(named("approval_role"), |fields| match policy.approval_role {
        0 => Some(None),
        role => fields.role("organization.policy.approval_role", role).map(Some),
    });
    Some(PolicyEdit {
        allowed_email_domains: allowed_email_domains?,
        blocked_email_domains: blocked_email_domains?,
        allowed_providers: allowed_providers?,
        address_match: address_match?,
        invitation_lifetime: invitation_lifetime?.map(or_default),
        offer_lifetime: offer_lifetime?.map(or_default),
        max_attestation_age: max_attestation_age?,
        approval_role: approval_role?,
        reminders: named("reminders_disabled").then_some(!policy.reminders_disabled),
        expiry_notifications: named("expiry_notifications_disabled").then_some(!policy.expiry_notifications_disabled),
    })
}

fn address_match(fields: &mut Fields, given: i32) -> Option<AddressMatch> {
    match pb::policy::AddressMatch::try_from(given) {
        Ok(pb::policy::AddressMatch::Require) => Some(AddressMatch::Require),
        Ok(pb::policy::AddressMatch::Warn | pb::policy::AddressMatch::Unspecified) => Some(AddressMatch::Warn),
        Err(_) => {
            let rule = "must be WARN or REQUIRE";
            fields.refuse("organization.policy.address_match", FieldFault::UnknownValue, rule);
            None
        }
    }
}

fn domains(fields: &mut Fields, path: &str, given: &[String]) -> Option<Vec<String>> {
    let short = Some(given).filter(|given| is_short(given));
    let domains = short.and_then(|given| given.iter().map(|domain| a_label(domain)).collect::<Option<Vec<_>>>());
    if domains.is_none() {
        let fault = if short.is_none() { FieldFault::TooMany } else { FieldFault::Malformed };
        let rule = "must hold at most 100 domains such as example.com, each with a dot, without @ and wildcards";
        fields.refuse(&format!("organization.policy.{path}"), fault, rule);
    }
    domains
}

/// Only what somebody can sign in with: a misspelt one would lock everybody out.
fn allowed_providers(fields: &mut Fields, given: &[String], providers: &[String]) -> Option<Vec<String>> {
    let path = "organization.policy.allowed_providers";
    if !is_short(given) {
        fields.refuse(path, FieldFault::TooMany, format!("must hold at most {LONGEST_LIST} providers"));
        return None;
    }
    if given.iter().any(|name| !providers.contains(name)) {
        fields.refuse(path, FieldFault::UnknownValue, format!("must be providers of here: {}", listed(providers)));
        return None;
    }
    Some(given.to_vec())
}

/// As many names as a rule has room for.
fn listed(names: &[String]) -> String {
    let mut listed = String::new();
    for name in names {
        if listed.len() + name.len() > MOST_LISTED {
            return listed + "…";
        }
        listed = if listed.is_empty() { name.clone() } else { format!("{listed}, {name}") };
    }
    if listed.is_empty() { "there are none".to_owned() } else { listed }
}
