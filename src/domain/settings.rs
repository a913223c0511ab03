//! CreateOrganization and UpdateOrganization.

use super::{
    Actor, Caller, Change, Context, DisplayName, EmailAddress, EventKind, Head, Member, Method, Organization,
    OrganizationId, OrganizationLimits, OrganizationState, PendingChange, Policy, PolicyEdit, Refusal, Role, Scope,
    Standing, Username, check_etag, notification_proof, policy_edit::policy_changes, rights::Action,
    weakening::weakened,
};

/// An organization to be founded.
#[derive(Clone, Debug)]
pub struct NewOrganization {
    pub display_name: DisplayName,
    pub notification_email: EmailAddress,
    pub locale: String,
    pub policy: PolicyEdit,
    /// Only from services.
    pub seat_limit: Option<i32>,
    /// Only from services.
    pub limits: OrganizationLimits,
    /// The first OWNER: the calling account itself, or whom a service names.
    pub owner: Username,
}

/// What is to be changed; `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct Edit {
    pub display_name: Option<DisplayName>,
    pub notification_email: Option<EmailAddress>,
    pub locale: Option<String>,
    pub policy: PolicyEdit,
    /// `Some(None)` takes the limit away.
    pub seat_limit: Option<Option<i32>>,
    pub limits: LimitsEdit,
    pub etag: Option<String>,
}

/// The part of an [`Edit`] that is the limits; `Some(None)` leaves a limit to the deployment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitsEdit {
    pub invitations_per_day: Option<Option<i32>>,
    pub open_invitations: Option<Option<i32>>,
}

impl LimitsEdit {
    fn apply(self, limits: OrganizationLimits) -> OrganizationLimits {
        OrganizationLimits {
            invitations_per_day: self.invitations_per_day.unwrap_or(limits.invitations_per_day),
            open_invitations: self.open_invitations.unwrap_or(limits.open_invitations),
        }
    }
}

impl Edit {
    /// Whether it names what protects the organization.
    pub fn touches_protection(&self) -> bool {
        self.notification_email.is_some() || self.policy != PolicyEdit::default()
    }
}

/// Whether the caller may found it: a service for anybody, an account for itself alone and without a limit of seats.
fn check_founder(
    context: &Context<'_>,
    caller: &Caller,
    id: &OrganizationId,
    found: &NewOrganization,
) -> Result<(), Refusal> {
    Method::CreateOrganization.check_founder(caller, id, context.deployment)?;
    match caller {
        Caller::Service(_) => Ok(()),
        Caller::Account(username) if found.owner != *username => {
            Err(Refusal::ServiceRequired(Scope::OrganizationsAdmin))
        }
        Caller::Account(_) => {
            // as the owner that they are about to be
            let standing = Standing::Member(Role::Owner);
            if found.seat_limit.is_some() || found.limits != OrganizationLimits::default() {
                standing.check(Action::EditSeatLimit)?;
            }
            Ok(())
        }
    }
}

/// Founds an organization with its first OWNER.
pub fn create(
    context: &Context<'_>,
    caller: &Caller,
    id: &OrganizationId,
    found: &NewOrganization,
) -> Result<OrganizationState, Refusal> {
    let now = context.now;
    check_founder(context, caller, id, found)?;
    let owner = found.owner.clone();
    let account = context.accounts.get(&owner).ok_or_else(|| Refusal::AccountNotFound(owner.name()))?;
    let is_granted = matches!(caller, Caller::Service(_));
    check_name(&found.display_name, is_granted, context, account.emails.iter())?;
    let organization = Organization {
        id: id.clone(),
        display_name: found.display_name.clone(),
        notification_email: found.notification_email.clone(),
        missing_proof: None,
        locale: found.locale.clone(),
        policy: found.policy.apply(Policy::default()),
        pending_change: None,
        create_time: now,
        update_time: now,
        revision: 1,
    };
    let mut state = OrganizationState::new(organization, Head::new(found.seat_limit, found.limits));
    state.check_seats(Role::Owner.seats())?;
    state.put_member(Member {
        username: owner.clone(),
        role: Role::Owner,
        email: account.emails.first().cloned(),
        inviter: None,
        create_time: now,
        update_time: now,
        revision: 1,
    });
    notification_proof::ask(&mut state, context);
    state.record(EventKind::OrganizationCreated, Some(caller.actor()), None, Some(owner), Vec::new(), now);
    Ok(state)
}

