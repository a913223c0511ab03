//! What each transition does in the model: the rows of the contract's table, one function each.

use super::model::{
    Member, Model, Name, Outcome, ROBOT, Row, invitation_name, is_offer, is_open, member_name, not_found, same,
};
use super::steps::{Call, Step, Tag};
use super::world::{RESEND_HOURS, id};
use crate::domain::{AddressMatch, EmailKind as E, EventKind as K, InvitationState as S, Refusal, Role, Subject};

impl Model {
    pub fn apply(&mut self, step: &Step) -> Outcome {
        self.told.clear();
        self.events.clear();
        match step {
            Step::Pass(hours) => self.now += hours,
            Step::Keys(keys) => self.keys = keys,
            Step::Bury(name) => drop(self.accounts.remove(name)),
            Step::Attest(name, emails) => {
                if let Some(person) = self.accounts.get_mut(name) {
                    person.emails = emails.to_vec();
                }
            }
            Step::Sweep => self.close_overdue(),
            Step::Leave(name) => {
                self.close_overdue();
                let owners = self.owners();
                let outcome = self.leave(name);
                self.follow(owners, None);
                return outcome;
            }
            Step::Call(caller, call) => {
                self.close_overdue();
                let owners = self.owners();
                let outcome = self.call(caller, call);
                self.follow(owners, Some(caller));
                return outcome;
            }
        }
        Ok(Subject::Organization)
    }

    fn call(&mut self, caller: Name, call: &Call) -> Outcome {
        match *call {
            Call::Create(address) => self.create(caller, address),
            Call::Request { row, generation, key } => self.request(caller, row, generation, key),
            Call::Settle { row, generation, key } => self.settle(caller, row, generation, key),
            Call::Offer { account, address, role } => self.offer(caller, account, address, role),
            Call::Approve(row, tag) => self.approve(caller, row, tag),
            Call::Accept(row, tag) => self.accept(caller, row, tag),
            Call::Decline(row, tag) => self.decline(caller, row, tag),
            Call::Reject(row, tag) => self.reject(caller, row, tag),
            Call::Revoke(row, tag) => self.revoke(caller, row, tag),
            Call::Resend { row, tag, rotate, gone } => self.resend(caller, row, tag, rotate, gone),
            Call::UpdateMember(name, role, tag) => self.update_member(caller, name, role, tag),
            Call::DeleteMember(name, tag) => self.delete_member(caller, name, tag),
            Call::Edit(setting, tag) => self.edit(caller, setting, tag),
            Call::ApproveChange(tag) => self.approve_change(caller, tag),
            Call::WithdrawChange(tag) => self.withdraw_change(caller, tag),
        }
    }

    fn close_overdue(&mut self) {
        for row in 0..self.rows.len() {
            let Some(end) = self.rows[row].ends.filter(|end| is_open(self.rows[row].state) && *end <= self.now) else {
                continue;
            };
            self.rows[row].state = S::Expired;
            self.rows[row].updated = end;
            self.happened(K::Expired, None, Some(row), self.rows[row].account);
            if self.policy.expiry_notifications {
                self.tell(E::InvitationExpired, row, self.notified, self.now);
            }
        }
        self.settle_waiting();
    }

    /// A step of an invitation: one event, one revision.
    pub fn step(&mut self, row: usize, state: S, kind: K, by: Name) {
        let now = self.now;
        let entry = &mut self.rows[row];
        entry.state = state;
        entry.updated = now;
        entry.revision += 1;
        let account = entry.account;
        self.happened(kind, Some(by), Some(row), account);
    }

    pub fn new_row(&mut self, email: Name) -> usize {
        let (updated, asked) = (self.now, self.now);
        let none = None::<Name>;
        self.rows.push(Row {
            state: S::Invited,
            email,
            account: none,
            account_email: none,
            role: None,
            inviter: none,
            offerer: none,
            approver: none,
            generation: 0,
            key: "",
            created: self.now,
            updated,
            ends: None,
            asked,
            requested: false,
            revision: 0,
        });
        self.rows.len() - 1
    }

    fn create(&mut self, caller: Name, address: Name) -> Outcome {
        self.inviter(caller, &Subject::Organization)?;
        self.admits_domain(address)?;
        if let Some(open) = self.open_of_address(address) {
            return Err(Refusal::OpenInvitationExists(invitation_name(open)));
        }
        let has_address = |member: &Member| member.email.is_some_and(|held| same(held, address));
        if let Some((name, _)) = self.members.iter().find(|(_, member)| has_address(member)) {
            return Err(Refusal::AlreadyMember(member_name(name)));
        }
        self.quota()?;
        let row = self.new_row(address);
        self.rows[row].inviter = Some(caller);
        self.rows[row].generation = 1;
        self.rows[row].key = self.keys[0];
        self.rows[row].ends = Some(self.now + self.policy.invitation_lifetime.whole_hours());
        self.counted += 1;
        self.step(row, S::Invited, K::Invited, caller);
        self.ask(E::AccountInvitation, E::InvitationReminder, row, address);
        Ok(Subject::Invitation(id(row)))
    }

