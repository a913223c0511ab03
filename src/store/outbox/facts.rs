//! What emails tell, as it is at that moment.

use std::collections::HashMap;

use sqlx::PgConnection;

use super::Held;
use crate::domain::{
    Cover, DisplayName, EmailAddress, InvitationState, MissingProof, PendingChange, Policy, Role, Timestamp, Username,
};
use crate::store::columns::{column, only};
use crate::store::{Error, Result, pending_change, policy, rows};

/// What an email tells, as it is at that moment.
#[derive(Debug)]
pub struct Facts {
    /// The database's clock.
    pub now: Timestamp,
    pub organization: DisplayName,
    pub notification_email: EmailAddress,
    /// `None`: somebody has shown that this address is theirs.
    pub missing_proof: Option<MissingProof>,
    /// Of what goes to the notification address: this one goes to an owner.
    pub is_to_owner: bool,
    pub policy: Policy,
    /// What waits for another owner.
    pub pending_change: Option<PendingChange>,
    /// BCP 47: the invitation's, else the organization's.
    pub locale: String,
    /// `None`: the email is about the organization, or the invitation is gone.
    pub invitation: Option<InvitationFacts>,
}

impl Facts {
    /// Whether this version knows everything that decides about the email.
    pub fn are_known(&self) -> bool {
        let is_known = |invitation: &InvitationFacts| {
            let is_cover_known = invitation.cover.as_ref().is_none_or(Cover::is_known);
            invitation.state != InvitationState::Newer && invitation.role != Some(Role::Newer) && is_cover_known
        };
        self.policy.is_known() && self.invitation.as_ref().is_none_or(is_known)
    }
}

/// What an email tells about its invitation.
#[derive(Debug)]
pub struct InvitationFacts {
    /// The one that anybody is shown: EXPIRED from the moment on.
    pub state: InvitationState,
    pub email: EmailAddress,
    /// Whether nobody has asked for it.
    pub is_unsolicited: bool,
    pub username: Option<Username>,
    pub account_email: Option<EmailAddress>,
    pub role: Option<Role>,
    /// What its offer rests on; `None`: nothing is offered.
    pub cover: Option<Cover>,
    /// Whether a member was offered their role under the invited address.
    pub is_of_member: bool,
    pub code_key_id: Option<String>,
    /// Of its present code; 0: it never had one.
    pub generation: i32,
    pub expire_time: Option<Timestamp>,
}

/// Where an account signs in.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// `github`, `entra`, or what the configuration calls it.
    pub provider: String,
    /// Entra's.
    pub tenant: Option<String>,
}

