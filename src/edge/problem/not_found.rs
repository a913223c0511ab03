//! What is not there, or not for this caller: they are told the same of both.

use super::{Code, Problem};
use crate::pb::ErrorReason;

fn not_found(reason: ErrorReason, sentence: impl Into<String>) -> Problem {
    Problem::new(Code::NotFound, reason, sentence)
}

pub(super) fn organization(name: String) -> Problem {
    let sentence = format!("{name} does not exist or is not yours: check the name, or ask to be invited");
    not_found(ErrorReason::OrganizationNotFound, sentence).with("organization", name)
}

pub(super) fn invitation(name: String) -> Problem {
    let sentence = format!("{name} does not exist or is not yours: look for it in the list of invitations");
    not_found(ErrorReason::InvitationNotFound, sentence).with("invitation", name)
}

pub(super) fn member(name: String) -> Problem {
    let sentence = format!("{name} does not exist or you cannot see it: look for it in the list of members");
    not_found(ErrorReason::MemberNotFound, sentence).with("member", name)
}

pub(super) fn account(name: String) -> Problem {
    let sentence = format!("{name} does not exist or is not yours: check the username");
    not_found(ErrorReason::AccountNotFound, sentence).with("account", name)
}

pub(super) fn account_email() -> Problem {
    let sentence =
        "no account has this username together with this verified address: take both from the access request";
    not_found(ErrorReason::AccountEmailNotFound, sentence)
}

pub(super) fn notification_code() -> Problem {
    let sentence = "this code does not belong to the present notification address, or is over: take the one of the newest \
                    email to it, or set the address again to get another one";
    not_found(ErrorReason::NotificationCodeNotFound, sentence)
}

pub(super) fn code() -> Problem {
    let sentence = "this code opens no invitation for you: ask the organization to resend it";
    not_found(ErrorReason::CodeNotFound, sentence)
}