    fn request(&mut self, caller: Name, row: usize, generation: i32, key: Name) -> Outcome {
        if caller == ROBOT {
            return Err(Refusal::PersonRequired);
        }
        if !self.accounts.contains_key(caller) {
            return Err(Refusal::AccountRequired);
        }
        let found = self.rows.get(row).cloned().ok_or(Refusal::CodeNotFound)?;
        let is_bound = found.account == Some(caller);
        if (found.generation, found.key) != (generation, key) || !is_bound && found.state != S::Invited {
            return Err(Refusal::CodeNotFound);
        }
        if !self.keys.contains(&key) {
            return Err(Refusal::CodeKeyMissing(key.to_owned()));
        }
        if is_bound {
            return self.request_again(caller, row);
        }
        if self.members.contains_key(caller) {
            return Err(Refusal::AlreadyMember(member_name(caller)));
        }
        if let Some(open) = self.open_of_account(caller) {
            return Err(Refusal::OpenInvitationExists(invitation_name(open)));
        }
        self.ask_for_access(caller, row)
    }

    /// Under the address that the account has now.
    fn ask_for_access(&mut self, caller: Name, row: usize) -> Outcome {
        let emails = self.accounts[caller].emails.clone();
        let first = *emails.first().ok_or(Refusal::EmailNotVerified)?;
        // the invited address as the account writes it
        let held = emails.into_iter().find(|held| same(held, self.rows[row].email));
        let bound = match (held, self.policy.address_match) {
            (Some(held), _) => held,
            (None, AddressMatch::Warn) => first,
            (None, AddressMatch::Require) => return Err(Refusal::AddressMismatch),
            (None, AddressMatch::Newer) => return Err(Refusal::NewerVersionNeeded),
        };
        let entry = &mut self.rows[row];
        (entry.account, entry.account_email) = (Some(caller), Some(bound));
        (entry.ends, entry.asked) = (None, self.now);
        entry.requested = true;
        self.step(row, S::AccessRequested, K::AccessRequested, caller);
        self.tell_request(row);
        Ok(Subject::Invitation(id(row)))
    }

    fn request_again(&mut self, caller: Name, row: usize) -> Outcome {
        let found = self.rows[row].clone();
        match (found.state, found.account_email) {
            (S::AccessRequested, Some(address)) if !self.holds(caller, address) => {
                let wait = found.asked + RESEND_HOURS - self.now;
                if wait > 0 {
                    return Err(Refusal::ResentTooSoon { wait: time::Duration::hours(wait) });
                }
                self.ask_for_access(caller, row)
            }
            (S::AccessRequested | S::PendingApproval | S::Offered | S::Accepted, _) => Ok(Subject::Invitation(id(row))),
            (S::Revoked, None) if self.members.contains_key(caller) => Err(Refusal::AlreadyMember(member_name(caller))),
            _ => Err(self.wrong_state(row)),
        }
    }

    /// A member has used the code.
    fn settle(&mut self, caller: Name, row: usize, generation: i32, key: Name) -> Outcome {
        let is_member = self.members.contains_key(caller) && self.accounts.contains_key(caller);
        let is_live = self.rows.get(row).is_some_and(|found| {
            found.state == S::Invited && (found.generation, found.key) == (generation, key) && self.keys.contains(&key)
        });
        if !is_member || !is_live {
            return Err(Refusal::CodeNotFound);
        }
        self.rows[row].account = Some(caller);
        self.step(row, S::Revoked, K::Revoked, caller);
        Ok(Subject::Invitation(id(row)))
    }

    /// The invitation that the caller may answer.
    fn own(&self, caller: Name, row: usize) -> Result<Row, Refusal> {
        if caller == ROBOT {
            return Err(Refusal::PersonRequired);
        }
        if !self.accounts.contains_key(caller) {
            return Err(Refusal::AccountRequired);
        }
        match self.rows.get(row) {
            Some(found) if found.account == Some(caller) => Ok(found.clone()),
            Some(_) if self.members.get(caller).is_some_and(|member| member.role >= Role::SecurityManager) => {
                Err(Refusal::InviteeRequired)
            }
            _ => Err(not_found(&Subject::Invitation(id(row)))),
        }
    }

