//! What has been done, or tried, too often.

use time::Duration;

use super::{Code, Problem};
use crate::pb::ErrorReason;

/// How long to wait for open invitations to end by themselves: the shortest time that one lives.
const INVITATIONS_END: Duration = Duration::HOUR;

fn too_many(reason: ErrorReason, wait: Duration, sentence: impl Into<String>) -> Problem {
    Problem::new(Code::ResourceExhausted, reason, sentence).retry_after(wait.try_into().unwrap_or_default())
}

pub(super) fn wrong_codes(wait: Duration) -> Problem {
    too_many(ErrorReason::TooManyWrongCodes, wait, "too many wrong codes: wait before the next try")
}

pub(super) fn wrong_accounts(wait: Duration) -> Problem {
    let sentence = "too many wrong usernames or addresses: wait before the next try";
    too_many(ErrorReason::TooManyWrongAccounts, wait, sentence)
}

pub(super) fn resent_too_soon(wait: Duration) -> Problem {
    let sentence = "the email was sent a moment ago: wait, and see the invitation's deliveries";
    too_many(ErrorReason::ResentTooSoon, wait, sentence)
}

pub(super) fn resends(limit: i32, wait: Duration) -> Problem {
    let sentence =
        format!("the email was sent again {limit} times in 24 hours: wait, and see the invitation's deliveries");
    too_many(ErrorReason::TooManyResends, wait, sentence).with("limit", limit.to_string())
}

pub(super) fn open_invitations(limit: i32) -> Problem {
    let sentence = format!("the organization has {limit} open invitations: revoke those that are no longer wanted");
    too_many(ErrorReason::TooManyOpenInvitations, INVITATIONS_END, sentence).with("limit", limit.to_string())
}

pub(super) fn organization_invitations(limit: i32, wait: Duration) -> Problem {
    let sentence = "the organization has sent as many invitations and resends as it may in 24 hours: wait, or have the \
                    limit raised";
    too_many(ErrorReason::TooManyOrganizationInvitations, wait, sentence).with("limit", limit.to_string())
}

pub(super) fn invitations(wait: Duration) -> Problem {
    let sentence = "you have sent as many invitations and resends as you may in 24 hours: wait before the next one";
    too_many(ErrorReason::TooManyInvitations, wait, sentence)
}

pub(super) fn organizations(wait: Duration) -> Problem {
    let sentence = "you have tried to create as many organizations as you may in 24 hours: wait before the next one";
    too_many(ErrorReason::TooManyOrganizations, wait, sentence)
}

pub(super) fn account_attempts(wait: Duration) -> Problem {
    let sentence = "you have tried to create an account too often: wait before the next try";
    too_many(ErrorReason::TooManyAccountAttempts, wait, sentence)
}

pub(super) fn protection_changes(wait: Duration) -> Problem {
    let sentence = "you have changed policies and notification addresses too often: wait before the next change";
    too_many(ErrorReason::TooManyProtectionChanges, wait, sentence)
}

pub(super) fn changes(wait: Duration) -> Problem {
    let sentence = "you have changed this too often in 24 hours: wait before the next change";
    too_many(ErrorReason::TooManyChanges, wait, sentence)
}
