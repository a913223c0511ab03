//! Parses requests into domain types and collects every bad field, so that a caller hears of all of them at once.

#![expect(clippy::option_option, reason = "the outer one says that the field is good, the inner one that it is given")]

use std::collections::BTreeMap;

use time::Duration;

use super::page_token::{self, Binding};
use super::resume_token::Stream;
use crate::app::Place;
use crate::domain::{
    ADDRESS_RULE, Annotations, Caller, DisplayName, EmailAddress, FieldFault, FilterFault, ID_RULE, InvalidField,
    InvitationCode, InvitationId, LIFETIMES, LOCALE_RULE, LONGEST_LOCALE, NameFault, OrganizationId, Refusal,
    Restriction, Role, Username, is_locale, parse_filter,
};
use crate::pb;

/// The longest resource name and the longest other texts, in bytes.
pub(super) const LONGEST_NAME: usize = 128;
const LONGEST_ID: usize = 39;
const LONGEST_ETAG: usize = 64;
/// The most entries of a list.
pub(super) const LONGEST_LIST: usize = 100;

const ACCOUNT_RULE: &str = "must be accounts/{username} or the username, or accounts/me for the calling person";
const OTHER_ACCOUNT_RULE: &str = "must be accounts/{username} or the username, 3 to 39 of a-z, 0-9 and -";

/// The bad fields found so far. Each parser answers `None` for a bad field and remembers why.
#[derive(Debug, Default)]
pub struct Fields {
    bad: Vec<InvalidField>,
    /// What the caller is told where this is the only bad field: it has a reason of its own.
    alone: Option<Refusal>,
}

impl Fields {
    /// What `parsed` makes of the good fields, or the refusal of all bad ones.
    pub fn finish<T>(self, parsed: impl FnOnce() -> Option<T>) -> Result<T, Refusal> {
        match (self.bad.len(), self.alone) {
            (0, _) => {}
            (1, Some(refusal)) => return Err(refusal),
            _ => return Err(Refusal::InvalidFields(self.bad)),
        }
        parsed().ok_or_else(|| Refusal::field("request", FieldFault::Missing, "must be complete"))
    }

    /// Remembers a bad field; the rule completes "{field} …" in at most 100 characters.
    pub fn refuse(&mut self, field: &str, fault: FieldFault, rule: impl Into<String>) {
        self.bad.push(InvalidField::new(field, fault, rule));
    }

    /// The same for one that is not as it was given out. It has a reason of its own, which the caller is told where
    /// nothing else is bad.
    fn refuse_as(&mut self, refusal: Refusal, field: &str, rule: &str) {
        self.refuse(field, FieldFault::Malformed, rule);
        self.alone = Some(refusal);
    }

    /// Parses a field that may be left out; `given` says whether it is there.
    pub fn optional<T>(&mut self, given: bool, parse: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        if given { parse(self).map(Some) } else { Some(None) }
    }

    /// Whether none was bad so far.
    pub fn are_good(&self) -> bool {
        self.bad.is_empty()
    }

    fn take<T>(&mut self, field: &str, value: Option<T>, fault: FieldFault, rule: &str) -> Option<T> {
        if value.is_none() {
            self.refuse(field, fault, rule);
        }
        value
    }

    /// Parses a text, unless it is longer than any good one: the length is all that is looked at then. An empty one that is
    /// not good is missing.
    pub fn text<T>(
        &mut self,
        field: &str,
        text: &str,
        longest: usize,
        rule: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        if text.len() > longest {
            self.refuse(field, FieldFault::TooLong, rule);
            return None;
        }
        let fault = if text.is_empty() { FieldFault::Missing } else { FieldFault::Malformed };
        self.take(field, parse(text), fault, rule)
    }

    fn name<T>(&mut self, field: &str, name: &str, rule: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        self.text(field, name, LONGEST_NAME, rule, parse)
    }

    pub fn organization(&mut self, field: &str, name: &str) -> Option<OrganizationId> {
        self.name(field, name, "must be organizations/{organization}", OrganizationId::from_name)
    }

