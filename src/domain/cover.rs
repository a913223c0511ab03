//! On whose rights an offer rests, and whether they still carry it.

use super::{Actor, OrganizationId, Policy, Role, Service, Standing, rights::Action};

/// Somebody who offered or approved, with the role that they have in the organization now.
pub type Granter = (Actor, Option<Role>);

/// What an offer rests on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cover {
    /// The role that is offered.
    pub role: Role,
    pub offerer: Granter,
    pub approver: Option<Granter>,
}

impl Cover {
    /// Whether this version knows all that it rests on.
    pub fn is_known(&self) -> bool {
        let mut granters = std::iter::once(&self.offerer).chain(&self.approver);
        let is_known = |(actor, role): &Granter| !matches!(actor, Actor::Newer(_)) && *role != Some(Role::Newer);
        self.role != Role::Newer && granters.all(is_known)
    }

    /// Whether everybody it rests on may still grant the role.
    pub fn is_granted(&self, organization: &OrganizationId, services: &[Service]) -> bool {
        let mut granters = std::iter::once(&self.offerer).chain(&self.approver);
        granters.all(|granter| may_grant(granter, self.role, organization, services))
    }

    /// Whether it lacks a second person; the rule that asks for one may be younger than the offer.
    pub fn lacks_approval(&self, policy: &Policy) -> bool {
        policy.needs_approval(self.role) && self.approver.is_none()
    }
}

fn may_grant((actor, role): &Granter, offered: Role, organization: &OrganizationId, services: &[Service]) -> bool {
    match actor {
        Actor::Account(_) => role.is_some_and(|role| role.may_grant(offered)),
        Actor::Service { .. } => services.iter().find(|service| service.is(actor)).is_some_and(|service| {
            service.reaches(organization) && Standing::Service(service.clone()).may(Action::Grant(offered))
        }),
        Actor::Newer(_) => false,
    }
}
