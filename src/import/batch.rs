//! What goes into one call, and the ids that make it safe to repeat.

use std::collections::VecDeque;

use prost::Message;
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use super::row::Row;
use crate::client::v1::CreateInvitationRequest;

/// What the service takes in one call, in rows.
pub const MOST_ROWS: usize = 1000;
/// What it takes is 1 MiB; the rest is for the call around the rows.
const MOST_BYTES: usize = 1024 * 1024 - 4096;
/// Of an entry of a list beside the message itself: its tag and its length.
const ENTRY: usize = 6;

/// A row on its way.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) line: u64,
    pub(super) email: String,
    pub(super) note: String,
    pub(super) request: CreateInvitationRequest,
}

impl Pending {
    /// With the id that this row of this file has in each run. It holds all that the request says, so that the same id
    /// never stands for another request; and the line, so that it is another one where the address moves.
    pub(super) fn new(row: Row, file: &[u8; 32], parent: &str) -> Self {
        let mut request = row.request();
        let mut digest = Sha256::new();
        digest.update(b"invitations import\0");
        digest.update(file);
        digest.update(parent.as_bytes());
        digest.update(row.line.to_be_bytes());
        digest.update(request.encode_to_vec());
        request.request_id = id(&digest.finalize().into()).to_string();
        Self { line: row.line, email: row.email.typed().to_owned(), note: row.note, request }
    }
}

/// A UUID of a digest (RFC 9562, version 8 as in appendix B.2).
fn id(digest: &[u8; 32]) -> Uuid {
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    Builder::from_custom_bytes(half).into_uuid()
}

/// How many of the rows at the front go into one call.
pub(super) fn fitting(rows: &VecDeque<Pending>, most: usize) -> usize {
    let mut bytes = 0;
    let fits = |row: &&Pending| {
        bytes += row.request.encoded_len() + ENTRY;
        bytes <= MOST_BYTES
    };
    rows.iter().take(most.min(MOST_ROWS)).take_while(fits).count().max(1).min(rows.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::v1::{BatchCreateInvitationsRequest, Invitation};

    fn pending(value: &str) -> Pending {
        let annotations = (0..16).map(|nth| (format!("key-{nth}"), value.to_owned())).collect();
        let invitation = Invitation { email: "anna@example.com".to_owned(), annotations, ..Invitation::default() };
        let request = CreateInvitationRequest {
            invitation: Some(invitation),
            request_id: Uuid::nil().to_string(),
            ..CreateInvitationRequest::default()
        };
        Pending { line: 1, email: String::new(), note: String::new(), request }
    }

    #[test]
    fn a_call_has_at_most_a_thousand_rows_and_a_mebibyte() {
        let rows = |value: &str, count: usize| (0..count).map(|_| pending(value)).collect::<VecDeque<_>>();
        assert_eq!(fitting(&rows("x", 3), 1000), 3);
        assert_eq!(fitting(&rows("x", 3), 2), 2);
        assert_eq!(fitting(&rows("x", 1200), 5000), 1000);
        assert_eq!(fitting(&VecDeque::new(), 5000), 0);

        let long = rows(&"\u{1f600}".repeat(256), 1000);
        let count = fitting(&long, 1000);
        let encoded = |count: usize| {
            let requests = long.iter().take(count).map(|row| row.request.clone()).collect();
            let parent = format!("organizations/{}", "a".repeat(39));
            BatchCreateInvitationsRequest { parent, requests, ..Default::default() }.encoded_len()
        };
        assert!(encoded(count) < 1024 * 1024 && encoded(count + 1) > 1000 * 1024, "{count}");
    }
}
