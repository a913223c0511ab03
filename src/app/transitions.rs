//! Counts the ways of invitations. A replica that is killed between a commit and this counts nothing: the events have it.

use crate::domain::{InvitationState, Transition};

/// One that is committed.
pub(super) fn count(transition: Transition) {
    let Transition { from, to, spent } = transition;
    let left = from.map_or("NONE", InvitationState::as_str);
    metrics::counter!("invitations_transitions_total", "from" => left, "to" => to.as_str()).increment(1);
    if let Some(spent) = spent {
        metrics::histogram!("invitations_state_duration_seconds", "state" => left).record(spent.as_seconds_f64());
    }
}
