//! Which invitations of an organization somebody looks for.

use std::collections::BTreeMap;
use std::fmt;

use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime, UtcOffset};

use super::annotations::{is_annotation_key, is_annotation_value};
use super::filter::{Comparator, FilterFault, Restriction, set_once};
use super::{Actor, EmailAddress, EmailState, InvitationId, InvitationState, Timestamp, Username};

/// How far the clock of a replica, which makes ids, may be from the database's. One that is so far off takes no tokens.
const CLOCKS_APART: Duration = Duration::hours(1);

const FIELDS: &str = "a field that can be searched by, such as state or inviter,";
const STATES: &str = "a state of an invitation, such as INVITED,";
const DELIVERIES: &str = "FAILED, RETRYING or DROPPED";
const EMAIL: &str = "a whole email address";
const ACCOUNT: &str = "an account like accounts/ada";
const ACTOR: &str = "accounts/{username} or services/{issuer}/{subject}";
const KEY: &str = "one key of annotations, in quotes if there is a dot in it,";
const VALUE: &str = "a text of 1 to 256 characters";
const TIME: &str = "a time like \"2026-11-01T00:00:00Z\"";

/// What must hold, all of it. Where a list is empty, or a bound is missing, anything does.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct InvitationSearch {
    /// As a read shows them.
    pub states: Vec<InvitationState>,
    pub emails: Vec<EmailAddress>,
    pub accounts: Vec<Username>,
    pub inviters: Vec<Actor>,
    pub offerers: Vec<Actor>,
    /// For each key the values that it may have.
    pub annotations: BTreeMap<String, Vec<String>>,
    pub create_time: Span,
    /// Never of one that has no such time.
    pub expire_time: Span,
    /// One of its emails has one of these.
    pub deliveries: Vec<EmailState>,
}

/// It shows no address and no annotation.
impl fmt::Debug for InvitationSearch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InvitationSearch").field("states", &self.states).finish_non_exhaustive()
    }
}

/// From a moment on, and up to but without another one.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Span {
    pub from: Option<Timestamp>,
    pub until: Option<Timestamp>,
}

impl InvitationSearch {
    /// Reads a filter. `accounts/me` is this account, if a person calls.
    pub fn read(restrictions: &[Restriction], me: Option<&Username>) -> Result<Self, FilterFault> {
        let account = |name: &str| match name {
            "accounts/me" => me.cloned(),
            name => Username::from_name(name),
        };
        let actor = |name: &str| match account(name) {
            Some(account) => Some(Actor::Account(account)),
            None => Some(Actor::stored(name)).filter(|actor| matches!(actor, Actor::Service { .. })),
        };
        // an address with a wildcard is one, but nobody has it
        let email = |text: &str| EmailAddress::parse(text).filter(|_| !text.contains('*'));
        let (mut states, mut emails, mut accounts, mut inviters, mut offerers) = (None, None, None, None, None);
        let (mut annotations, mut deliveries) = (BTreeMap::<_, Option<Vec<_>>>::new(), None);
        let (mut create_time, mut expire_time) = (Span::default(), Span::default());
        for one in restrictions {
            let equals = Comparator::Equals;
            match one.path().as_slice() {
                ["state"] => set_once(&mut states, one.one_of(equals, STATES, InvitationState::parse)?, one)?,
                ["email"] => set_once(&mut emails, one.parsed(equals, EMAIL, email)?, one)?,
                ["account"] => set_once(&mut accounts, one.parsed(equals, ACCOUNT, account)?, one)?,
                ["inviter"] => set_once(&mut inviters, one.parsed(equals, ACTOR, actor)?, one)?,
                ["offerer"] => set_once(&mut offerers, one.parsed(equals, ACTOR, actor)?, one)?,
                ["annotations", key] if is_annotation_key(key) => {
                    let value = |text: &str| is_annotation_value(text).then(|| text.to_owned());
                    set_once(
                        annotations.entry((*key).to_owned()).or_default(),
                        one.parsed(equals, VALUE, value)?,
                        one,
                    )?;
                }
                ["annotations", ..] => return Err(one.unknown(KEY)),
                ["create_time"] => create_time.narrow(one)?,
                ["expire_time"] => expire_time.narrow(one)?,
                ["deliveries", "state"] => {
                    set_once(&mut deliveries, one.one_of(Comparator::Has, DELIVERIES, problem)?, one)?;
                }
                _ => return Err(one.unknown(FIELDS)),
            }
        }
        Ok(Self {
            states: states.unwrap_or_default(),
            emails: emails.unwrap_or_default(),
            accounts: accounts.unwrap_or_default(),
            inviters: inviters.unwrap_or_default(),
            offerers: offerers.unwrap_or_default(),
            annotations: annotations.into_iter().map(|(key, values)| (key, values.unwrap_or_default())).collect(),
            create_time,
            expire_time,
            deliveries: deliveries.unwrap_or_default(),
        })
    }

