//! What calls begin with: whose account it is, which role they have, and the invitation that they read. One statement
//! answers for all calls that ask.

pub mod apart;

use std::iter::zip;

use sqlx::PgConnection;

use super::rows::{DeliveryColumns, InvitationRow};
use super::{Error, Result};
use crate::domain::{Deliveries, DisplayName, Invitation, InvitationId, OrganizationId, Role, Timestamp, Username};

/// Who asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Who {
    /// A person who signed in: the hash of the identity, and when it attested the addresses that come with it.
    Identity {
        hash: [u8; 32],
        attest_time: Timestamp,
    },
    Account(Username),
    Service,
}

/// What a call has to know.
#[derive(Clone, Debug)]
pub struct Question {
    pub who: Who,
    pub organization: Option<OrganizationId>,
    /// Of that organization. Found for services, for members with a role of those who see invitations, and for the
    /// account that it is bound to.
    pub invitation: Option<InvitationId>,
    /// The invitation is found for everybody: who has changed it is told what became of it.
    pub has_changed_it: bool,
}

/// What was found at one moment.
#[derive(Debug)]
pub struct Found {
    /// The database's clock.
    pub now: Timestamp,
    /// The account of the identity.
    pub account: Option<KnownAccount>,
    /// `None`: there is no such organization.
    pub access: Option<Access>,
    pub invitation: Option<FoundInvitation>,
}

#[derive(Debug)]
pub struct KnownAccount {
    pub username: Username,
    /// `iat` of the token whose addresses are stored.
    pub attest_time: Option<Timestamp>,
    /// The addresses that are stored, as typed and in their order, where the token is newer.
    pub older_emails: Option<Vec<String>>,
}

/// What a read has to know before it shows anything.
#[derive(Clone, Debug)]
pub struct Access {
    pub display_name: DisplayName,
    /// The caller's, where they are a member.
    pub role: Option<Role>,
}

#[derive(Debug)]
pub struct FoundInvitation {
    pub invitation: Invitation,
    /// None where the caller does not see invitations.
    pub deliveries: Deliveries,
    /// Whether the invited address is one of the caller's.
    pub is_own_email: bool,
}

/// A question with what its statement is asked.
struct Asked<'a> {
    question: &'a Question,
    /// `None`: a service, or whoever the statement finds by the identity.
    username: Option<String>,
}

/// One answer for each question, in their order. `seeing`: the roles that see invitations.
pub async fn find(connection: &mut PgConnection, questions: &[Question], seeing: &[Role]) -> Result<Vec<Found>> {
    let asked = questions.iter().map(|question| Asked {
        question,
        username: match &question.who {
            Who::Account(username) => Some(username.as_str().to_owned()),
            Who::Identity { .. } | Who::Service => None,
        },
    });
    ask(connection, &asked.collect::<Vec<_>>(), seeing, None).await
}

