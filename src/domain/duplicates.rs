//! Rows of one batch that are for the same address.

use std::collections::HashMap;

use super::{Command, Operation, Refusal};

/// Refuses each row that is for the address of an earlier one. Rows that are refused already are for nobody.
pub fn refuse_duplicates(rows: &mut [Result<Command, Refusal>]) {
    let mut first = HashMap::new();
    for (n, row) in rows.iter_mut().enumerate() {
        let Ok(Command { operation: Operation::CreateInvitation(invite), .. }) = row else { continue };
        match first.get(invite.email.key()) {
            Some(&earlier) => *row = Err(Refusal::DuplicateInBatch { row: earlier }),
            None => _ = first.insert(invite.email.key().to_owned(), n),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::{Annotations, EmailAddress, FieldFault, InvitationId, Invite, OrganizationId};

    #[test]
    fn a_row_is_a_duplicate_of_the_first_with_its_address_however_that_is_typed() {
        let row = |email: &str| {
            let email =
                EmailAddress::parse(email).ok_or(Refusal::field("invitation.email", FieldFault::Malformed, "must"))?;
            let invite =
                Invite { id: InvitationId(Uuid::nil()), email, locale: None, annotations: Annotations::default() };
            let operation = Operation::CreateInvitation(invite);
            let organization = OrganizationId::stored("acme".to_owned());
            Ok(Command::new(organization, None, None, operation))
        };
        let typed =
            ["anna@example.com", "nobody", "Anna@EXAMPLE.com", "anna+x@example.com", "nobody", "anna@example.com"];
        let mut rows = typed.map(row);
        refuse_duplicates(&mut rows);
        let duplicate_of = |row: &Result<_, Refusal>| match row {
            Err(Refusal::DuplicateInBatch { row }) => Some(*row),
            _ => None,
        };
        assert_eq!(rows.each_ref().map(duplicate_of), [None, None, Some(0), None, None, Some(0)]);
        assert!(matches!((&rows[1], &rows[4]), (Err(Refusal::InvalidFields(_)), Err(Refusal::InvalidFields(_)))));
    }
}