    fn accept(&mut self, caller: Name, row: usize, tag: Tag) -> Outcome {
        let found = self.own(caller, row)?;
        if found.state == S::Accepted {
            return Ok(Subject::Invitation(id(row)));
        }
        if found.state != S::Offered {
            return Err(self.wrong_state(row));
        }
        tag.check()?;
        let (role, address, offerer) = (found.role.unwrap(), found.account_email.unwrap(), found.offerer.unwrap());
        self.covered(row)?;
        self.admits(caller, address)?;
        if self.policy.address_match == AddressMatch::Require && !self.holds(caller, found.email) {
            return Err(Refusal::AddressMismatch);
        }
        let (email, inviter, joined, updated) = (Some(address), Some(offerer), self.now, self.now);
        self.members.insert(caller, Member { role, email, inviter, joined, updated, revision: 1 });
        self.step(row, S::Accepted, K::Accepted, caller);
        self.tell(E::AccessGranted, row, address, self.now);
        self.tell(E::MemberJoined, row, self.notified, self.now);
        Ok(Subject::Invitation(id(row)))
    }

    fn decline(&mut self, caller: Name, row: usize, tag: Tag) -> Outcome {
        let found = self.own(caller, row)?;
        if !is_open(found.state) {
            return Err(self.wrong_state(row));
        }
        tag.check()?;
        self.step(row, S::Declined, K::Declined, caller);
        self.tell(E::InvitationDeclined, row, self.notified, self.now);
        Ok(Subject::Invitation(id(row)))
    }

    fn reject(&mut self, caller: Name, row: usize, tag: Tag) -> Outcome {
        let subject = Subject::Invitation(id(row));
        self.inviter(caller, &subject)?;
        let found = self.rows.get(row).cloned().ok_or_else(|| not_found(&subject))?;
        if found.state != S::AccessRequested {
            return Err(self.wrong_state(row));
        }
        tag.check()?;
        self.step(row, S::Rejected, K::Rejected, caller);
        self.tell(E::AccessRejected, row, found.account_email.unwrap(), self.now);
        Ok(subject)
    }

    /// For an administrator; an offer only for those who could make it.
    pub fn handled(&self, caller: Name, row: usize) -> Result<Row, Refusal> {
        let subject = Subject::Invitation(id(row));
        self.inviter(caller, &subject)?;
        let found = self.rows.get(row).cloned().ok_or_else(|| not_found(&subject))?;
        if is_offer(found.state) {
            self.granter(caller, &subject, found.role.unwrap())?;
        }
        Ok(found)
    }

    fn revoke(&mut self, caller: Name, row: usize, tag: Tag) -> Outcome {
        if !is_open(self.handled(caller, row)?.state) {
            return Err(self.wrong_state(row));
        }
        tag.check()?;
        self.step(row, S::Revoked, K::Revoked, caller);
        Ok(Subject::Invitation(id(row)))
    }

    fn resend(&mut self, caller: Name, row: usize, tag: Tag, rotate: bool, gone: Option<Name>) -> Outcome {
        let found = self.handled(caller, row)?;
        let from = if rotate { &[S::Invited][..] } else { &[S::Invited, S::AccessRequested, S::Offered] };
        if !from.contains(&found.state) {
            return Err(self.wrong_state(row));
        }
        tag.check()?;
        match found.state {
            S::Invited => self.admits_domain(found.email)?,
            S::Offered => {
                self.covered(row)?;
                self.admits_domain(found.account_email.unwrap())?;
            }
            _ => {}
        }
        let wait = found.asked + RESEND_HOURS - self.now;
        if wait > 0 {
            return Err(Refusal::ResentTooSoon { wait: time::Duration::hours(wait) });
        }
        let is_here = self.keys.contains(&found.key);
        if found.state == S::Invited && !is_here && gone != Some(found.key) {
            return Err(Refusal::CodeKeyMissing(found.key.to_owned()));
        }
        self.rows[row].asked = self.now;
        self.counted += 1;
        match found.state {
            S::Invited => {
                // the code of a key that is gone counts for nothing, so another one is sent
                let is_dead = rotate || !is_here;
                if is_dead {
                    self.rows[row].generation += 1;
                    self.rows[row].key = self.keys[0];
                }
                self.rows[row].ends = Some(self.now + self.policy.invitation_lifetime.whole_hours());
                self.step(row, found.state, if is_dead { K::CodeRotated } else { K::Resent }, caller);
                self.ask(E::AccountInvitation, E::InvitationReminder, row, found.email);
            }
            S::Offered => {
                self.rows[row].ends = Some(self.now + self.policy.offer_lifetime.whole_hours());
                self.step(row, found.state, K::Resent, caller);
                self.ask(E::OrganizationInvitation, E::OfferReminder, row, found.account_email.unwrap());
            }
            _ => {
                self.step(row, found.state, K::Resent, caller);
                self.tell_request(row);
            }
        }
        Ok(Subject::Invitation(id(row)))
    }
}