/// The same. `one`: the organization that all of them are about, which leaves out what does not live with it: who has an
/// identity, and the addresses of an account.
#[expect(clippy::too_many_lines, reason = "one statement")]
async fn ask(
    connection: &mut PgConnection,
    asked: &[Asked<'_>],
    seeing: &[Role],
    one: Option<&OrganizationId>,
) -> Result<Vec<Found>> {
    let questions = asked.iter().map(|asked| asked.question);
    let identities = questions.clone().map(|question| match &question.who {
        Who::Identity { hash, .. } => Some(hash.to_vec()),
        Who::Account(_) | Who::Service => None,
    });
    let attest_times = questions.clone().map(|question| match &question.who {
        Who::Identity { attest_time, .. } => Some(*attest_time),
        Who::Account(_) | Who::Service => None,
    });
    let organizations =
        questions.clone().map(|question| question.organization.as_ref().map(|id| id.as_str().to_owned()));
    let rows = sqlx::query!(
        r#"SELECT clock_timestamp() AS "now!", a.username AS "username?", a.attest_time AS "attest_time?",
                  s.ordinals AS "ordinals?", s.emails AS "older_emails?", o.display_name AS "display_name?",
                  m.role::text AS "member_role?",
                  n.invitation AS "invitation?", n.state::text AS "state?", n.email AS "email?",
                  n.email_key AS "email_key?", n.username AS "bound_to?", n.account_email AS "account_email?",
                  n.account_email_key AS "account_email_key?", n.role::text AS "role?", n.inviter AS "inviter?",
                  n.offerer AS "offerer?", n.approver AS "approver?", n.locale AS "locale?", n.annotations AS "annotations?", n.code_hash AS "code_hash?",
                  n.code_key_id AS "code_key_id?", n.generation AS "generation?", n.create_time AS "create_time?",
                  n.update_time AS "update_time?", n.expire_time AS "expire_time?", n.send_time AS "send_time?",
                  n.request_time AS "request_time?", n.revision AS "revision?", e.is_own AS "is_own_email?",
                  d.kinds AS "d_kinds?", d.states AS "d_states?", d.attempts AS "d_attempts?",
                  d.answers AS "d_answers?: Vec<Option<String>>", d.create_times AS "d_create_times?",
                  d.update_times AS "d_update_times?", f.further AS "further?"
             FROM unnest($1::bytea[], $2::text[], $3::timestamptz[], $4::text[], $5::uuid[], $6::bool[])
                  WITH ORDINALITY AS q(identity, username, attest_time, organization, invitation, has_changed_it, number)
             LEFT JOIN LATERAL (
               SELECT username, attest_time FROM identities
                WHERE $8::text IS NULL AND identity = q.identity OFFSET 0) a ON true
             LEFT JOIN LATERAL (
               SELECT array_agg(ordinal) AS ordinals, array_agg(email) AS emails FROM account_emails
                WHERE $8::text IS NULL AND username = a.username AND a.attest_time < q.attest_time) s ON true
             LEFT JOIN LATERAL (
               SELECT display_name FROM organizations
                WHERE organization = q.organization AND ($8::text IS NULL OR organization = $8) OFFSET 0) o ON true
             LEFT JOIN LATERAL (
               SELECT role, role::text = ANY($7) AS is_seeing FROM members
                WHERE organization = q.organization AND username = coalesce(q.username, a.username)
                  AND ($8::text IS NULL OR organization = $8) OFFSET 0) m ON true
             LEFT JOIN LATERAL (
               SELECT * FROM (
                 SELECT * FROM invitations
                  WHERE organization = q.organization AND invitation = q.invitation AND ($8::text IS NULL OR organization = $8)
                 OFFSET 0) i
                WHERE q.has_changed_it OR m.is_seeing OR i.username = coalesce(q.username, a.username)
                   OR q.identity IS NULL AND q.username IS NULL) n ON true
             LEFT JOIN LATERAL (
               SELECT EXISTS (SELECT 1 FROM account_emails
                 WHERE $8::text IS NULL AND username = coalesce(q.username, a.username)
                   AND email_key || '' = n.email_key OFFSET 0) AS is_own) e ON true
             LEFT JOIN LATERAL (
               SELECT array_agg(kind) AS kinds, array_agg(state::text) AS states, array_agg(attempt) AS attempts,
                      array_agg(answer) AS answers, array_agg(create_time) AS create_times,
                      array_agg(update_time) AS update_times
                 FROM (
                   SELECT kind, state, attempt, answer, create_time, update_time FROM emails
                    WHERE invitation = n.invitation AND organization || '' = n.organization
                      AND ($8::text IS NULL OR organization = $8)
                      AND (m.is_seeing OR q.identity IS NULL AND q.username IS NULL)
                    ORDER BY create_time DESC LIMIT 50) newest) d ON true
             LEFT JOIN LATERAL (
               SELECT count(*) AS further FROM (
                 SELECT 1 FROM emails
                  WHERE invitation = n.invitation AND organization || '' = n.organization
                    AND ($8::text IS NULL OR organization = $8)
                    AND (m.is_seeing OR q.identity IS NULL AND q.username IS NULL)
                  ORDER BY create_time DESC OFFSET 50 LIMIT 1000) older) f ON true
            ORDER BY q.number"#,
        &identities.collect::<Vec<_>>() as &[Option<Vec<u8>>],
        &asked.iter().map(|asked| asked.username.clone()).collect::<Vec<_>>() as &[Option<String>],
        &attest_times.collect::<Vec<_>>() as &[Option<Timestamp>],
        &organizations.collect::<Vec<_>>() as &[Option<String>],
        &questions.clone().map(|question| question.invitation.map(|InvitationId(id)| id)).collect::<Vec<_>>()
            as &[Option<uuid::Uuid>],
        &questions.clone().map(|question| question.has_changed_it).collect::<Vec<_>>(),
        &seeing.iter().map(|role| role.as_str().to_owned()).collect::<Vec<_>>(),
        one.map(OrganizationId::as_str),
    )
    .fetch_all(connection)
    .await?;
    if rows.len() != asked.len() {
        return Err(Error::Fault("not one answer for each question".to_owned()));
    }
    let found = rows.into_iter().zip(questions).map(|(row, question)| {
        let organization = question.organization.as_ref().map_or("", OrganizationId::as_str);
        let account = row.username.map(|username| KnownAccount {
            username: Username::stored(username),
            attest_time: row.attest_time,
            older_emails: row.ordinals.zip(row.older_emails).map(|(ordinals, emails)| in_order(zip(ordinals, emails))),
        });
        let role = row.member_role.as_deref().map(Role::stored);
        let access = row.display_name.map(|name| Access { display_name: DisplayName::stored(name), role });
        let invitation = || {
            Some(InvitationRow {
                organization: organization.to_owned(),
                invitation: row.invitation?,
                state: row.state?,
                email: row.email?,
                email_key: row.email_key?,
                username: row.bound_to,
                account_email: row.account_email,
                account_email_key: row.account_email_key,
                role: row.role,
                inviter: row.inviter,
                offerer: row.offerer,
                approver: row.approver,
                locale: row.locale,
                annotations: row.annotations?,
                code_hash: row.code_hash,
                code_key_id: row.code_key_id,
                generation: row.generation?,
                create_time: row.create_time?,
                update_time: row.update_time?,
                expire_time: row.expire_time,
                send_time: row.send_time?,
                request_time: row.request_time,
                revision: row.revision?,
            })
        };
        let deliveries = DeliveryColumns {
            kinds: row.d_kinds,
            states: row.d_states,
            attempts: row.d_attempts,
            answers: row.d_answers,
            create_times: row.d_create_times,
            update_times: row.d_update_times,
            further: row.further,
        };
        let invitation = invitation().map(|invitation| {
            Ok::<_, Error>(FoundInvitation {
                invitation: invitation.try_into()?,
                deliveries: deliveries.into(),
                is_own_email: row.is_own_email.unwrap_or(false),
            })
        });
        Ok(Found { now: row.now, account, access, invitation: invitation.transpose()? })
    });
    found.collect()
}

/// As the issuer named them.
fn in_order(emails: impl IntoIterator<Item = (i32, String)>) -> Vec<String> {
    let mut emails = Vec::from_iter(emails);
    emails.sort_unstable_by_key(|(ordinal, _)| *ordinal);
    emails.into_iter().map(|(_, email)| email).collect()
}
