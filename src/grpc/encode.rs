//! What callers get to see, from what the use cases found. A value that a newer version has written has no name here, and
//! is shown as the unspecified one.

use prost_types::{Duration, FieldMask, Timestamp};

use crate::app::{Audience, InvitationView, MemberView, OrganizationView};
use crate::domain::{
    Account, Actor, Answer, Delivery, EmailAddress, Event, InvitationState, OrganizationId, OrganizationLimits,
    PendingChange, Policy, Role, etag, member_name,
};
use crate::pb;
use crate::store::organizations::Membership;

fn timestamp(time: crate::domain::Timestamp) -> Timestamp {
    Timestamp { seconds: time.unix_timestamp(), nanos: i32::try_from(time.nanosecond()).unwrap_or_default() }
}

fn typed(email: Option<&EmailAddress>) -> String {
    email.map(|email| email.typed().to_owned()).unwrap_or_default()
}

fn actor(actor: Option<&Actor>) -> String {
    actor.map(Actor::to_string).unwrap_or_default()
}

pub fn role(role: Role) -> i32 {
    pb::Role::from_str_name(role.as_str()).unwrap_or_default().into()
}

fn state(state: InvitationState) -> i32 {
    pb::invitation::State::from_str_name(state.as_str()).unwrap_or_default().into()
}

/// Each reader sees their fields and no others.
pub fn invitation(view: InvitationView) -> pb::Invitation {
    let invitation = view.invitation;
    let of_it = pb::Invitation {
        name: invitation.id.name(&view.organization),
        state: state(view.state),
        organization_display_name: view.organization_display_name.as_str().to_owned(),
        create_time: Some(timestamp(invitation.create_time)),
        update_time: Some(timestamp(view.update_time)),
        expire_time: invitation.expire_time.map(timestamp),
        etag: invitation.etag(),
        ..pb::Invitation::default()
    };
    let (sees_email, deliveries) = match view.audience {
        Audience::Changer => return of_it,
        Audience::Invitee { sees_email } => (sees_email, None),
        Audience::Inviter(deliveries) => (true, Some(deliveries)),
    };
    let of_account = pb::Invitation {
        email: Some(invitation.email.typed()).filter(|_| sees_email).unwrap_or_default().to_owned(),
        account: invitation.username.as_ref().map(crate::domain::Username::name).unwrap_or_default(),
        account_email: typed(invitation.account_email.as_ref()),
        role: invitation.role.map(role).unwrap_or_default(),
        ..of_it
    };
    let Some(deliveries) = deliveries else { return of_account };
    pb::Invitation {
        inviter: actor(invitation.inviter.as_ref()),
        offerer: actor(invitation.offerer.as_ref()),
        approver: actor(invitation.approver.as_ref()),
        locale: invitation.locale.unwrap_or_default(),
        annotations: invitation.annotations.pairs().clone(),
        deliveries: deliveries.newest.iter().map(delivery).collect(),
        further_deliveries: i32::try_from(deliveries.further).unwrap_or(i32::MAX),
        ..of_account
    }
}

fn delivery(delivery: &Delivery) -> pb::Delivery {
    pb::Delivery {
        kind: delivery
            .kind
            .and_then(|kind| pb::delivery::Kind::from_str_name(kind.as_str()))
            .unwrap_or_default()
            .into(),
        state: delivery
            .state
            .and_then(|state| pb::delivery::State::from_str_name(state.as_str()))
            .unwrap_or_default()
            .into(),
        attempts: delivery.attempts,
        smtp_code: delivery.answer.map_or(0, Answer::smtp_code).into(),
        detail: delivery.answer.map_or("", Answer::sentence).to_owned(),
        create_time: Some(timestamp(delivery.create_time)),
        update_time: Some(timestamp(delivery.update_time)),
        waits_for: if delivery.waits_for_recipient() {
            pb::delivery::WaitsFor::RecipientLimit.into()
        } else {
            pb::delivery::WaitsFor::Unspecified.into()
        },
    }
}

pub fn organization(view: OrganizationView) -> pb::Organization {
    let organization = view.organization;
    let common = pb::Organization {
        name: organization.id.name(),
        display_name: organization.display_name.as_str().to_owned(),
        locale: organization.locale,
        create_time: Some(timestamp(organization.create_time)),
        update_time: Some(timestamp(organization.update_time)),
        etag: etag(organization.create_time, organization.revision),
        ..pb::Organization::default()
    };
    if !view.sees_settings {
        return common;
    }
    pb::Organization {
        notification_email: organization.notification_email.typed().to_owned(),
        notification_email_verified: organization.missing_proof.is_none(),
        policy: Some(policy(organization.policy)),
        seat_limit: view.head.seat_limit,
        seats_taken: view.head.seats_taken,
        limits: limits(view.head.limits),
        pending_change: organization.pending_change.as_ref().map(pending_change),
        ..common
    }
}