/// Changes an organization. What protects it is its owners' alone, and they and the old notification address hear of it.
pub fn update(
    state: &mut OrganizationState,
    context: &Context<'_>,
    actor: &Actor,
    standing: &Standing,
    edit: &Edit,
) -> Result<(), Refusal> {
    if edit.touches_protection() {
        standing.check(Action::EditProtection)?;
    }
    // a mask of everything names the limits too; whoever leaves them as they are needs no right to them
    let seat_limit = edit.seat_limit.unwrap_or(state.head.seat_limit);
    let limits = edit.limits.apply(state.head.limits);
    if (seat_limit, limits) != (state.head.seat_limit, state.head.limits) {
        standing.check(Action::EditSeatLimit)?;
    }
    standing.check(Action::EditProfile)?;
    let old = state.organization.clone();
    if let Some(name) = edit.display_name.as_ref().filter(|name| **name != old.display_name) {
        let owners = state.owners().filter_map(|member| context.accounts.get(&member.username));
        let is_granted = matches!(standing, Standing::Service(_));
        check_name(name, is_granted, context, owners.flat_map(|owner| &owner.emails))?;
    }
    check_etag(edit.etag.as_deref(), old.create_time, old.revision)?;

    if edit.policy != PolicyEdit::default() {
        // what cannot be read here would be lost
        old.policy.check_known()?;
    }
    let names_address = edit.notification_email.is_some();
    let edit = edit.clone();
    let mut new = old.clone();
    new.display_name = edit.display_name.unwrap_or(new.display_name);
    new.notification_email = edit.notification_email.unwrap_or(new.notification_email);
    new.locale = edit.locale.unwrap_or(new.locale);
    let is_moved = old.notification_email.key() != new.notification_email.key();
    let is_asked = if is_moved {
        new.missing_proof = None;
        true
    } else {
        let awaited = old.missing_proof.as_ref().filter(|_| names_address);
        awaited.is_some_and(|awaited| notification_proof::may_ask_again(awaited, context))
    };
    let wanted = edit.policy.apply(new.policy);
    let waiting = match standing {
        // the operator's, who has configured it
        Standing::Service(_) => PolicyEdit::default(),
        Standing::Member(_) => weakened(&old.policy, &wanted),
    };
    let proposed = policy_changes(&old.policy, &waiting.apply(old.policy.clone()));
    new.policy = waiting.as_in(&old.policy).apply(wanted);
    new.pending_change = match &old.pending_change {
        Some(pending) if pending.policy == waiting => Some(pending.clone()),
        _ if !proposed.is_empty() => Some(PendingChange::new(waiting, actor.clone(), state.head.owners, context.now)),
        // what was to be changed is another one by now
        pending => pending.clone().filter(|p| p.policy.as_in(&new.policy) == p.policy.as_in(&old.policy)),
    };
    let mut changes = changes(&old, &new);
    if is_asked && old.notification_email == new.notification_email {
        changes.push(Change::new("notification_email", "", ""));
    }
    changes.extend(limit_changes((state.head.seat_limit, state.head.limits), (seat_limit, limits)));
    if changes.is_empty() && new.pending_change == old.pending_change {
        return Ok(());
    }
    new.update_time = context.now;
    new.revision += 1;
    let is_proposed = new.pending_change.is_some() && new.pending_change != old.pending_change;
    let is_withdrawn = new.pending_change.is_none() && old.pending_change.is_some();
    let is_protection = is_proposed || old.policy != new.policy || old.notification_email != new.notification_email;
    state.organization = new;
    state.head.seat_limit = seat_limit;
    state.head.limits = limits;
    if is_asked {
        notification_proof::ask(state, context);
        // what is a change as well is counted below
        state.counted += u32::from(!is_protection);
        let [before, after] = [&old, &state.organization].map(|organization| organization.missing_proof.is_none());
        changes.extend((before != after).then(|| notification_proof::change(before, after)));
    }
    for (kind, is_so, changes) in [
        (EventKind::OrganizationUpdated, !changes.is_empty(), changes),
        (EventKind::ChangeProposed, is_proposed, proposed),
        (EventKind::ChangeWithdrawn, is_withdrawn, Vec::new()),
    ] {
        if is_so {
            state.record(kind, Some(actor.clone()), None, None, changes, context.now);
        }
    }
    if is_protection {
        // the address may be from before anybody had to show whose it is, so what writes to it is counted
        state.counted += 1;
        state.tell_owners(context, old.proven_address());
    }
    Ok(())
}

/// A name may hold a domain of which an owner has a verified address. It stays when that owner leaves. Reserved words may
/// stand in one that a service with `organizations.admin` has granted, and in one that was there before they were.
fn check_name<'a>(
    name: &DisplayName,
    is_granted: bool,
    context: &Context<'_>,
    held: impl Iterator<Item = &'a EmailAddress>,
) -> Result<(), Refusal> {
    let reserved = || if is_granted { Ok(()) } else { name.check_reserved(&context.deployment.reserved_names) };
    let check = name.check_domains(held).and_then(|()| reserved());
    check.map_err(|fault| Refusal::field("organization.display_name", fault.kind(), fault.to_string()))
}

/// What changed, without addresses and names.
fn changes(old: &Organization, new: &Organization) -> Vec<Change> {
    let mut changes = Vec::new();
    if old.display_name != new.display_name {
        changes.push(Change::new("display_name", "", ""));
    }
    if old.notification_email != new.notification_email {
        changes.push(Change::new("notification_email", "", ""));
    }
    if old.locale != new.locale {
        changes.push(Change::new("locale", old.locale.as_str(), new.locale.as_str()));
    }
    changes.extend(policy_changes(&old.policy, &new.policy));
    changes
}

/// Seat limit and other limits.
type AllLimits = (Option<i32>, OrganizationLimits);

fn limit_changes(old: AllLimits, new: AllLimits) -> Vec<Change> {
    let fields = |(seat_limit, limits): AllLimits| {
        [
            ("seat_limit", seat_limit),
            ("limits.invitations_per_day", limits.invitations_per_day),
            ("limits.open_invitations", limits.open_invitations),
        ]
    };
    let text = |limit: Option<i32>| limit.map(|limit| limit.to_string()).unwrap_or_default();
    let pairs = fields(old).into_iter().zip(fields(new)).filter(|(old, new)| old != new);
    pairs.map(|((field, before), (_, after))| Change::new(field, text(before), text(after))).collect()
}