    /// The same, only of these states and this address as well; empty and `None`: of all. `None`: there can be none.
    pub fn narrowed(mut self, states: &[InvitationState], email: Option<&EmailAddress>) -> Option<Self> {
        if !states.is_empty() {
            self.states = common(self.states, states, |one, other| one == other)?;
        }
        if let Some(email) = email {
            self.emails = common(self.emails, std::slice::from_ref(email), |one, other| one.key() == other.key())?;
        }
        Some(self)
    }

    /// Between which ids those are that were created in time: from the first on, up to but without the second. What ends
    /// has begun before.
    pub fn ids(&self) -> (Option<InvitationId>, Option<InvitationId>) {
        let until = [self.create_time.until, self.expire_time.until].into_iter().flatten().min();
        let id = |time: Option<Timestamp>| time.map(InvitationId::first_of);
        let from = self.create_time.from.and_then(|time| time.checked_sub(CLOCKS_APART));
        (id(from), id(until.and_then(|time| time.checked_add(CLOCKS_APART))))
    }
}

impl Span {
    /// Takes one more bound, each once. Times are stored in whole microseconds.
    fn narrow(&mut self, restriction: &Restriction) -> Result<(), FilterFault> {
        use Comparator::{Equals, Greater, GreaterOrEqual, Has, LessOrEqual};

        let comparator = restriction.comparator;
        if matches!(comparator, Equals | Has) {
            return Err(FilterFault::expected("<, <=, > or >=", restriction.comparator_position));
        }
        let time = |text: &str| {
            let time = OffsetDateTime::parse(text, &Rfc3339).ok()?.checked_to_offset(UtcOffset::UTC)?;
            let floor = time.replace_nanosecond(time.nanosecond() / 1000 * 1000).ok()?;
            let is_after = matches!(comparator, Greater | LessOrEqual) || floor < time;
            if is_after { floor.checked_add(Duration::MICROSECOND) } else { Some(floor) }
        };
        let times = restriction.parsed(comparator, TIME, time)?;
        let is_lower = matches!(comparator, Greater | GreaterOrEqual);
        for time in times {
            set_once(if is_lower { &mut self.from } else { &mut self.until }, time, restriction)?;
        }
        Ok(())
    }
}

/// Of an email that did not go as it should.
fn problem(text: &str) -> Option<EmailState> {
    let state = EmailState::parse(text)?;
    matches!(state, EmailState::Failed | EmailState::Retrying | EmailState::Dropped).then_some(state)
}

