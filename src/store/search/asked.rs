//! What is searched for, as parameters.

use std::time::Duration;

use sqlx::postgres::types::PgInterval;

use crate::domain::{InvitationSearch, InvitationState, OrganizationId, Span};
use crate::store::interval;

/// Those that become EXPIRED by themselves.
const ENDING: [InvitationState; 3] =
    [InvitationState::Invited, InvitationState::PendingApproval, InvitationState::Offered];

pub(super) struct Asked {
    pub organization: String,
    /// As a read shows them.
    pub states: Vec<String>,
    pub emails: Vec<String>,
    pub accounts: Vec<String>,
    pub inviters: Vec<String>,
    pub offerers: Vec<String>,
    /// Of annotations, each with one of the values that it may have.
    pub keys: Vec<String>,
    pub values: Vec<String>,
    /// How many keys there are.
    pub key_count: i64,
    pub create_time: Span,
    pub expire_time: Span,
    pub deliveries: Vec<String>,
    /// States as they are written, to be gone through in any case.
    pub streams: Vec<String>,
    /// Whether, beside these, open ones are looked for by when they end, and the states of these.
    pub has_late: bool,
    pub late_streams: Vec<String>,
    /// Of these, only what ends that long from now or later; only what ends before.
    pub alive: Option<PgInterval>,
    pub overdue: Option<PgInterval>,
}

impl Asked {
    pub fn new(organization: &OrganizationId, search: &InvitationSearch) -> Self {
        let is_shown = |state: &InvitationState| search.states.contains(state);
        let shows_expired = is_shown(&InvitationState::Expired);
        let ending = ENDING.into_iter().filter(is_shown).collect::<Vec<_>>();
        let (is_bound, moment) = (search.expire_time != Span::default(), interval(Duration::from_micros(1)));
        // without a bound nearly all that is open ends within it: only what is overdue is looked for by its end
        let streams = search.states.iter().filter(|state| !is_bound || !ENDING.contains(state)).copied();
        let late_streams = ENDING.into_iter().filter(|state| match (is_bound, shows_expired) {
            (true, true) => true,
            (true, false) => is_shown(state),
            (false, _) => !is_shown(state),
        });
        let pairs = || search.annotations.iter().flat_map(|(key, values)| values.iter().map(move |value| (key, value)));
        Self {
            organization: organization.as_str().to_owned(),
            states: names(search.states.iter().copied()),
            emails: search.emails.iter().map(|email| email.key().to_owned()).collect(),
            accounts: search.accounts.iter().map(ToString::to_string).collect(),
            inviters: search.inviters.iter().map(ToString::to_string).collect(),
            offerers: search.offerers.iter().map(ToString::to_string).collect(),
            keys: pairs().map(|(key, _)| key.clone()).collect(),
            values: pairs().map(|(_, value)| value.clone()).collect(),
            key_count: i64::try_from(search.annotations.len()).unwrap_or(i64::MAX),
            create_time: search.create_time,
            expire_time: search.expire_time,
            deliveries: search.deliveries.iter().map(|state| state.as_str().to_owned()).collect(),
            streams: names(streams),
            has_late: shows_expired || is_bound && !ending.is_empty(),
            late_streams: names(late_streams),
            alive: (is_bound && !shows_expired).then_some(moment),
            overdue: (!is_bound || ending.is_empty()).then_some(moment),
        }
    }
}

fn names(states: impl Iterator<Item = InvitationState>) -> Vec<String> {
    states.map(|state| state.as_str().to_owned()).collect()
}
