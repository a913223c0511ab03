//! What is there already.

use super::{Code, Problem};
use crate::pb::ErrorReason;

fn exists(reason: ErrorReason, sentence: String) -> Problem {
    Problem::new(Code::AlreadyExists, reason, sentence)
}

pub(super) fn organization(name: String) -> Problem {
    let sentence = format!("{name} exists already: choose another organization_id");
    exists(ErrorReason::OrganizationExists, sentence).with("organization", name)
}

pub(super) fn username(name: String) -> Problem {
    let sentence = format!("{name} is taken: choose another account_id");
    exists(ErrorReason::UsernameTaken, sentence).with("account", name)
}

pub(super) fn account(name: String) -> Problem {
    let sentence = format!("you have the account {name} already: use it");
    exists(ErrorReason::AccountExists, sentence).with("account", name)
}

pub(super) fn open_invitation(name: String) -> Problem {
    let sentence = format!("{name} is open already: go on with it, or have it revoked or declined first");
    exists(ErrorReason::OpenInvitationExists, sentence).with("invitation", name)
}

pub(super) fn member(name: String) -> Problem {
    let sentence = format!("{name} is a member already: to change the role, call UpdateMember");
    exists(ErrorReason::AlreadyMember, sentence).with("member", name)
}

pub(super) fn row(row: usize) -> Problem {
    let sentence = format!("row {row} of the batch is for the same address: leave this one out");
    exists(ErrorReason::DuplicateInBatch, sentence).with("row", row.to_string())
}