/// What is in both; an empty first list is everything. `None`: nothing is.
fn common<T: Clone>(all: Vec<T>, only: &[T], are_same: impl Fn(&T, &T) -> bool) -> Option<Vec<T>> {
    if all.is_empty() {
        return Some(only.to_vec());
    }
    let both = all.into_iter().filter(|one| only.iter().any(|other| are_same(one, other))).collect::<Vec<_>>();
    (!both.is_empty()).then_some(both)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::domain::parse_filter;

    fn read(text: &str) -> Result<InvitationSearch, String> {
        let ada = Username::parse("ada").unwrap();
        parse_filter(text).and_then(|all| InvitationSearch::read(&all, Some(&ada))).map_err(|fault| fault.to_string())
    }

    #[test]
    fn every_field_is_read() {
        let text = r#"state = (OFFERED OR EXPIRED) AND email = "Ada@Example.com" AND account = accounts/otto
            AND inviter = accounts/me AND offerer = (accounts/olga OR services/k8s/system:serviceaccount:ops/gateway)
            AND annotations.ticket = "OPS 7" AND annotations."example.com/env" = (prod OR test)
            AND create_time >= "2026-11-01T00:00:00Z" AND expire_time < "2026-12-01T01:00:00+01:00"
            AND deliveries.state:(FAILED OR DROPPED)"#;
        let account = |name| Actor::Account(Username::parse(name).unwrap());
        let service = Actor::stored("services/k8s/system:serviceaccount:ops/gateway");
        let search = InvitationSearch {
            states: vec![InvitationState::Offered, InvitationState::Expired],
            emails: vec![EmailAddress::parse("Ada@Example.com").unwrap()],
            accounts: vec![Username::parse("otto").unwrap()],
            inviters: vec![account("ada")],
            offerers: vec![account("olga"), service],
            annotations: BTreeMap::from([
                ("ticket".to_owned(), vec!["OPS 7".to_owned()]),
                ("example.com/env".to_owned(), vec!["prod".to_owned(), "test".to_owned()]),
            ]),
            create_time: Span { from: Some(datetime!(2026-11-01 00:00 UTC)), until: None },
            expire_time: Span { from: None, until: Some(datetime!(2026-12-01 00:00 UTC)) },
            deliveries: vec![EmailState::Failed, EmailState::Dropped],
        };
        assert_eq!(read(text), Ok(search));
    }

    #[test]
    fn bounds_are_whole_microseconds() {
        let exact = datetime!(2026-11-01 00:00:00.000_001 UTC);
        let next = datetime!(2026-11-01 00:00:00.000_002 UTC);
        for (text, from, until) in [
            (">= \"2026-11-01T00:00:00.000001Z\"", Some(exact), None),
            ("> \"2026-11-01T00:00:00.000001Z\"", Some(next), None),
            ("<= \"2026-11-01T00:00:00.000001Z\"", None, Some(next)),
            ("< \"2026-11-01T00:00:00.000001Z\"", None, Some(exact)),
            // between two
            (">= \"2026-11-01T00:00:00.0000011Z\"", Some(next), None),
            ("> \"2026-11-01T00:00:00.0000011Z\"", Some(next), None),
            ("<= \"2026-11-01T00:00:00.0000011Z\"", None, Some(next)),
            ("< \"2026-11-01T00:00:00.0000011Z\"", None, Some(next)),
        ] {
            assert_eq!(
                read(&format!("create_time {text}")).map(|search| search.create_time),
                Ok(Span { from, until }),
                "{text}"
            );
        }
    }

    #[test]
    fn what_nothing_can_be_searched_by_is_refused() {
        let field = "must have a field that can be searched by, such as state or inviter, at character 1";
        let once = "must not have the same field once more at character 21";
        for (text, fault) in [
            ("role = OWNER", field),
            ("approver = accounts/ada", field),
            ("state.name = INVITED", field),
            ("deliveries:FAILED", field),
            ("State = INVITED", field),
            ("state = OPEN", "must have a state of an invitation, such as INVITED, at character 9"),
            ("state = (INVITED OR invited)", "must have a state of an invitation, such as INVITED, at character 21"),
            ("state = \"\"", "must have a state of an invitation, such as INVITED, at character 9"),
            ("state:INVITED", "must have the comparator = at character 6"),
            ("state > INVITED", "must have the comparator = at character 7"),
            ("state = INVITED AND state = OFFERED", once),
            ("account = accounts/a AND account = accounts/b", "must have an account like accounts/ada at character 11"),
            ("account = ada", "must have an account like accounts/ada at character 11"),
            ("account = services/k8s/x", "must have an account like accounts/ada at character 11"),
            ("inviter = ada", "must have accounts/{username} or services/{issuer}/{subject} at character 11"),
            ("offerer = services/k8s", "must have accounts/{username} or services/{issuer}/{subject} at character 11"),
            ("email = ada", "must have a whole email address at character 9"),
            ("email = \"*@example.com\"", "must have a whole email address at character 9"),
            ("annotations = x", "must have one key of annotations, in quotes if there is a dot in it, at character 1"),
            (
                "annotations.a.b = x",
                "must have one key of annotations, in quotes if there is a dot in it, at character 1",
            ),
            (
                "annotations.\"a b\" = x",
                "must have one key of annotations, in quotes if there is a dot in it, at character 1",
            ),
            ("annotations.a = \"\"", "must have a text of 1 to 256 characters at character 17"),
            ("annotations.a = x AND annotations.a = y", "must not have the same field once more at character 23"),
            ("create_time = \"2026-11-01T00:00:00Z\"", "must have <, <=, > or >= at character 13"),
            ("create_time > 2026-11-01", "must have a time like \"2026-11-01T00:00:00Z\" at character 15"),
            (
                "create_time > \"9999-12-31T23:59:59-23:59\"",
                "must have a time like \"2026-11-01T00:00:00Z\" at character 15",
            ),
            (
                "create_time > \"9999-12-31T23:59:59.9999999Z\"",
                "must have a time like \"2026-11-01T00:00:00Z\" at character 15",
            ),
            (
                "expire_time > \"2026-11-01T00:00:00Z\" AND expire_time >= \"2026-11-01T00:00:00Z\"",
                "must not have the same field once more at character 42",
            ),
            ("deliveries.state = FAILED", "must have the comparator : at character 18"),
            ("deliveries.state:SENT", "must have FAILED, RETRYING or DROPPED at character 18"),
        ] {
            assert_eq!(read(text), Err(fault.to_owned()), "{text}");
        }
        let of_nobody = |text: &str| parse_filter(text).and_then(|all| InvitationSearch::read(&all, None));
        assert!(of_nobody("inviter = accounts/me").is_err() && of_nobody("inviter = accounts/ada").is_ok());
    }

    #[test]
    fn the_other_fields_of_a_request_narrow_it() {
        use InvitationState::{Expired, Invited, Offered};

        let states = |text: &str, states: &[InvitationState]| {
            read(text).unwrap().narrowed(states, None).map(|search| search.states)
        };
        assert_eq!(states("email = a@b.example", &[Invited]), Some(vec![Invited]));
        assert_eq!(states("state = (INVITED OR OFFERED)", &[]), Some(vec![Invited, Offered]));
        assert_eq!(states("state = (INVITED OR OFFERED)", &[Offered, Expired]), Some(vec![Offered]));
        assert_eq!(states("state = INVITED", &[Expired]), None);
        let ada = EmailAddress::parse("ADA@example.com").unwrap();
        assert!(read("email = ada@example.com").unwrap().narrowed(&[], Some(&ada)).is_some());
        assert!(read("email = otto@example.com").unwrap().narrowed(&[], Some(&ada)).is_none());
    }

    #[test]
    fn times_are_bounds_of_ids_as_far_as_clocks_agree() {
        let ids = |text: &str| {
            let (from, until) = read(text).unwrap().ids();
            (from.map(|id| id.to_string()), until.map(|id| id.to_string()))
        };
        let id = |time: Timestamp| Some(InvitationId::first_of(time).to_string());
        let noon = "\"2026-11-01T12:00:00Z\"";
        let (eleven, one) = (datetime!(2026-11-01 11:00 UTC), datetime!(2026-11-01 13:00 UTC));
        assert_eq!(ids(&format!("create_time >= {noon}")), (id(eleven), None));
        assert_eq!(ids(&format!("create_time < {noon}")), (None, id(one)));
        // what ends before was created before; what ends later was created at any time
        assert_eq!(ids(&format!("expire_time < {noon}")), (None, id(one)));
        assert_eq!(ids(&format!("expire_time >= {noon}")), (None, None));
        assert_eq!(ids(&format!("expire_time < {noon} AND create_time < \"2026-12-01T12:00:00Z\"")), (None, id(one)));
        assert_eq!(ids("create_time >= \"1960-01-01T00:00:00Z\"").0, Some(uuid::Uuid::nil().to_string()));
    }
}