    /// One that is to be registered. Services may grant a reserved one.
    pub fn new_organization(
        &mut self,
        field: &str,
        id: &str,
        caller: &Caller,
        reserved: &[String],
    ) -> Option<OrganizationId> {
        let organization = self.text(field, id, LONGEST_ID, ID_RULE, OrganizationId::parse)?;
        let is_granted = matches!(caller, Caller::Service(_));
        let check = if is_granted { Ok(()) } else { organization.check_reserved(reserved) };
        self.keep(field, check.map(|()| organization))
    }

    /// One that is to be registered.
    pub fn new_username(&mut self, field: &str, id: &str, reserved: &[String]) -> Option<Username> {
        let username = self.text(field, id, LONGEST_ID, ID_RULE, Username::parse)?;
        let check = username.check_reserved(reserved);
        self.keep(field, check.map(|()| username))
    }

    pub fn invitation(&mut self, field: &str, name: &str) -> Option<(OrganizationId, InvitationId)> {
        let rule = "must be organizations/{organization}/invitations/{invitation}, the last part a lower-case UUID";
        self.name(field, name, rule, |name| {
            let (organization, id) = child(name, "/invitations/")?;
            Some((organization, InvitationId::parse(id)?))
        })
    }

    /// `members/me` is the caller.
    pub fn member(&mut self, field: &str, name: &str, caller: &Caller) -> Option<(OrganizationId, Username)> {
        self.name(field, name, "must be organizations/{organization}/members/{username}", |name| {
            let (organization, id) = child(name, "/members/")?;
            Some((organization, named(id, caller)?))
        })
    }

    /// By its name or its username; `accounts/me` is the caller.
    pub fn account(&mut self, field: &str, name: &str, caller: &Caller) -> Option<Username> {
        self.name(field, name, ACCOUNT_RULE, |name| named(username(name), caller))
    }

    /// The same, of somebody who need not be the caller: there is no `accounts/me`.
    pub fn other_account(&mut self, field: &str, name: &str) -> Option<Username> {
        self.name(field, name, OTHER_ACCOUNT_RULE, |name| Username::parse(username(name)))
    }

    pub fn email(&mut self, field: &str, email: &str) -> Option<EmailAddress> {
        self.text(field, email, EmailAddress::LONGEST, ADDRESS_RULE, EmailAddress::parse)
    }

    /// Which domains and words it may hold is asked where its owners are known.
    pub fn display_name(&mut self, field: &str, name: &str) -> Option<DisplayName> {
        let parsed = DisplayName::read(name);
        self.keep(field, parsed)
    }

    /// The name of somebody with these verified addresses.
    pub fn display_name_of(
        &mut self,
        field: &str,
        name: &str,
        emails: &[EmailAddress],
        reserved: &[String],
    ) -> Option<DisplayName> {
        let parsed = DisplayName::read(name).and_then(|name| {
            name.check_domains(emails.iter())?;
            name.check_reserved(reserved)?;
            Ok(name)
        });
        self.keep(field, parsed)
    }

    fn keep<T>(&mut self, field: &str, parsed: Result<T, NameFault>) -> Option<T> {
        if let Err(fault) = &parsed {
            self.refuse(field, fault.kind(), fault.to_string());
        }
        parsed.ok()
    }

    /// A BCP 47 tag; empty is `None`.
    pub fn locale(&mut self, field: &str, locale: &str) -> Option<Option<String>> {
        self.text(field, locale, LONGEST_LOCALE, LOCALE_RULE, |locale| {
            (locale.is_empty() || is_locale(locale)).then(|| given(locale))
        })
    }

    /// A key that cannot be repeated is told of without its name.
    pub fn annotations(&mut self, field: &str, pairs: &BTreeMap<String, String>) -> Option<Annotations> {
        let faults = match Annotations::parse(pairs.clone()) {
            Ok(annotations) => return Some(annotations),
            Err(faults) => faults,
        };
        for (key, fault, rule) in faults {
            let path = key.map_or_else(|| field.to_owned(), |key| format!("{field}[\"{key}\"]"));
            self.refuse(&path, fault, rule);
        }
        None
    }

    pub fn role(&mut self, field: &str, role: i32) -> Option<Role> {
        let parsed = pb::Role::try_from(role).ok().and_then(|role| Role::parse(role.as_str_name()));
        self.take(
            field,
            parsed,
            enum_fault(role),
            "must be one of NONE, READER, CONTRIBUTOR, SECURITY_MANAGER, MANAGER, OWNER",
        )
    }

