//! One statement for each way to look for invitations: along an index in the order of ids, newest first.
//!
//! Each takes so many ids from one or more *streams*, which are the ranges of an index for one value each. It looks these
//! invitations up by their key and compares all else in a form that no index serves. What it returns is those that match,
//! and the last one of each stream that has more: below the highest of these, nothing is known.

use sqlx::PgConnection;
use sqlx::types::Uuid;

use super::asked::Asked;
use crate::domain::Timestamp;
use crate::store::Result;
use crate::store::rows::InvitationRow;

/// Along which index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    Emails,
    Accounts,
    /// Of the first key.
    Annotations,
    Inviters,
    Offerers,
    Deliveries,
    States,
    /// The primary key: all.
    Ids,
}

/// Which part of the ids, and how much of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// From this one on.
    pub from: Uuid,
    /// Up to but without this one.
    pub until: Uuid,
    /// The most that are returned.
    pub limit: i64,
    /// The most that are looked at in each stream.
    pub looks: i64,
}

/// An invitation, whether it matches, and whether it is the last one that was looked at in its stream.
pub(super) struct FoundRow {
    organization: String,
    pub invitation: Uuid,
    state: String,
    email: String,
    email_key: String,
    username: Option<String>,
    account_email: Option<String>,
    account_email_key: Option<String>,
    role: Option<String>,
    inviter: Option<String>,
    offerer: Option<String>,
    approver: Option<String>,
    locale: Option<String>,
    annotations: serde_json::Value,
    code_hash: Option<Vec<u8>>,
    code_key_id: Option<String>,
    generation: i32,
    create_time: Timestamp,
    update_time: Timestamp,
    expire_time: Option<Timestamp>,
    send_time: Timestamp,
    request_time: Option<Timestamp>,
    revision: i32,
    pub is_match: bool,
    pub is_last: bool,
}

impl From<FoundRow> for InvitationRow {
    fn from(row: FoundRow) -> Self {
        Self {
            organization: row.organization,
            invitation: row.invitation,
            state: row.state,
            email: row.email,
            email_key: row.email_key,
            username: row.username,
            account_email: row.account_email,
            account_email_key: row.account_email_key,
            role: row.role,
            inviter: row.inviter,
            offerer: row.offerer,
            approver: row.approver,
            locale: row.locale,
            annotations: row.annotations,
            code_hash: row.code_hash,
            code_key_id: row.code_key_id,
            generation: row.generation,
            create_time: row.create_time,
            update_time: row.update_time,
            expire_time: row.expire_time,
            send_time: row.send_time,
            request_time: row.request_time,
            revision: row.revision,
        }
    }
}

