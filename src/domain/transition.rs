//! An invitation that comes into another state, as it is counted.

use time::Duration;

use super::{Invitation, InvitationState, Timestamp};

/// One that was made has no state before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transition {
    pub from: Option<InvitationState>,
    pub to: InvitationState,
    /// How long it was in the state that it leaves. Of an offer: since it was made, or sent again.
    pub spent: Option<Duration>,
}

impl Transition {
    /// `None`: it stays in its state.
    pub fn of(old: Option<&Invitation>, to: InvitationState, at: Timestamp) -> Option<Self> {
        let Some(old) = old else { return Some(Self { from: None, to, spent: None }) };
        let since = match old.state {
            InvitationState::Invited => old.create_time,
            InvitationState::AccessRequested => old.request_time.unwrap_or(old.update_time),
            _ => old.update_time,
        };
        (old.state != to).then(|| Self { from: Some(old.state), to, spent: Some((at - since).max(Duration::ZERO)) })
    }
}
