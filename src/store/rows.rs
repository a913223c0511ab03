//! Rows and what the domain makes of them. They hold addresses as plain text, so they have no `Debug`.
//!
//! While replicas are upgraded, a newer version may write a state, a role or the like that this one does not know. So
//! each has a form for that, with which rows are read and shown, and on which nothing is decided.

use std::iter::zip;

use sqlx::types::Uuid;

use super::{Error, Result, annotations, pending_change, policy};
use crate::domain::{
    Account, Actor, Answer, Deliveries, Delivery, DisplayName, EmailAddress, EmailKind, EmailState, Granter, Head,
    Invitation, InvitationId, InvitationState, Member, MissingProof, Organization, OrganizationId, OrganizationLimits,
    Role, StoredCode, Timestamp, Username, Window,
};

fn actor(text: Option<String>) -> Option<Actor> {
    text.map(|text| Actor::stored(&text))
}

/// Who offered or approved, with their role in the organization now.
pub(super) fn granter(text: &str, role_now: Option<&str>) -> Granter {
    (Actor::stored(text), role_now.map(Role::stored))
}

fn address(typed: Option<String>, key: Option<String>) -> Option<EmailAddress> {
    typed.zip(key).map(|(typed, key)| EmailAddress::stored(typed, key))
}

pub(super) struct InvitationRow {
    pub organization: String,
    pub invitation: Uuid,
    pub state: String,
    pub email: String,
    pub email_key: String,
    pub username: Option<String>,
    pub account_email: Option<String>,
    pub account_email_key: Option<String>,
    pub role: Option<String>,
    pub inviter: Option<String>,
    pub offerer: Option<String>,
    pub approver: Option<String>,
    pub locale: Option<String>,
    pub annotations: serde_json::Value,
    pub code_hash: Option<Vec<u8>>,
    pub code_key_id: Option<String>,
    pub generation: i32,
    pub create_time: Timestamp,
    pub update_time: Timestamp,
    pub expire_time: Option<Timestamp>,
    pub send_time: Timestamp,
    pub request_time: Option<Timestamp>,
    pub revision: i32,
}

impl TryFrom<InvitationRow> for Invitation {
    type Error = Error;

    fn try_from(row: InvitationRow) -> Result<Self> {
        let code = row.code_hash.zip(row.code_key_id).map(|(hash, key_id)| {
            let hash = hash.try_into().map_err(|_| Error::Fault("a code hash has another length".to_owned()))?;
            Ok::<_, Error>(StoredCode { hash, key_id, generation: row.generation })
        });
        Ok(Self {
            id: InvitationId(row.invitation),
            state: InvitationState::stored(&row.state),
            email: EmailAddress::stored(row.email, row.email_key),
            username: row.username.map(Username::stored),
            account_email: address(row.account_email, row.account_email_key),
            role: row.role.as_deref().map(Role::stored),
            inviter: actor(row.inviter),
            offerer: actor(row.offerer),
            approver: actor(row.approver),
            locale: row.locale,
            annotations: annotations::decode(row.annotations),
            code: code.transpose()?,
            create_time: row.create_time,
            update_time: row.update_time,
            expire_time: row.expire_time,
            send_time: row.send_time,
            request_time: row.request_time,
            revision: row.revision,
        })
    }
}

pub(super) struct MemberRow {
    pub username: String,
    pub role: String,
    pub email: Option<String>,
    pub email_key: Option<String>,
    pub inviter: Option<String>,
    pub create_time: Timestamp,
    pub update_time: Timestamp,
    pub revision: i32,
}

impl From<MemberRow> for Member {
    fn from(row: MemberRow) -> Self {
        Self {
            username: Username::stored(row.username),
            role: Role::stored(&row.role),
            email: address(row.email, row.email_key),
            inviter: actor(row.inviter),
            create_time: row.create_time,
            update_time: row.update_time,
            revision: row.revision,
        }
    }
}

pub(super) struct AccountRow {
    pub username: String,
    pub display_name: Option<String>,
    pub provider: String,
    pub tenant: Option<String>,
    /// The place among those that the issuer attested; as typed, and the key.
    pub emails: Vec<(i32, String, String)>,
    pub attest_time: Option<Timestamp>,
    pub create_time: Timestamp,
}

impl From<AccountRow> for Account {
    fn from(mut row: AccountRow) -> Self {
        row.emails.sort_unstable_by_key(|(ordinal, ..)| *ordinal);
        Self {
            username: Username::stored(row.username),
            display_name: row.display_name.map(DisplayName::stored),
            provider: row.provider,
            tenant: row.tenant,
            emails: row.emails.into_iter().map(|(_, typed, key)| EmailAddress::stored(typed, key)).collect(),
            attest_time: row.attest_time,
            create_time: row.create_time,
        }
    }
}

/// The addresses of an account, column by column: a distributed database hands no records on.
pub(super) fn account_emails(
    ordinals: Option<Vec<i32>>,
    typed: Option<Vec<String>>,
    keys: Option<Vec<String>>,
) -> Vec<(i32, String, String)> {
    let rows = zip(ordinals.into_iter().flatten(), zip(typed.into_iter().flatten(), keys.into_iter().flatten()));
    rows.map(|(ordinal, (typed, key))| (ordinal, typed, key)).collect()
}

