//! What offers do in the model: made, taken over, approved.

use super::model::{Model, Name, Outcome, ROBOT, invitation_name, is_offer, member_name, same, seats};
use super::steps::Tag;
use super::world::id;
use crate::domain::{EmailKind as E, EventKind as K, InvitationState as S, Refusal, Role, Subject};

impl Model {
    /// Pairs that the organization was told before are no guesses.
    fn wrong_pair(&self, account: Name, address: Name) -> Refusal {
        if !self.accounts.contains_key(account) {
            return Refusal::AccountEmailNotFound;
        }
        if self.members.get(account).and_then(|member| member.email).is_some_and(|email| same(email, address)) {
            return Refusal::AlreadyMember(member_name(account));
        }
        let open = self.open_of_account(account);
        match open.filter(|open| self.rows[*open].account_email.is_some_and(|email| same(email, address))) {
            Some(open) => Refusal::AccountEmailChanged(invitation_name(open)),
            None => Refusal::AccountEmailNotFound,
        }
    }

    /// Whether everybody that an offer rests on may still grant its role.
    pub fn covered(&self, row: usize) -> Result<(), Refusal> {
        let offer = &self.rows[row];
        let role = offer.role.unwrap();
        let is_approved = match offer.approver {
            Some(approver) => self.may_still_grant(approver, role),
            None => offer.state == S::PendingApproval || !self.needs_approval(role),
        };
        let is_covered = is_approved && self.may_still_grant(offer.offerer.unwrap(), role);
        if is_covered { Ok(()) } else { Err(Refusal::OfferNotCovered(role)) }
    }

    pub fn offer(&mut self, caller: Name, account: Name, address: Name, role: Role) -> Outcome {
        self.granter(caller, &Subject::Organization, role)?;
        if !self.holds(account, address) {
            return Err(self.wrong_pair(account, address));
        }
        self.admits(account, address)?;
        if self.members.contains_key(account) {
            return Err(Refusal::AlreadyMember(member_name(account)));
        }
        let own = self.open_of_account(account);
        if let Some(open) = own.filter(|open| is_offer(self.rows[*open].state)) {
            let offered = &self.rows[open];
            let is_same = offered.role == Some(role) && same(offered.account_email.unwrap(), address);
            if !is_same {
                return Err(Refusal::AlreadyOffered(invitation_name(open)));
            }
            if self.covered(open).is_ok() {
                return Ok(Subject::Invitation(id(open)));
            }
        } else {
            self.seat(seats(role))?;
        }
        let row = match (own, self.open_of_address(address)) {
            (Some(requested), _) => requested,
            (None, Some(invited)) if self.rows[invited].state == S::Invited => invited,
            (None, Some(other)) => return Err(Refusal::EmailBoundToOther(invitation_name(other))),
            (None, None) => {
                self.quota()?;
                self.new_row(address)
            }
        };
        let ends = self.now + self.policy.offer_lifetime.whole_hours();
        let entry = &mut self.rows[row];
        (entry.account, entry.account_email) = (Some(account), Some(address));
        (entry.role, entry.offerer, entry.approver) = (Some(role), Some(caller), None);
        (entry.ends, entry.asked) = (Some(ends), self.now);
        // whoever asked for access expects the answer
        self.counted += u32::from(!entry.requested);
        if self.needs_approval(role) {
            self.step(row, S::PendingApproval, K::Offered, caller);
        } else {
            self.step(row, S::Offered, K::Offered, caller);
            self.ask(E::OrganizationInvitation, E::OfferReminder, row, address);
        }
        Ok(Subject::Invitation(id(row)))
    }

    /// By somebody else who could have made the offer.
    pub fn approve(&mut self, caller: Name, row: usize, tag: Tag) -> Outcome {
        if caller == ROBOT {
            return Err(Refusal::PersonRequired);
        }
        let found = self.handled(caller, row)?;
        if found.state != S::PendingApproval {
            return Err(self.wrong_state(row));
        }
        if found.offerer == Some(caller) || found.account == Some(caller) {
            return Err(Refusal::SecondPersonRequired);
        }
        tag.check()?;
        self.covered(row)?;
        let entry = &mut self.rows[row];
        entry.approver = Some(caller);
        (entry.ends, entry.asked) = (Some(self.now + self.policy.offer_lifetime.whole_hours()), self.now);
        self.step(row, S::Offered, K::Approved, caller);
        self.ask(E::OrganizationInvitation, E::OfferReminder, row, found.account_email.unwrap());
        Ok(Subject::Invitation(id(row)))
    }
}