    /// A lifetime of whole seconds between 1 hour and 30 days; unset is `None`.
    pub fn lifetime(&mut self, field: &str, duration: Option<&prost_types::Duration>) -> Option<Option<Duration>> {
        let Some(given) = duration else { return Some(None) };
        let lifetime = Duration::seconds(given.seconds);
        let good = given.nanos == 0 && (LIFETIMES.0..=LIFETIMES.1).contains(&lifetime);
        let rule = "must be whole seconds between 3600s and 2592000s";
        self.take(field, good.then_some(Some(lifetime)), FieldFault::OutOfRange, rule)
    }

    pub fn etag(&mut self, field: &str, etag: &str) -> Option<Option<String>> {
        let rule = "must be an etag as it was returned (letters and digits), or empty";
        self.text(field, etag, LONGEST_ETAG, rule, |etag| is_etag(etag).then(|| given(etag)))
    }

    /// The code of an invitation, as a person typed it.
    pub fn code(&mut self, field: &str, typed: &str) -> Option<InvitationCode> {
        if typed.is_empty() || InvitationCode::is_too_long(typed) {
            let rule = "must be the code of the invitation email, at most 64 characters, or its link, at most 2048";
            let fault = if typed.is_empty() { FieldFault::Missing } else { FieldFault::TooLong };
            self.refuse(field, fault, rule);
            return None;
        }
        let code = InvitationCode::parse(typed);
        if code.is_none() {
            self.refuse_as(Refusal::CodeMistyped, field, "has a typing error");
        }
        code
    }

    /// Where a page begins; `None` within is the first one. Without a binding, because what it is made of is bad, a
    /// token is only looked at from outside.
    pub fn page_token<T>(
        &mut self,
        binding: Option<&Binding>,
        token: &str,
        cursor: impl FnOnce(&str) -> Option<T>,
    ) -> Option<Option<T>> {
        if token.is_empty() {
            return Some(None);
        }
        let begin = binding.and_then(|binding| binding.read(token, cursor));
        let is_good = if binding.is_some() { begin.is_some() } else { page_token::decode(token).is_some() };
        if !is_good {
            self.refuse_as(Refusal::PageTokenInvalid, "page_token", "does not belong to this list");
        }
        begin.map(Some)
    }

    /// Where a stream goes on. Without one, because its organization is bad, a token is only looked at from outside.
    pub fn resume_token(&mut self, stream: Option<&Stream<'_>>, token: &str) -> Option<Place> {
        let place = stream.and_then(|stream| stream.read(token));
        let is_good = if stream.is_some() { place.is_some() } else { page_token::decode(token).is_some() };
        if !is_good {
            self.refuse_as(Refusal::ResumeTokenInvalid, "resume_token", "does not belong to this stream");
        }
        place
    }

    /// A filter; `table` knows the fields and makes of all restrictions what is searched by. Empty is `None`.
    pub fn filter<T>(
        &mut self,
        filter: &str,
        table: impl FnOnce(&[Restriction]) -> Result<T, FilterFault>,
    ) -> Option<Option<T>> {
        let parsed =
            if filter.is_empty() { Ok(None) } else { parse_filter(filter).and_then(|all| table(&all)).map(Some) };
        if let Err(fault) = &parsed {
            self.refuse("filter", fault.kind(), fault.to_string());
        }
        parsed.ok()
    }

    /// 0 is 50, above 200 is 200.
    pub fn page_size(&mut self, size: i32) -> Option<usize> {
        let size = match usize::try_from(size) {
            Ok(0) => Some(50),
            Ok(size) => Some(size.min(200)),
            Err(_) => None,
        };
        self.take("page_size", size, FieldFault::OutOfRange, "must not be negative")
    }
}

/// What is wrong with the value of an enum.
fn enum_fault(value: i32) -> FieldFault {
    if value == 0 { FieldFault::Missing } else { FieldFault::UnknownValue }
}