/// The newest emails of an invitation, likewise; `None`: it has none.
pub(super) struct DeliveryColumns {
    pub kinds: Option<Vec<String>>,
    pub states: Option<Vec<String>>,
    pub attempts: Option<Vec<i32>>,
    pub answers: Option<Vec<Option<String>>>,
    pub create_times: Option<Vec<Timestamp>>,
    pub update_times: Option<Vec<Timestamp>>,
    pub further: Option<i64>,
}

impl From<DeliveryColumns> for Deliveries {
    fn from(columns: DeliveryColumns) -> Self {
        let DeliveryColumns { kinds, states, attempts, answers, create_times, update_times, further } = columns;
        let states = zip(kinds.unwrap_or_default(), states.unwrap_or_default());
        let attempts = zip(attempts.unwrap_or_default(), answers.unwrap_or_default());
        let times = zip(create_times.unwrap_or_default(), update_times.unwrap_or_default());
        let rows = zip(states, zip(attempts, times));
        let delivery = |((kind, state), ((attempts, answer), (create_time, update_time))): DeliveryRow| Delivery {
            kind: EmailKind::parse(&kind),
            state: EmailState::parse(&state),
            attempts,
            answer: answer.as_deref().and_then(Answer::parse),
            create_time,
            update_time,
        };
        let mut newest = rows.map(delivery).collect::<Vec<_>>();
        // what was written at one moment has an order that the index does not know
        newest.sort_by_key(Delivery::order);
        Self { newest, further: further.unwrap_or_default() }
    }
}

/// Kind and state of an email; attempts and answer; `create_time` and `update_time`.
type DeliveryRow = ((String, String), ((i32, Option<String>), (Timestamp, Timestamp)));

pub(super) struct OrganizationRow {
    pub organization: String,
    pub display_name: String,
    pub notification_email: String,
    pub notification_email_key: String,
    pub notification_key_id: Option<String>,
    pub notification_generation: Option<i32>,
    pub notification_expire_time: Option<Timestamp>,
    pub locale: String,
    pub policy: serde_json::Value,
    pub pending_change: Option<serde_json::Value>,
    pub pending_create_time: Option<Timestamp>,
    pub pending_effective_time: Option<Timestamp>,
    pub create_time: Timestamp,
    pub update_time: Timestamp,
    pub revision: i32,
}

/// An [`OrganizationRow`] of a record that has its columns among others.
macro_rules! organization_row {
    ($row:ident) => {
        $crate::store::rows::OrganizationRow {
            organization: $row.organization,
            display_name: $row.display_name,
            notification_email: $row.notification_email,
            notification_email_key: $row.notification_email_key,
            notification_key_id: $row.notification_key_id,
            notification_generation: $row.notification_generation,
            notification_expire_time: $row.notification_expire_time,
            locale: $row.locale,
            policy: $row.policy,
            pending_change: $row.pending_change,
            pending_create_time: $row.pending_create_time,
            pending_effective_time: $row.pending_effective_time,
            create_time: $row.create_time,
            update_time: $row.update_time,
            revision: $row.revision,
        }
    };
}
pub(super) use organization_row;

impl From<OrganizationRow> for Organization {
    fn from(row: OrganizationRow) -> Self {
        Self {
            id: OrganizationId::stored(row.organization),
            display_name: DisplayName::stored(row.display_name),
            notification_email: EmailAddress::stored(row.notification_email, row.notification_email_key),
            missing_proof: missing_proof(
                row.notification_key_id,
                row.notification_generation,
                row.notification_expire_time,
            ),
            locale: row.locale,
            policy: policy::decode(row.policy),
            pending_change: pending_change::decode(
                row.pending_change,
                row.pending_create_time,
                row.pending_effective_time,
            ),
            create_time: row.create_time,
            update_time: row.update_time,
            revision: row.revision,
        }
    }
}

/// `None`: somebody has shown that the address is theirs, or nobody was asked to.
pub(super) fn missing_proof(
    key_id: Option<String>,
    generation: Option<i32>,
    expire_time: Option<Timestamp>,
) -> Option<MissingProof> {
    Some(MissingProof { key_id: key_id?, generation: generation?, expire_time: expire_time? })
}

pub(super) struct HeadRow {
    pub event_position: i64,
    pub seat_limit: Option<i32>,
    pub seats_taken: i32,
    pub owners: i32,
    pub open_invitations: i32,
    pub invitations_limit: Option<i32>,
    pub open_invitations_limit: Option<i32>,
    pub invitations_slot: i64,
    pub invitations_totals: Vec<i64>,
}

impl From<HeadRow> for Head {
    fn from(row: HeadRow) -> Self {
        Self {
            event_position: row.event_position,
            seat_limit: row.seat_limit,
            seats_taken: row.seats_taken,
            owners: row.owners,
            open_invitations: row.open_invitations,
            limits: OrganizationLimits {
                invitations_per_day: row.invitations_limit,
                open_invitations: row.open_invitations_limit,
            },
            invitations: Window { slot: row.invitations_slot, totals: row.invitations_totals },
        }
    }
}
