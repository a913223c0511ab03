//! Whom an organization tells: its notification address, and its owners.

use super::{Context, Email, EmailAddress, EmailKind, Invitation, Member, OrganizationState, Timestamp};

/// So many owners stand in for a notification address, the first by username.
const OWNERS_TOLD: usize = 10;

impl OrganizationState {
    /// Writes an email to the notification address, and to owners while nobody has shown whose that is.
    pub fn notify(&mut self, kind: EmailKind, invitation: &Invitation, context: &Context<'_>, due_time: Timestamp) {
        self.send(kind, invitation, self.organization.notification_email.clone(), due_time);
        let (invitation, generation, is_to_owner, trace) = (Some(invitation.id), 0, true, self.trace);
        let email = |recipient| Email { kind, invitation, generation, recipient, is_to_owner, due_time, trace };
        self.emails.extend(self.stand_ins(context).into_iter().map(email));
    }

    /// The addresses of the owners, of each one that they still hold.
    pub fn owners_addresses(&self, context: &Context<'_>) -> Vec<EmailAddress> {
        let address = |owner: &Member| {
            let account = context.accounts.get(&owner.username)?;
            let held = owner.email.as_ref().filter(|email| account.holds(email));
            held.or(account.emails.first()).cloned()
        };
        self.owners().filter_map(address).collect()
    }

    /// Who gets what goes to the notification address, beside it, while nobody has shown whose that is.
    fn stand_ins(&self, context: &Context<'_>) -> Vec<EmailAddress> {
        if self.organization.missing_proof.is_none() {
            return Vec::new();
        }
        let mut addresses = self.owners_addresses(context);
        addresses.retain(|address| address.key() != self.organization.notification_email.key());
        addresses.truncate(OWNERS_TOLD);
        addresses.sort_by(|a, b| a.key().cmp(b.key()));
        addresses.dedup_by(|a, b| a.key() == b.key());
        addresses
    }

    /// Writes to every owner at hand, under an address that they still hold, and to the old notification address, if
    /// somebody has shown that it is theirs.
    pub fn tell_owners(&mut self, context: &Context<'_>, old_address: Option<EmailAddress>) {
        let mut recipients = self.owners_addresses(context);
        recipients.extend(old_address);
        recipients.sort_by(|a, b| a.key().cmp(b.key()));
        recipients.dedup_by(|a, b| a.key() == b.key());
        self.emails.extend(recipients.into_iter().map(|recipient| Email {
            kind: EmailKind::OrganizationChanged,
            invitation: None,
            generation: 0,
            recipient,
            is_to_owner: false,
            due_time: context.now,
            trace: self.trace,
        }));
    }
}
