//! CreateInvitation: an administrator invites a person by email.

use super::{
    Actor, Annotations, CodeKey, Context, EmailAddress, EmailKind, EventKind, Invitation, InvitationCode, InvitationId,
    InvitationState, OrganizationState, Refusal, StoredCode,
};

/// Reminders come this long before a code or an offer expires.
pub const REMIND_BEFORE: time::Duration = time::Duration::DAY;

/// A person to be invited. It carries no role: that is decided when it is known which account is theirs.
#[derive(Clone, Debug)]
pub struct Invite {
    pub id: InvitationId,
    pub email: EmailAddress,
    pub locale: Option<String>,
    pub annotations: Annotations,
}

/// Invites; the rights are checked before.
pub fn create(
    state: &mut OrganizationState,
    context: &Context<'_>,
    actor: &Actor,
    invite: &Invite,
) -> Result<InvitationId, Refusal> {
    let now = context.now;
    state.organization.policy.admits_address(&invite.email)?;
    if let Some(open) = state.open_of_address(&invite.email, now) {
        return Err(Refusal::OpenInvitationExists(open.id.name(state.id())));
    }
    let holds = |email: &Option<EmailAddress>| email.as_ref().is_some_and(|held| held.key() == invite.email.key());
    if let Some(member) = state.members.values().find(|member| holds(&member.email)) {
        return Err(Refusal::AlreadyMember(member.name(state.id())));
    }
    state.check_open_invitations(context)?;
    state.count_invitation(context)?;

    let invitation = Invitation {
        id: invite.id,
        state: InvitationState::Invited,
        email: invite.email.clone(),
        username: None,
        account_email: None,
        role: None,
        inviter: Some(actor.clone()),
        offerer: None,
        approver: None,
        locale: invite.locale.clone(),
        annotations: invite.annotations.clone(),
        code: Some(new_code(context.deployment.code_keys.first(), invite.id, 1)),
        create_time: now,
        update_time: now,
        expire_time: Some(now + state.organization.policy.invitation_lifetime),
        send_time: now,
        request_time: None,
        revision: 0,
    };
    let invitation =
        state.transition(invitation, InvitationState::Invited, EventKind::Invited, Some(actor.clone()), now);
    send_code(state, context, &invitation);
    Ok(invitation.id)
}

/// The code of a generation.
pub fn new_code(key: &CodeKey, invitation: InvitationId, generation: i32) -> StoredCode {
    let hash = InvitationCode::derive(key, invitation, generation).hash();
    StoredCode { hash, key_id: key.id.clone(), generation }
}

/// The email with the code and, where there is time for one, its reminder.
pub fn send_code(state: &mut OrganizationState, context: &Context<'_>, invitation: &Invitation) {
    state.send(EmailKind::AccountInvitation, invitation, invitation.email.clone(), context.now);
    remind(state, context, invitation, EmailKind::InvitationReminder, &invitation.email);
}

/// The reminder before an invitation expires, unless it would come right away or the organization wants none.
pub fn remind(
    state: &mut OrganizationState,
    context: &Context<'_>,
    invitation: &Invitation,
    kind: EmailKind,
    recipient: &EmailAddress,
) {
    let due = invitation.expire_time.map(|end| end - REMIND_BEFORE).filter(|due| *due > context.now);
    if let Some(due) = due.filter(|_| state.organization.policy.wants(kind)) {
        state.send(kind, invitation, recipient.clone(), due);
    }
}
