//! Each refusal and who has the words for it.

use super::{Problem, exists, limits, not_found, replica, request, rights, state};
use crate::domain::Refusal;

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::InvalidFields(fields) => request::invalid_fields(fields),
            Refusal::CodeMistyped => request::code_mistyped(),
            Refusal::PageTokenInvalid => request::page_token_invalid(),
            Refusal::RequestIdReused => request::request_id_reused(),
            Refusal::EtagMismatch => request::etag_mismatch(),

            Refusal::AccountRequired => rights::account_required(),
            Refusal::PersonRequired => rights::person_required(),
            Refusal::InviteeRequired => rights::invitee_required(),
            Refusal::RoleRequired(role) => rights::role_required(role),
            Refusal::RoleNotGrantable(role) => rights::role_not_grantable(role),
            Refusal::SecondPersonRequired => rights::second_person_required(),
            Refusal::ScopeRequired(scope) => rights::scope_required(scope),
            Refusal::ServiceRequired(scope) => rights::service_required(scope),

            Refusal::OrganizationNotFound(name) => not_found::organization(name),
            Refusal::InvitationNotFound(name) => not_found::invitation(name),
            Refusal::MemberNotFound(name) => not_found::member(name),
            Refusal::AccountNotFound(name) => not_found::account(name),
            Refusal::AccountEmailNotFound => not_found::account_email(),
            Refusal::CodeNotFound => not_found::code(),
            Refusal::NotificationCodeNotFound => not_found::notification_code(),

            Refusal::OrganizationExists(name) => exists::organization(name),
            Refusal::UsernameTaken(name) => exists::username(name),
            Refusal::AccountExists(name) => exists::account(name),
            Refusal::OpenInvitationExists(name) => exists::open_invitation(name),
            Refusal::AlreadyMember(name) => exists::member(name),
            Refusal::DuplicateInBatch { row } => exists::row(row),

            Refusal::AlreadyOffered(name) => state::already_offered(name),
            Refusal::AccountEmailChanged(name) => state::account_email_changed(name),
            Refusal::EmailBoundToOther(name) => state::email_bound_to_other(name),
            Refusal::InvitationState { name, state } => state::invitation(name, state),
            Refusal::EmailNotVerified => state::email_not_verified(),
            Refusal::AddressMismatch => state::address_mismatch(),
            Refusal::AttestationTooOld => state::attestation_too_old(),
            Refusal::EmailDomainNotAllowed(domain) => state::email_domain_not_allowed(domain),
            Refusal::ProviderNotAllowed(provider) => state::provider_not_allowed(provider),
            Refusal::SeatsExhausted { limit } => state::seats_exhausted(limit),
            Refusal::OfferNotCovered(role) => state::offer_not_covered(role),
            Refusal::ApprovalRequired(role) => state::approval_required(role),
            Refusal::LastOwner(name) => state::last_owner(name),
            Refusal::NoPendingChange => state::no_pending_change(),
            Refusal::ApproverTooNew => state::approver_too_new(),

            Refusal::CodeKeyMissing(_) => replica::code_key_missing(),
            Refusal::NewerVersionNeeded => replica::newer_version_needed(),

            Refusal::TooManyWrongCodes { wait } => limits::wrong_codes(wait),
            Refusal::TooManyWrongAccounts { wait } => limits::wrong_accounts(wait),
            Refusal::ResentTooSoon { wait } => limits::resent_too_soon(wait),
            Refusal::TooManyResends { limit, wait } => limits::resends(limit, wait),
            Refusal::TooManyOpenInvitations { limit } => limits::open_invitations(limit),
            Refusal::TooManyOrganizationInvitations { limit, wait } => limits::organization_invitations(limit, wait),
            Refusal::TooManyInvitations { wait } => limits::invitations(wait),
            Refusal::TooManyOrganizations { wait } => limits::organizations(wait),
            Refusal::TooManyAccountAttempts { wait } => limits::account_attempts(wait),
            Refusal::TooManyProtectionChanges { wait } => limits::protection_changes(wait),
            Refusal::TooManyChanges { wait } => limits::changes(wait),
        }
    }
}
