//! Why a request is refused. Each variant is one `ErrorReason` of the contract; the words are in `edge::problem`.

use time::Duration;

use super::{FieldFault, InvalidField, InvitationState, OrganizationId, Role, Scope, Subject};

/// A request that is not carried out. Names are resource names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    // the request itself
    InvalidFields(Vec<InvalidField>),
    CodeMistyped,
    PageTokenInvalid,
    RequestIdReused,
    EtagMismatch,

    // rights
    AccountRequired,
    PersonRequired,
    InviteeRequired,
    /// The lowest role that may.
    RoleRequired(Role),
    RoleNotGrantable(Role),
    SecondPersonRequired,
    /// Of a service.
    ScopeRequired(Scope),
    /// Of a person: services with that scope may.
    ServiceRequired(Scope),

    // what is not there, or not for this caller
    OrganizationNotFound(String),
    InvitationNotFound(String),
    MemberNotFound(String),
    AccountNotFound(String),
    AccountEmailNotFound,
    CodeNotFound,
    NotificationCodeNotFound,

    // what is there already
    OrganizationExists(String),
    UsernameTaken(String),
    AccountExists(String),
    OpenInvitationExists(String),
    AlreadyMember(String),
    /// The earlier row of the batch, from 0 on.
    DuplicateInBatch {
        row: usize,
    },

    // what the present state does not allow
    AlreadyOffered(String),
    /// The account's open invitation is under the given address, which the account has given up since.
    AccountEmailChanged(String),
    EmailBoundToOther(String),
    InvitationState {
        name: String,
        state: InvitationState,
    },
    EmailNotVerified,
    AddressMismatch,
    /// The account's addresses were attested too long ago for the organization.
    AttestationTooOld,
    EmailDomainNotAllowed(String),
    ProviderNotAllowed(String),
    SeatsExhausted {
        limit: i32,
    },
    OfferNotCovered(Role),
    ApprovalRequired(Role),
    LastOwner(String),
    NoPendingChange,
    ApproverTooNew,

    // what another replica can do
    /// The invitation's code was made with that key, which this replica lacks.
    CodeKeyMissing(String),
    /// It is about something that a newer version wrote.
    NewerVersionNeeded,

    // limits
    TooManyWrongCodes {
        wait: Duration,
    },
    TooManyWrongAccounts {
        wait: Duration,
    },
    ResentTooSoon {
        wait: Duration,
    },
    TooManyResends {
        limit: i32,
        wait: Duration,
    },
    TooManyOpenInvitations {
        limit: i32,
    },
    TooManyOrganizationInvitations {
        limit: i32,
        wait: Duration,
    },
    TooManyInvitations {
        wait: Duration,
    },
    TooManyOrganizations {
        wait: Duration,
    },
    TooManyAccountAttempts {
        wait: Duration,
    },
    TooManyProtectionChanges {
        wait: Duration,
    },
    TooManyChanges {
        wait: Duration,
    },
}

impl Refusal {
    /// The answer for what does not exist, and for strangers.
    pub fn not_found(organization: &OrganizationId, subject: &Subject) -> Self {
        let name = subject.name(organization);
        match subject {
            Subject::Organization => Self::OrganizationNotFound(name),
            Subject::Invitation(_) => Self::InvitationNotFound(name),
            Subject::Member(_) => Self::MemberNotFound(name),
        }
    }

    /// One bad field.
    pub fn field(field: &str, fault: FieldFault, rule: impl Into<String>) -> Self {
        Self::InvalidFields(vec![InvalidField::new(field, fault, rule)])
    }
}
