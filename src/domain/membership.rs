//! UpdateMember, DeleteMember, and what remains of an account that is deleted.

use super::{
    Actor, Change, Context, EventKind, InvitationId, InvitationState, Member, Refusal, Role, Standing, Tenant,
    Username, check_etag, organization::member_name, rights::Action,
};

/// Gives a member another role. The present and the new role must both be within what the caller may grant; oneself one
/// may only lower.
pub fn update(
    tenant: &mut Tenant,
    context: &Context<'_>,
    actor: &Actor,
    standing: &Standing,
    username: &Username,
    role: Role,
    etag: Option<&str>,
) -> Result<(), Refusal> {
    let oneself = actor.username() == Some(username);
    if !oneself {
        standing.check(Action::Grant(role))?;
    }
    let mut member = present(tenant, username)?;
    if oneself && role > member.role {
        return Err(Refusal::RoleNotGrantable(role));
    } else if !oneself {
        standing.check(Action::Grant(member.role))?;
    }
    check_etag(etag, member.revision)?;
    if role == member.role {
        return Ok(());
    }
    if role > member.role {
        check_rise(tenant, context, &member, role)?;
    }
    check_owner_stays(tenant, member.role, Some(role))?;

    let change = Change::new("role", member.role.as_str(), role.as_str());
    member.role = role;
    member.update_time = context.now;
    member.revision += 1;
    tenant.put_member(member);
    let (actor, username) = (Some(actor.clone()), Some(username.clone()));
    tenant.record(EventKind::MemberUpdated, actor, None, username, vec![change], context.now);
    Ok(())
}

/// Ends a membership; one's own, or one within what the caller may grant.
pub fn delete(
    tenant: &mut Tenant,
    context: &Context<'_>,
    actor: &Actor,
    standing: &Standing,
    username: &Username,
    etag: Option<&str>,
) -> Result<(), Refusal> {
    let oneself = actor.username() == Some(username);
    let member = present(tenant, username)?;
    if !oneself {
        standing.check(Action::Grant(member.role))?;
    }
    check_etag(etag, member.revision)?;
    check_owner_stays(tenant, member.role, None)?;
    remove(tenant, context, actor, &member);
    Ok(())
}

/// An account that is being deleted leaves: its open invitations first, then the membership.
pub fn leave(tenant: &mut Tenant, context: &Context<'_>, actor: &Actor, username: &Username) -> Result<(), Refusal> {
    let member = tenant.members.get(username).cloned();
    if let Some(member) = &member {
        check_owner_stays(tenant, member.role, None)?;
    }
    let bound = |id: &InvitationId| tenant.invitations[id].username.as_ref() == Some(username);
    let ids = tenant.invitations.keys().copied().filter(bound).collect::<Vec<_>>();
    for id in ids {
        let invitation = tenant.invitation(id)?.clone();
        if invitation.is_open(context.now) {
            let state = InvitationState::Revoked;
            tenant.transition(invitation, state, EventKind::Revoked, Some(actor.clone()), context.now);
        }
    }
    if let Some(member) = member {
        remove(tenant, context, actor, &member);
    }
    Ok(())
}

fn remove(tenant: &mut Tenant, context: &Context<'_>, actor: &Actor, member: &Member) {
    tenant.remove_member(&member.username);
    let change = Change::new("role", member.role.as_str(), "");
    let username = Some(member.username.clone());
    tenant.record(EventKind::MemberRemoved, Some(actor.clone()), None, username, vec![change], context.now);
}

fn present(tenant: &Tenant, username: &Username) -> Result<Member, Refusal> {
    let member = tenant.members.get(username).cloned();
    member.ok_or_else(|| Refusal::MemberNotFound(member_name(tenant.id(), username)))
}

/// What holds for an offer holds for a higher role too; where an offer would need a second person, remove and offer
/// anew. A deleted account that has not left yet gets nothing: as the last OWNER it could never leave.
fn check_rise(tenant: &Tenant, context: &Context<'_>, member: &Member, role: Role) -> Result<(), Refusal> {
    let policy = &tenant.organization.policy;
    if policy.needs_approval(role) {
        return Err(Refusal::ApprovalRequired(role));
    }
    let account = context.accounts.get(&member.username);
    let account = account.ok_or_else(|| Refusal::MemberNotFound(member.name(tenant.id())))?;
    policy.admits_provider(account)?;
    if let Some(email) = member.email.as_ref().or(account.emails.first()) {
        policy.admits_account(account, email)?;
    }
    tenant.check_seats(role.seats() - member.role.seats())
}

fn check_owner_stays(tenant: &Tenant, before: Role, after: Option<Role>) -> Result<(), Refusal> {
    if before == Role::Owner && after != Some(Role::Owner) && tenant.head.owners <= 1 {
        return Err(Refusal::LastOwner(tenant.id().name()));
    }
    Ok(())
}