/// Whether that may be one of ours, or is empty.
pub(super) fn is_etag(text: &str) -> bool {
    text.len() <= LONGEST_ETAG && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Whether a list is not longer than any good one, before its entries are looked at.
pub(super) fn is_short<T>(list: &[T]) -> bool {
    list.len() <= LONGEST_LIST
}

/// Empty is `None`.
fn given(text: &str) -> Option<String> {
    Some(text).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn child<'a>(name: &'a str, collection: &str) -> Option<(OrganizationId, &'a str)> {
    let (organization, id) = name.split_once(collection)?;
    Some((OrganizationId::from_name(organization)?, id))
}

/// Of an account that is named by its resource name or by its username.
fn username(name: &str) -> &str {
    name.strip_prefix("accounts/").unwrap_or(name)
}

/// Whether that is the caller's own account, whoever it is.
pub(super) fn is_me(name: &str) -> bool {
    username(name) == "me"
}

fn named(id: &str, caller: &Caller) -> Option<Username> {
    if id == "me" { caller.username().cloned() } else { Username::parse(id) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bad_fields_are_told_at_once() {
        let mut fields = Fields::default();
        let parent = fields.organization("parent", "organizations/");
        let email = fields.email("invitation.email", "nobody");
        let refusal = fields.finish(|| Some((parent?, email?))).unwrap_err();
        let Refusal::InvalidFields(bad) = refusal else { panic!("{refusal:?}") };
        assert_eq!(bad.iter().map(|bad| bad.field.as_str()).collect::<Vec<_>>(), ["parent", "invitation.email"]);
    }

    #[test]
    fn what_is_missing_malformed_or_too_long_is_told_apart() {
        let mut fields = Fields::default();
        for text in ["", "nobody", &format!("{}@example.com", "a".repeat(250))] {
            assert_eq!(fields.email("email", text), None);
        }
        let faults = fields.bad.iter().map(|bad| bad.fault).collect::<Vec<_>>();
        assert_eq!(faults, [FieldFault::Missing, FieldFault::Malformed, FieldFault::TooLong]);
    }

    #[test]
    fn a_fault_with_a_reason_of_its_own_has_it_only_where_it_stands_alone() {
        let mut fields = Fields::default();
        let code = fields.code("code", "0000");
        assert_eq!(fields.finish(|| code), Err(Refusal::CodeMistyped));
        let mut fields = Fields::default();
        let code = fields.code("code", "0000");
        fields.refuse("request_id", FieldFault::Malformed, "must be a UUID");
        let Err(Refusal::InvalidFields(bad)) = fields.finish(|| code) else { panic!("it is refused") };
        assert_eq!(bad.iter().map(|bad| bad.field.as_str()).collect::<Vec<_>>(), ["code", "request_id"]);
    }

    #[test]
    fn me_is_the_calling_person_and_nobody_for_a_service() {
        let anna = Caller::Account(Username::parse("anna").unwrap());
        let service = Caller::Service(crate::domain::Service {
            issuer: "k8s".to_owned(),
            subject: "gateway".to_owned(),
            scopes: Vec::new(),
            organizations: None,
            highest_role: Role::None,
        });
        for me in ["accounts/me", "me"] {
            assert!(is_me(me));
            assert_eq!(Fields::default().account("name", me, &anna), Username::parse("anna"), "{me}");
            assert_eq!(Fields::default().account("name", me, &service), None, "{me}");
            assert_eq!(Fields::default().other_account("username", me), None, "{me}");
        }
    }

    #[test]
    fn an_account_is_named_by_its_name_or_its_username() {
        let anna = Caller::Account(Username::parse("anna").unwrap());
        for otto in ["accounts/otto", "otto"] {
            assert_eq!(Fields::default().account("name", otto, &anna), Username::parse("otto"), "{otto}");
            assert_eq!(Fields::default().other_account("username", otto), Username::parse("otto"), "{otto}");
        }
        for bad in ["", "accounts/", "accounts/accounts/otto", "organizations/otto", "/otto", "Otto"] {
            assert_eq!(Fields::default().account("name", bad, &anna), None, "{bad}");
            assert_eq!(Fields::default().other_account("username", bad), None, "{bad}");
        }
    }

    #[test]
    fn no_locale_is_one_too() {
        let locale = |text| Fields::default().locale("locale", text);
        assert_eq!(locale(""), Some(None));
        assert_eq!(locale("de-AT"), Some(Some("de-AT".to_owned())));
        assert_eq!(locale("de_AT"), None);
    }
}
