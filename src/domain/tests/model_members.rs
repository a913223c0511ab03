//! What calls about members and settings do in the model.

use super::model::{Member, Model, Name, Outcome, not_found, same, seats};
use super::steps::{Setting, Tag};
use super::world::user;
use crate::domain::{EventKind as K, InvitationState as S, Refusal, Role, Scope, Subject};

impl Model {
    pub fn update_member(&mut self, caller: Name, name: Name, role: Role, tag: Tag) -> Outcome {
        let subject = Subject::Member(user(name));
        if caller == name {
            if Some(role) > self.role(caller, &subject)? {
                return Err(Refusal::RoleNotGrantable(role));
            }
        } else {
            self.granter(caller, &subject, role)?;
            let target = self.members.get(name).ok_or_else(|| not_found(&subject))?;
            self.granter(caller, &subject, target.role)?;
        }
        let target = self.members[name].clone();
        tag.check()?;
        if target.role == role {
            return Ok(subject);
        }
        if role > target.role {
            if self.needs_approval(role) {
                return Err(Refusal::ApprovalRequired(role));
            }
            if !self.accounts.contains_key(name) {
                return Err(not_found(&subject));
            }
            match self.address_of_member(name) {
                Some(address) => self.admits(name, address)?,
                None => self.admits_no_address(name)?,
            }
            self.seat(seats(role) - seats(target.role))?;
        }
        self.an_owner_stays(&target, Some(role))?;
        let member = Member { role, updated: self.now, revision: target.revision + 1, ..target };
        self.members.insert(name, member);
        self.happened(K::MemberUpdated, Some(caller), None, Some(name));
        Ok(subject)
    }

    fn an_owner_stays(&self, member: &Member, role: Option<Role>) -> Result<(), Refusal> {
        let is_last = member.role == Role::Owner && role != Some(Role::Owner) && self.owners() == 1;
        if is_last { Err(Refusal::LastOwner("organizations/acme".to_owned())) } else { Ok(()) }
    }

    pub fn delete_member(&mut self, caller: Name, name: Name, tag: Tag) -> Outcome {
        let subject = Subject::Member(user(name));
        if caller == name {
            self.role(caller, &subject)?;
        } else {
            self.granter(caller, &subject, Role::None)?;
            let target = self.members.get(name).ok_or_else(|| not_found(&subject))?;
            self.granter(caller, &subject, target.role)?;
        }
        tag.check()?;
        self.an_owner_stays(&self.members[name], None)?;
        self.members.remove(name);
        self.happened(K::MemberRemoved, Some(caller), None, Some(name));
        Ok(subject)
    }

    pub fn leave(&mut self, name: Name) -> Outcome {
        let member = self.members.get(name).cloned();
        if let Some(member) = &member {
            self.an_owner_stays(member, None)?;
        }
        if let Some(open) = self.open_of_account(name) {
            self.step(open, S::Revoked, K::Revoked, name);
        }
        if member.is_some() {
            self.members.remove(name);
            self.happened(K::MemberRemoved, Some(name), None, Some(name));
        }
        Ok(Subject::Member(user(name)))
    }

    pub fn edit(&mut self, caller: Name, setting: Setting, tag: Tag) -> Outcome {
        let role = self.role(caller, &Subject::Organization)?;
        let lowest = match setting {
            Setting::DisplayName(_) => Some(Role::Manager),
            // a mask of everything names the limit too
            Setting::Seats(limit) if limit == self.seat_limit => Some(Role::Manager),
            Setting::Seats(_) => None,
            _ => Some(Role::Owner),
        };
        match (role, lowest) {
            (Some(_), None) => return Err(Refusal::ServiceRequired(Scope::OrganizationsAdmin)),
            (Some(role), Some(lowest)) if role < lowest => return Err(Refusal::RoleRequired(lowest)),
            _ => {}
        }
        tag.check()?;
        if role.is_some() && self.asks_less(setting) {
            self.propose(caller, setting);
            return Ok(Subject::Organization);
        }
        let old = self.clone();
        setting.set(self);
        let is_protection = self.policy != old.policy || !same(self.notified, old.notified);
        if is_protection || self.display_name != old.display_name || self.seat_limit != old.seat_limit {
            self.revision += 1;
            self.happened(K::OrganizationUpdated, Some(caller), None, None);
        }
        if self.policy != old.policy && self.waits(setting) {
            self.revision -= 1;
            self.end_waiting(K::ChangeWithdrawn, Some(caller));
        }
        if is_protection {
            self.counted += 1;
            self.warn(old.notified);
        }
        Ok(Subject::Organization)
    }
}
