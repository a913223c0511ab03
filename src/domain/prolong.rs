//! What the sweep does where an email waits for the limit of its recipient: the life of a code or an offer begins when it
//! can be read.

use time::format_description::well_known::Rfc3339;

use super::invite::remind;
use super::{
    Change, Context, EmailKind, EventKind, InvitationId, InvitationState, OrganizationState, Timestamp, Withdrawal,
};

/// Moves the ends of invitations to a whole lifetime after their waits, unless they are later anyway. Of the same waits
/// again, nothing comes.
///
/// As with its expiry the revision stays: whoever looks at the invitation meanwhile has decided about nothing else.
pub fn prolong(state: &mut OrganizationState, context: &Context<'_>, waits: &[(InvitationId, Timestamp)]) {
    for (id, end_of_wait) in waits {
        let Some(mut invitation) = state.invitations.get(id).cloned() else { continue };
        let policy = &state.organization.policy;
        let (lifetime, reminder, recipient) = match (invitation.state_at(context.now), &invitation.account_email) {
            (InvitationState::Invited, _) => {
                (policy.invitation_lifetime, EmailKind::InvitationReminder, invitation.email.clone())
            }
            (InvitationState::Offered, Some(email)) => (policy.offer_lifetime, EmailKind::OfferReminder, email.clone()),
            _ => continue,
        };
        let Some(before) = invitation.expire_time.filter(|before| *before < *end_of_wait + lifetime) else { continue };
        let after = *end_of_wait + lifetime;
        invitation.expire_time = Some(after);
        state.withdraw(Withdrawal::Reminders(*id));
        remind(state, context, &invitation, reminder, &recipient);
        let shown = |time: Timestamp| time.format(&Rfc3339).unwrap_or_default();
        let change = Change::new("expire_time", shown(before), shown(after));
        state.record(EventKind::Prolonged, None, Some(*id), invitation.username.clone(), vec![change], context.now);
        state.put_invitation(invitation);
    }
}
