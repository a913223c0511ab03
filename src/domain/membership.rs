//! UpdateMember, DeleteMember, and what remains of an account that is deleted.

use super::{
    Actor, Change, Context, EventKind, InvitationId, InvitationState, Member, OrganizationState, Refusal, Role,
    Standing, Username, check_etag, member_name, rights::Action,
};

/// Gives a member another role. The present and the new role must both be within what the caller may grant; oneself one
/// may only lower.
pub fn update(
    state: &mut OrganizationState,
    context: &Context<'_>,
    actor: &Actor,
    standing: &Standing,
    username: &Username,
    role: Option<Role>,
    etag: Option<&str>,
) -> Result<(), Refusal> {
    let oneself = actor.username() == Some(username);
    if let Some(role) = role.filter(|_| !oneself) {
        standing.check(Action::Grant(role))?;
    }
    let mut member = present(state, username)?;
    let role = role.unwrap_or(member.role);
    if member.role == Role::Newer {
        return Err(Refusal::NewerVersionNeeded);
    }
    if oneself && role > member.role {
        return Err(Refusal::RoleNotGrantable(role));
    } else if !oneself {
        standing.check(Action::Grant(member.role))?;
    }
    check_etag(etag, member.create_time, member.revision)?;
    if role == member.role {
        return Ok(());
    }
    if role > member.role {
        check_rise(state, context, &member, role)?;
    }
    check_owner_stays(state, member.role, Some(role))?;

    let change = Change::new("role", member.role.as_str(), role.as_str());
    member.role = role;
    member.update_time = context.now;
    member.revision += 1;
    state.put_member(member);
    let (actor, username) = (Some(actor.clone()), Some(username.clone()));
    state.record(EventKind::MemberUpdated, actor, None, username, vec![change], context.now);
    Ok(())
}

/// Ends a membership; one's own, or one within what the caller may grant.
pub fn delete(
    state: &mut OrganizationState,
    context: &Context<'_>,
    actor: &Actor,
    standing: &Standing,
    username: &Username,
    etag: Option<&str>,
) -> Result<(), Refusal> {
    let oneself = actor.username() == Some(username);
    let member = present(state, username)?;
    if !oneself {
        standing.check(Action::Grant(member.role))?;
    }
    check_etag(etag, member.create_time, member.revision)?;
    check_owner_stays(state, member.role, None)?;
    remove(state, context, actor, &member);
    Ok(())
}

/// An account that is being deleted leaves: its open invitations first, then the membership.
pub fn leave(
    state: &mut OrganizationState,
    context: &Context<'_>,
    actor: &Actor,
    username: &Username,
) -> Result<(), Refusal> {
    let member = state.members.get(username).cloned();
    if let Some(member) = &member {
        check_owner_stays(state, member.role, None)?;
    }
    let bound = |id: &InvitationId| state.invitations[id].username.as_ref() == Some(username);
    let ids = state.invitations.keys().copied().filter(bound).collect::<Vec<_>>();
    for id in ids {
        let invitation = state.invitation(id)?.clone();
        if invitation.is_open(context.now) {
            let next = InvitationState::Revoked;
            state.transition(invitation, next, EventKind::Revoked, Some(actor.clone()), context.now);
        }
    }
    if let Some(member) = member {
        remove(state, context, actor, &member);
    }
    Ok(())
}

fn remove(state: &mut OrganizationState, context: &Context<'_>, actor: &Actor, member: &Member) {
    state.remove_member(&member.username);
    let change = Change::new("role", member.role.as_str(), "");
    let username = Some(member.username.clone());
    state.record(EventKind::MemberRemoved, Some(actor.clone()), None, username, vec![change], context.now);
}

fn present(state: &OrganizationState, username: &Username) -> Result<Member, Refusal> {
    let member = state.members.get(username).cloned();
    member.ok_or_else(|| Refusal::MemberNotFound(member_name(state.id(), username)))
}

/// What holds for an offer holds for a higher role too; where an offer would need a second person, remove and offer
/// anew. A deleted account that has not left yet gets nothing: as the last OWNER it could never leave.
fn check_rise(state: &OrganizationState, context: &Context<'_>, member: &Member, role: Role) -> Result<(), Refusal> {
    let policy = &state.organization.policy;
    policy.check_known()?;
    if policy.needs_approval(role) {
        return Err(Refusal::ApprovalRequired(role));
    }
    let account = context.accounts.get(&member.username);
    let account = account.ok_or_else(|| Refusal::MemberNotFound(member.name(state.id())))?;
    policy.admits_provider(account)?;
    match member.email.as_ref().or(account.emails.first()) {
        Some(email) => policy.admits_account(account, email, context.now)?,
        None => policy.admits_no_address()?,
    }
    state.check_seats(role.seats() - member.role.seats())
}

fn check_owner_stays(state: &OrganizationState, before: Role, after: Option<Role>) -> Result<(), Refusal> {
    if before == Role::Owner && after != Some(Role::Owner) && state.head.owners <= 1 {
        return Err(Refusal::LastOwner(state.id().name()));
    }
    Ok(())
}