/// What held emails need before they are sent, in the order asked. `None`: it is held no more, because it was withdrawn or
/// the lease has ended.
///
/// An invitation is looked up by a range of one and in its order: only the primary key serves that. By an equality, an
/// index that has the organization first and the invitation somewhere behind looks as good while there are few.
#[expect(clippy::too_many_lines, reason = "one statement")]
pub async fn facts(connection: &mut PgConnection, held: &[&Held]) -> Result<Vec<Option<Facts>>> {
    let found = sqlx::query!(
        r#"SELECT h.place AS "place!", now() AS "now!", o.display_name AS "display_name!",
                  o.notification_email AS "notification_email!", o.notification_email_key AS "notification_email_key!",
                  o.notification_key_id AS "notification_key_id?", o.notification_generation AS "notification_generation?",
                  o.notification_expire_time AS "notification_expire_time?", e.is_to_owner AS "is_to_owner!",
                  o.policy AS "policy!", o.pending_change, o.pending_create_time, o.pending_effective_time,
                  i.offerer AS "offerer?", i.approver AS "approver?",
                  g.role AS "offerer_role?", a.role AS "approver_role?", m.is_found AS "is_of_member!",
                  coalesce(i.locale, o.locale) AS "locale!", i.state AS "state?", i.email AS "email?",
                  i.email_key AS "email_key?", i.is_unsolicited AS "is_unsolicited?", i.username AS "username?",
                  i.account_email AS "account_email?", i.account_email_key AS "account_email_key?", i.role AS "role?",
                  i.code_key_id AS "code_key_id?", i.generation AS "generation?", i.expire_time AS "expire_time?",
                  i.overdue AS "overdue?"
             FROM unnest($1::text[], $2::uuid[], $3::int[], $4::timestamptz[]) WITH ORDINALITY
                    AS h(organization, email_id, attempt, lease_until, place),
                  LATERAL (
                    SELECT invitation, is_to_owner FROM emails
                     WHERE organization = h.organization AND email_id = h.email_id AND attempt = h.attempt
                       AND lease_until = h.lease_until AND state::text IN ('QUEUED', 'RETRYING')
                       AND ($5::text IS NULL OR organization = $5)
                    OFFSET 0) e,
                  LATERAL (
                    SELECT display_name, locale, notification_email, notification_email_key, notification_key_id,
                           notification_generation, notification_expire_time, policy, pending_change,
                           pending_create_time, pending_effective_time
                      FROM organizations
                     WHERE organization = h.organization AND ($5::text IS NULL OR organization = $5) OFFSET 0) o
                  LEFT JOIN LATERAL (
                    SELECT locale, state::text, email, email_key, request_time IS NULL AS is_unsolicited, username,
                           account_email, account_email_key, role::text, offerer, approver, code_key_id, generation,
                           expire_time,
                           state IN ('INVITED', 'PENDING_APPROVAL', 'OFFERED') AND expire_time <= now() AS overdue
                      FROM invitations
                     WHERE organization = h.organization AND invitation BETWEEN e.invitation AND e.invitation
                       AND ($5::text IS NULL OR organization = $5)
                     ORDER BY invitation LIMIT 1) i ON true
                  LEFT JOIN LATERAL (
                    SELECT role::text FROM members WHERE organization = h.organization
                       AND username = substr(i.offerer, length('accounts/') + 1)
                       AND ($5::text IS NULL OR organization = $5) OFFSET 0) g ON true
                  LEFT JOIN LATERAL (
                    SELECT role::text FROM members WHERE organization = h.organization
                       AND username = substr(i.approver, length('accounts/') + 1)
                       AND ($5::text IS NULL OR organization = $5) OFFSET 0) a ON true
                  LEFT JOIN LATERAL (
                    SELECT count(*) > 0 AS is_found FROM members
                     WHERE organization = h.organization AND email_key = i.email_key
                       AND ($5::text IS NULL OR organization = $5)) m ON true"#,
        &column(held, |held| held.organization.as_str().to_owned()),
        &column(held, |held| held.id),
        &column(held, |held| held.attempt),
        &column(held, |held| held.lease_until),
        only(held.iter().map(|held| held.organization.as_str())),
    )
    .fetch_all(connection)
    .await?;
    let mut facts = held.iter().map(|_| None).collect::<Vec<_>>();
    for row in found {
        let email = row.email.zip(row.email_key).map(|(typed, key)| EmailAddress::stored(typed, key));
        let account_email =
            row.account_email.zip(row.account_email_key).map(|(typed, key)| EmailAddress::stored(typed, key));
        let role = row.role.as_deref().map(Role::stored);
        let cover = role.zip(row.offerer).map(|(role, offerer)| {
            let offerer = rows::granter(&offerer, row.offerer_role.as_deref());
            let approver = row.approver.map(|approver| rows::granter(&approver, row.approver_role.as_deref()));
            Cover { role, offerer, approver }
        });
        let invitation = match (row.state, email) {
            (Some(state), Some(email)) => Some(InvitationFacts {
                state: if row.overdue == Some(true) {
                    InvitationState::Expired
                } else {
                    InvitationState::stored(&state)
                },
                email,
                is_unsolicited: row.is_unsolicited == Some(true),
                username: row.username.map(Username::stored),
                account_email,
                role,
                cover,
                is_of_member: row.is_of_member,
                code_key_id: row.code_key_id,
                generation: row.generation.unwrap_or(0),
                expire_time: row.expire_time,
            }),
            _ => None,
        };
        let place = usize::try_from(row.place - 1).ok().and_then(|place| facts.get_mut(place));
        let place = place.ok_or_else(|| Error::Fault("an email that nobody asked for".to_owned()))?;
        let (mut policy, change) = (
            policy::decode(row.policy),
            pending_change::decode(row.pending_change, row.pending_create_time, row.pending_effective_time),
        );
        let outcome = change.as_ref().and_then(|change| change.outcome(row.now));
        if let (Some(change), Some((_, true))) = (&change, outcome) {
            policy = change.policy.apply(policy);
        }
        *place = Some(Facts {
            now: row.now,
            organization: DisplayName::stored(row.display_name),
            notification_email: EmailAddress::stored(row.notification_email, row.notification_email_key),
            missing_proof: rows::missing_proof(
                row.notification_key_id,
                row.notification_generation,
                row.notification_expire_time,
            ),
            is_to_owner: row.is_to_owner,
            policy,
            pending_change: change.filter(|_| outcome.is_none()),
            locale: row.locale,
            invitation,
        });
    }
    Ok(facts)
}

/// Where accounts sign in. A statement of its own, because accounts do not live with the organization.
pub async fn sign_ins(connection: &mut PgConnection, usernames: &[&Username]) -> Result<HashMap<Username, SignIn>> {
    if usernames.is_empty() {
        return Ok(HashMap::new());
    }
    let found = sqlx::query!(
        "SELECT username, provider, tenant FROM accounts WHERE username = ANY($1)",
        &column(usernames, |username| username.as_str().to_owned()),
    )
    .fetch_all(connection)
    .await?;
    let sign_in = |provider, tenant| SignIn { provider, tenant };
    Ok(found.into_iter().map(|row| (Username::stored(row.username), sign_in(row.provider, row.tenant))).collect())
}
