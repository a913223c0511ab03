//! Whether somebody has shown that the notification address is theirs. Until then it is the address of somebody who need
//! not know the organization: it gets little, and the owners get all of it.

use time::Duration;

use super::{
    Actor, Change, Context, Email, EmailKind, EventKind, InvitationCode, Member, MissingProof, OrganizationState,
    Refusal,
};

/// How long a code can be used.
const LIFETIME: Duration = Duration::days(7);

/// Asks whoever reads the email to the present address for its code, unless an owner has that address verified. The code
/// that is awaited already is sent again.
pub fn ask(state: &mut OrganizationState, context: &Context<'_>) {
    let awaited = state.organization.missing_proof.take();
    let recipient = state.organization.notification_email.clone();
    let holds = |owner: &Member| context.accounts.get(&owner.username).is_some_and(|account| account.holds(&recipient));
    let is_held = state.owners().any(holds);
    if is_held || !context.deployment.asks_for_proof {
        return;
    }
    let keys = &context.deployment.code_keys;
    let proof = match awaited.filter(|awaited| keys.get(&awaited.key_id).is_some()) {
        Some(known) => MissingProof { expire_time: context.now + LIFETIME, ..known },
        None => MissingProof {
            key_id: keys.first().id.clone(),
            generation: state.organization.revision,
            expire_time: context.now + LIFETIME,
        },
    };
    state.emails.push(Email {
        kind: EmailKind::NotificationEmailCode,
        invitation: None,
        generation: proof.generation,
        recipient,
        is_to_owner: false,
        due_time: context.now,
        trace: state.trace,
    });
    state.organization.missing_proof = Some(proof);
}

/// Whether the code was sent so long ago that it may be sent again.
pub fn may_ask_again(awaited: &MissingProof, context: &Context<'_>) -> bool {
    awaited.expire_time - LIFETIME + context.deployment.resend_interval <= context.now
}

/// Takes the code that was sent to the present address. Where it was taken before, there is nothing to do.
pub fn verify(
    state: &mut OrganizationState,
    context: &Context<'_>,
    actor: &Actor,
    code_hash: &[u8; 32],
) -> Result<(), Refusal> {
    let organization = &state.organization;
    let Some(awaited) = &organization.missing_proof else { return Ok(()) };
    let key = context.deployment.code_keys.get(&awaited.key_id);
    let key = key.ok_or_else(|| Refusal::CodeKeyMissing(awaited.key_id.clone()))?;
    let code = InvitationCode::of_address(key, &organization.id, &organization.notification_email, awaited.generation);
    if code.hash() != *code_hash || awaited.expire_time <= context.now {
        return Err(Refusal::NotificationCodeNotFound);
    }
    let organization = &mut state.organization;
    organization.missing_proof = None;
    organization.update_time = context.now;
    organization.revision += 1;
    let changes = vec![change(false, true)];
    state.record(EventKind::OrganizationUpdated, Some(actor.clone()), None, None, changes, context.now);
    Ok(())
}

/// For the trail.
pub fn change(before: bool, after: bool) -> Change {
    Change::new("notification_email_verified", before.to_string(), after.to_string())
}
