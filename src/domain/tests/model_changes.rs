//! What waits for another owner in the model: one setting that asks less of people.

use std::mem::discriminant;

use super::model::{Model, Name, Outcome, ROBOT, not_found};
use super::steps::{Setting, Tag};
use crate::domain::{AddressMatch, EventKind as K, Refusal, Role, Subject};

#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    setting: Setting,
    author: Name,
    since: i64,
    /// When the only owner gets it.
    alone: Option<i64>,
}

impl Model {
    /// As the settings are that are thrown.
    pub fn asks_less(&self, setting: Setting) -> bool {
        let now = &self.policy;
        match setting {
            Setting::Allowed([]) => !now.allowed_email_domains.is_empty(),
            Setting::Blocked([]) => !now.blocked_email_domains.is_empty(),
            Setting::Providers([]) => !now.allowed_providers.is_empty(),
            Setting::Match(rule) => rule == AddressMatch::Warn && now.address_match == AddressMatch::Require,
            Setting::Approval(None) => now.approval_role.is_some(),
            _ => false,
        }
    }

    pub fn propose(&mut self, author: Name, setting: Setting) {
        if self.waits(setting) {
            return;
        }
        self.waiting = Some(Waiting { setting, author, since: self.now, alone: self.alone() });
        self.revision += 1;
        self.counted += 1;
        self.happened(K::ChangeProposed, Some(author), None, None);
        self.warn(self.notified);
    }

    fn alone(&self) -> Option<i64> {
        (self.owners() == 1).then_some(self.now + 24)
    }

    /// Whether that field waits.
    pub fn waits(&self, setting: Setting) -> bool {
        self.waiting.is_some_and(|waiting| discriminant(&waiting.setting) == discriminant(&setting))
    }

    pub fn end_waiting(&mut self, kind: K, by: Option<Name>) {
        self.waiting = None;
        self.revision += 1;
        self.happened(kind, by, None, None);
    }

    /// By what time it is.
    pub fn settle_waiting(&mut self) {
        let Some(Waiting { setting, since, alone, .. }) = self.waiting else { return };
        let end = since + 7 * 24;
        if alone.is_some_and(|at| at <= self.now && at <= end) {
            setting.set(self);
            self.end_waiting(K::OrganizationUpdated, None);
            self.warn(self.notified);
        } else if end <= self.now {
            self.end_waiting(K::ChangeWithdrawn, None);
        }
    }

    /// Owners came or went.
    pub fn follow(&mut self, before: usize, by: Option<Name>) {
        let Some(waiting) = self.waiting.filter(|_| self.owners() != before) else { return };
        let alone = self.alone();
        if self.members.get(waiting.author).is_none_or(|member| member.role != Role::Owner) {
            self.end_waiting(K::ChangeWithdrawn, by);
        } else if alone != waiting.alone {
            self.waiting = Some(Waiting { alone, ..waiting });
            self.revision += 1;
            self.warn(self.notified);
        }
    }

    pub fn approve_change(&mut self, caller: Name, tag: Tag) -> Outcome {
        if caller == ROBOT {
            return Err(Refusal::PersonRequired);
        }
        self.owner(caller)?;
        let Some(waiting) = self.waiting else { return Err(Refusal::NoPendingChange) };
        if waiting.author == caller {
            return Err(Refusal::SecondPersonRequired);
        }
        if self.members[caller].updated >= waiting.since {
            return Err(Refusal::ApproverTooNew);
        }
        tag.check()?;
        waiting.setting.set(self);
        self.end_waiting(K::ChangeApproved, Some(caller));
        self.warn(self.notified);
        Ok(Subject::Organization)
    }

    pub fn withdraw_change(&mut self, caller: Name, tag: Tag) -> Outcome {
        if caller != ROBOT {
            self.owner(caller)?;
        }
        if self.waiting.is_none() {
            return Err(Refusal::NoPendingChange);
        }
        tag.check()?;
        self.end_waiting(K::ChangeWithdrawn, Some(caller));
        Ok(Subject::Organization)
    }

    fn owner(&self, caller: Name) -> Result<(), Refusal> {
        match self.role(caller, &Subject::Organization)? {
            Some(Role::Owner) => Ok(()),
            Some(_) => Err(Refusal::RoleRequired(Role::Owner)),
            None => Err(not_found(&Subject::Organization)),
        }
    }
}