fn pending_change(change: &PendingChange) -> pb::OrganizationChange {
    let paths = change.policy.names().into_iter().map(|name| format!("policy.{name}")).collect();
    pb::OrganizationChange {
        policy: Some(policy(change.policy.apply(Policy::default()))),
        update_mask: Some(FieldMask { paths }),
        author: change.author.to_string(),
        create_time: Some(timestamp(change.create_time)),
        effective_time: change.effective_time.map(timestamp),
        expire_time: Some(timestamp(change.expire_time())),
    }
}

/// Unset where both are the deployment's.
fn limits(limits: OrganizationLimits) -> Option<pb::OrganizationLimits> {
    let OrganizationLimits { invitations_per_day, open_invitations } = limits;
    (limits != OrganizationLimits::default())
        .then_some(pb::OrganizationLimits { invitations_per_day, open_invitations })
}

fn policy(policy: Policy) -> pb::Policy {
    let lifetime = |lifetime: time::Duration| Duration { seconds: lifetime.whole_seconds(), nanos: 0 };
    let address_match = pb::policy::AddressMatch::from_str_name(policy.address_match.as_str()).unwrap_or_default();
    pb::Policy {
        allowed_email_domains: policy.allowed_email_domains,
        blocked_email_domains: policy.blocked_email_domains,
        allowed_providers: policy.allowed_providers,
        address_match: address_match.into(),
        invitation_lifetime: Some(lifetime(policy.invitation_lifetime)),
        offer_lifetime: Some(lifetime(policy.offer_lifetime)),
        max_attestation_age: policy.max_attestation_age.map(lifetime),
        approval_role: policy.approval_role.map(role).unwrap_or_default(),
        reminders_disabled: !policy.reminders,
        expiry_notifications_disabled: !policy.expiry_notifications,
    }
}

pub fn member(view: MemberView) -> pb::Member {
    let member = view.member;
    let common = pb::Member {
        name: member.name(&view.organization),
        account: member.username.name(),
        role: if view.sees_role { role(member.role) } else { 0 },
        ..pb::Member::default()
    };
    if !view.sees_address {
        return common;
    }
    pb::Member {
        email: typed(member.email.as_ref()),
        inviter: actor(member.inviter.as_ref()),
        create_time: Some(timestamp(member.create_time)),
        update_time: Some(timestamp(member.update_time)),
        etag: etag(member.create_time, member.revision),
        ..common
    }
}

pub fn membership(membership: &Membership) -> pb::Membership {
    pb::Membership {
        organization: membership.organization.name(),
        organization_display_name: membership.display_name.as_str().to_owned(),
        role: role(membership.role),
        create_time: Some(timestamp(membership.create_time)),
    }
}

pub fn account(account: &Account) -> pb::Account {
    pb::Account {
        name: account.username.name(),
        email: typed(account.emails.first()),
        emails: account.emails.iter().map(|email| email.typed().to_owned()).collect(),
        provider: account.provider.clone(),
        display_name: account.display_name.as_ref().map(|name| name.as_str().to_owned()).unwrap_or_default(),
        create_time: Some(timestamp(account.create_time)),
    }
}

pub fn event(organization: &OrganizationId, event: Event) -> pb::Event {
    let change = |change: crate::domain::Change| pb::event::Change {
        field: change.field,
        before: change.before,
        after: change.after,
    };
    pb::Event {
        name: format!("{}/events/{}", organization.name(), event.position),
        kind: event.kind.and_then(|kind| pb::event::Kind::from_str_name(kind.as_str())).unwrap_or_default().into(),
        actor: actor(event.actor.as_ref()),
        invitation: event.invitation.map(|id| id.name(organization)).unwrap_or_default(),
        member: event.member.map(|username| member_name(organization, &username)).unwrap_or_default(),
        changes: event.changes.into_iter().map(change).collect(),
        create_time: Some(timestamp(event.create_time)),
        request_id: event.request_id.map(|id| id.to_string()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{EmailKind, EmailState, EventKind};

    #[test]
    fn every_name_of_the_domain_is_one_of_the_contract() {
        assert!(Role::ALL.into_iter().all(|known| role(known) != 0));
        assert!(InvitationState::ALL.into_iter().all(|known| state(known) != 0));
        assert!(EventKind::ALL.into_iter().all(|known| pb::event::Kind::from_str_name(known.as_str()).is_some()));
        assert!(EmailKind::ALL.into_iter().all(|known| pb::delivery::Kind::from_str_name(known.as_str()).is_some()));
        assert!(EmailState::ALL.into_iter().all(|known| pb::delivery::State::from_str_name(known.as_str()).is_some()));
    }
}