/// `$streams` are the ids of all streams with `is_last`; `$before` are further parts of the statement, each with a comma.
/// No scan takes more than 2,000: that is said to the planner, which would take a plan for a tenth of the table for values
/// that it does not know.
macro_rules! look {
    ($connection:ident, $asked:ident, $part:ident, $before:tt, $streams:tt $(, $more:expr)*) => {
        sqlx::query_as!(
            FoundRow,
            "WITH " + $before + "looked AS MATERIALIZED (
               SELECT invitation, bool_or(is_last) AS is_last FROM (" + $streams + ") s GROUP BY invitation)
             SELECT i.organization, i.invitation, i.state::text AS \"state!\", i.email, i.email_key, i.username, i.account_email,
                    i.account_email_key, i.role::text, i.inviter, i.offerer, i.approver, i.locale, i.annotations, i.code_hash,
                    i.code_key_id, i.generation, i.create_time, i.update_time, i.expire_time, i.send_time, i.request_time,
                    i.revision, i.is_match AS \"is_match!\", l.is_last AS \"is_last!\"
               FROM looked l, LATERAL (
                 SELECT n.*, coalesce(
                          (cardinality($6::text[]) = 0
                            OR CASE WHEN state IN ('INVITED', 'PENDING_APPROVAL', 'OFFERED') AND expire_time <= now()
                                    THEN 'EXPIRED' ELSE state::text END = ANY($6))
                          AND (cardinality($7::text[]) = 0 OR email_key = ANY($7))
                          AND (cardinality($8::text[]) = 0 OR username = ANY($8))
                          AND (cardinality($9::text[]) = 0 OR inviter = ANY($9))
                          AND (cardinality($10::text[]) = 0 OR offerer = ANY($10))
                          AND ($13::bigint = 0 OR (
                            SELECT count(*) FROM unnest($11::text[], $12::text[]) AS a(k, v)
                             WHERE n.annotations ->> a.k = a.v) = $13)
                          AND ($14::timestamptz IS NULL OR create_time >= $14)
                          AND ($15::timestamptz IS NULL OR create_time < $15)
                          AND ($16::timestamptz IS NULL OR expire_time >= $16)
                          AND ($17::timestamptz IS NULL OR expire_time < $17)
                          AND (cardinality($18::text[]) = 0 OR EXISTS (
                            SELECT 1 FROM unnest($18::text[]) AS w(s), LATERAL (
                              SELECT 1 FROM emails
                               WHERE organization = $1 AND state IN ('FAILED', 'RETRYING', 'DROPPED')
                                 AND state = w.s::email_state AND invitation = n.invitation
                               OFFSET 0) e)), false) AS is_match
                   FROM invitations n WHERE organization = $1 AND invitation = l.invitation OFFSET 0) i
              WHERE i.is_match OR l.is_last
              ORDER BY i.invitation DESC LIMIT $4",
            $asked.organization,
            $part.until,
            $part.from,
            $part.limit,
            $part.looks,
            &$asked.states,
            &$asked.emails,
            &$asked.accounts,
            &$asked.inviters,
            &$asked.offerers,
            &$asked.keys,
            &$asked.values,
            $asked.key_count,
            $asked.create_time.from,
            $asked.create_time.until,
            $asked.expire_time.from,
            $asked.expire_time.until,
            &$asked.deliveries,
            $($more),*
        )
        .fetch_all($connection)
        .await
    };
}

