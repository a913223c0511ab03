//! What the caller has no right to.

use super::{Code, Problem};
use crate::domain::{Role, Scope};
use crate::pb::ErrorReason;

fn denied(reason: ErrorReason, sentence: impl Into<String>) -> Problem {
    Problem::new(Code::PermissionDenied, reason, sentence)
}

/// Not a matter of rights for programs: the call works once there is an account.
pub(super) fn account_required() -> Problem {
    let sentence = "you have no account yet: create one first";
    Problem::new(Code::FailedPrecondition, ErrorReason::AccountRequired, sentence)
}

pub(super) fn person_required() -> Problem {
    denied(ErrorReason::PersonRequired, "no service acts for a person: call with their own token")
}

pub(super) fn invitee_required() -> Problem {
    let sentence = "only the invited account answers an invitation: to take it back, revoke it";
    denied(ErrorReason::InviteeRequired, sentence)
}

pub(super) fn role_required(role: Role) -> Problem {
    let role = role.as_str();
    let sentence = format!("this needs the role {role} or a higher one: ask a member who has it");
    denied(ErrorReason::RoleRequired, sentence).with("required_role", role)
}

pub(super) fn role_not_grantable(role: Role) -> Problem {
    let role = role.as_str();
    let sentence = format!("the role {role} is beyond what you may grant: choose a lower one or ask an owner");
    denied(ErrorReason::RoleNotGrantable, sentence).with("role", role)
}

pub(super) fn second_person_required() -> Problem {
    let sentence =
        "a second person is needed, who neither made it nor is to accept it: ask another member who may approve it";
    denied(ErrorReason::SecondPersonRequired, sentence)
}

pub(super) fn scope_required(scope: Scope) -> Problem {
    let scope = scope.as_str();
    let sentence =
        format!("this takes the scope {scope}, which the service lacks: have it added to its configuration entry");
    denied(ErrorReason::ScopeRequired, sentence).with("scope", scope)
}

/// The same of a person, who cannot get a scope.
pub(super) fn service_required(scope: Scope) -> Problem {
    let scope = scope.as_str();
    let sentence = format!("only services with the scope {scope} may do this: ask who operates the service");
    denied(ErrorReason::ScopeRequired, sentence).with("scope", scope)
}
