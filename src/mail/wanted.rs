//! Whether an email is still wanted when its turn comes: by its invitation, the policy and the rights of that moment.

use crate::domain::{Answer, EmailKind, Service};
use crate::store::outbox::{Facts, Held};

/// Or why nobody wants it any more.
pub fn check(held: &Held, facts: &Facts, services: &[Service]) -> Result<(), Answer> {
    if !facts.policy.wants(held.kind) {
        return Err(Answer::PolicyChanged);
    }
    let awaited = facts.missing_proof.as_ref();
    if held.kind == EmailKind::NotificationEmailCode {
        // an earlier version changes the address and not what is awaited
        let is_to_it = held.recipient.key() == facts.notification_email.key();
        let is_awaited =
            awaited.is_some_and(|proof| proof.generation == held.generation && proof.expire_time > facts.now);
        return if is_awaited && is_to_it { Ok(()) } else { Err(Answer::MovedOn) };
    }
    if facts.is_to_owner && held.kind.is_reminder() && awaited.is_none() {
        // the address is told, as it is somebody's by now
        return Err(Answer::MovedOn);
    }
    let invitation = match (held.invitation, &facts.invitation) {
        (None, _) => return Ok(()),
        (Some(_), None) => return Err(Answer::MovedOn),
        (Some(_), Some(invitation)) => invitation,
    };
    let is_of_this_code = !held.kind.carries_code() || held.generation == invitation.generation;
    if !held.kind.is_wanted_in(invitation.state) || !is_of_this_code {
        return Err(Answer::MovedOn);
    }
    // told that an invitation expired, the organization would invite its own member once more
    let is_for_somebody_new = held.kind.carries_code() || held.kind == EmailKind::InvitationExpired;
    if is_for_somebody_new && invitation.username.is_none() && invitation.is_of_member {
        return Err(Answer::AlreadyMember);
    }
    let is_offer = matches!(held.kind, EmailKind::OrganizationInvitation | EmailKind::OfferReminder);
    if let Some(cover) = invitation.cover.as_ref().filter(|_| is_offer)
        && (cover.lacks_approval(&facts.policy) || !cover.is_granted(&held.organization, services))
    {
        return Err(Answer::NotCovered);
    }
    if (held.kind.carries_code() || is_offer) && facts.policy.admits_address(&held.recipient).is_err() {
        return Err(Answer::PolicyChanged);
    }
    Ok(())
}