/// Newest first.
#[expect(clippy::too_many_lines, reason = "one statement for each way")]
pub(super) async fn look(connection: &mut PgConnection, way: Way, asked: &Asked, part: Part) -> Result<Vec<FoundRow>> {
    let rows = match way {
        Way::Emails => look!(
            connection,
            asked,
            part,
            "",
            "SELECT c.* FROM unnest($7::text[]) AS w(v), LATERAL (
               SELECT invitation, row_number() OVER (ORDER BY email_key DESC, organization DESC, invitation DESC) = $5 AS is_last
                 FROM (
                 SELECT email_key, organization, invitation FROM invitations
                  WHERE ($1::text IS NULL OR organization = $1) AND email_key IS NOT NULL
                    AND (email_key, organization, invitation) >= (w.v, $1, $3)
                    AND (email_key, organization, invitation) < (w.v, $1, $2)
                  ORDER BY email_key DESC, organization DESC, invitation DESC LIMIT 2000) o LIMIT $5) c"
        ),
        // an account has few, and those of other organizations are passed over
        Way::Accounts => look!(
            connection,
            asked,
            part,
            "",
            "SELECT c.* FROM unnest($8::text[]) AS w(v), LATERAL (
               SELECT invitation, row_number() OVER (ORDER BY username DESC, invitation DESC) = $5 AS is_last FROM (
                 SELECT username, invitation FROM invitations
                  WHERE ($1::text IS NULL OR organization = $1) AND username IS NOT NULL
                    AND (username, invitation) >= (w.v, $3) AND (username, invitation) < (w.v, $2)
                  ORDER BY username DESC, invitation DESC LIMIT 2000) o LIMIT $5) c"
        ),
        Way::Annotations => look!(
            connection,
            asked,
            part,
            "",
            "SELECT c.* FROM unnest($11::text[], $12::text[]) AS w(k, v), LATERAL (
               SELECT invitation, row_number() OVER (ORDER BY invitation DESC) = $5 AS is_last FROM (
                 SELECT invitation FROM annotations
                  WHERE organization = $1 AND key = w.k AND value = w.v AND invitation >= $3 AND invitation < $2
                  ORDER BY invitation DESC LIMIT 2000) o LIMIT $5) c WHERE w.k = ($11::text[])[1]"
        ),
        Way::Inviters => look!(
            connection,
            asked,
            part,
            "",
            "SELECT c.* FROM unnest($9::text[]) AS w(v), LATERAL (
               SELECT invitation, row_number() OVER (ORDER BY inviter DESC, invitation DESC) = $5 AS is_last FROM (
                 SELECT inviter, invitation FROM invitations
                  WHERE organization = $1 AND inviter IS NOT NULL
                    AND (inviter, invitation) >= (w.v, $3) AND (inviter, invitation) < (w.v, $2)
                  ORDER BY inviter DESC, invitation DESC LIMIT 2000) o LIMIT $5) c"
        ),
        Way::Offerers => look!(
            connection,
            asked,
            part,
            "",
            "SELECT c.* FROM unnest($10::text[]) AS w(v), LATERAL (
               SELECT invitation, row_number() OVER (ORDER BY offerer DESC, invitation DESC) = $5 AS is_last FROM (
                 SELECT offerer, invitation FROM invitations
                  WHERE organization = $1 AND offerer IS NOT NULL
                    AND (offerer, invitation) >= (w.v, $3) AND (offerer, invitation) < (w.v, $2)
                  ORDER BY offerer DESC, invitation DESC LIMIT 2000) o LIMIT $5) c"
        ),
        // of several emails of one invitation each counts as a look
        Way::Deliveries => look!(
            connection,
            asked,
            part,
            "",
            "SELECT c.* FROM unnest($18::text[]) AS w(v), LATERAL (
               SELECT invitation, row_number() OVER (ORDER BY state DESC, invitation DESC) = $5 AS is_last FROM (
                 SELECT state, invitation FROM emails
                  WHERE organization = $1 AND state IN ('FAILED', 'RETRYING', 'DROPPED') AND invitation IS NOT NULL
                    AND (state, invitation) >= (w.v::email_state, $3) AND (state, invitation) < (w.v::email_state, $2)
                  ORDER BY state DESC, invitation DESC LIMIT 2000) o LIMIT $5) c"
        ),
        // What ends within a span, or is overdue while no sweep was there, has an index of its own in another order. Mostly
        // it is little and read as a whole; else the states that can end are streams.
        Way::States => look!(
            connection,
            asked,
            part,
            "late AS MATERIALIZED (
               SELECT invitation FROM invitations
                WHERE $21 AND organization = $1 AND state IN ('INVITED', 'PENDING_APPROVAL', 'OFFERED')
                  AND expire_time >= greatest(coalesce($16::timestamptz, '-infinity'), now() + $22::interval)
                  AND expire_time < least(coalesce($17::timestamptz, 'infinity'), now() + $23::interval)
                ORDER BY expire_time LIMIT 501), ",
            "SELECT c.* FROM unnest(
               $19::text[] || CASE WHEN (SELECT count(*) FROM late) > 500 THEN $20::text[] ELSE '{}' END) AS w(v), LATERAL (
               SELECT invitation, row_number() OVER (ORDER BY state DESC, invitation DESC) = $5 AS is_last FROM (
                 SELECT state, invitation FROM invitations
                  WHERE organization = $1 AND generation >= 0 AND (state, invitation) >= (w.v::invitation_state, $3)
                    AND (state, invitation) < (w.v::invitation_state, $2)
                  ORDER BY state DESC, invitation DESC LIMIT 2000) o LIMIT $5) c
             UNION ALL
             SELECT invitation, row_number() OVER (ORDER BY invitation DESC) = $5 FROM (
               SELECT invitation FROM late
                WHERE invitation >= $3 AND invitation < $2 AND (SELECT count(*) FROM late) <= 500
                ORDER BY invitation DESC LIMIT $5) o",
            &asked.streams,
            &asked.late_streams,
            asked.has_late,
            asked.alive,
            asked.overdue
        ),
        Way::Ids => look!(
            connection,
            asked,
            part,
            "",
            "SELECT invitation, row_number() OVER (ORDER BY invitation DESC) = $5 AS is_last FROM (
               SELECT invitation FROM invitations WHERE organization = $1 AND invitation >= $3 AND invitation < $2
                ORDER BY invitation DESC LIMIT $5) o"
        ),
    };
    Ok(rows?)
}
