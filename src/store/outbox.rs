//! The outbox as the mail workers see it: lease what is due, read what the emails need, settle how they went.
//!
//! Emails are written and withdrawn in the transactions of the changes they tell about ([`super::changes`]). Nothing
//! here takes an organization's lock. What locks several emails and waits for it does so in the order of their keys.
//!
//! No plan may go wrong, whenever it was made. So state and time are compared in a form that no index serves where a row
//! is looked up by its key, and the joins of an UPDATE compare the organization by `= ANY (ARRAY[…])`: with a plain
//! equality, a plan may also read the whole index of the key and look for each row among those that are asked for.
//! What an UPDATE reckons from several rows is immutable (`ARRAY[state] <@ …`, times that a subquery has made): nothing
//! else runs on a distributed database.

mod backlog;
mod facts;
mod gather;
mod turns;

use std::slice;
use std::time::Duration;

use sqlx::PgConnection;
use sqlx::types::Uuid;

pub use self::backlog::{Backlog, backlog};
pub use self::facts::{Facts, InvitationFacts, SignIn, facts, sign_ins};
pub use self::gather::gather;
pub use self::turns::{due_organizations, pass_on};
use super::columns::{column, only, typed};
use super::{Error, Result, interval, texts};
use crate::domain::{
    Answer, EmailAddress, EmailKind, EmailState, InvitationId, OrganizationId, Timestamp, TraceParent,
};

/// An email that a worker holds until its lease ends. Attempt and end of the lease together name the holder: an
/// attempt number that was given back comes again.
#[derive(Clone, Debug)]
pub struct Held {
    pub organization: OrganizationId,
    /// The same on every attempt; the local part of its `Message-ID`.
    pub id: Uuid,
    /// `None`: about the organization.
    pub invitation: Option<InvitationId>,
    pub kind: EmailKind,
    /// Of the code that it carries; 0 where it carries none.
    pub generation: i32,
    /// The one that was written; of what goes to the notification address, before it is sent, the present one.
    pub recipient: EmailAddress,
    /// 1, 2, …: this attempt.
    pub attempt: i32,
    pub lease_until: Timestamp,
    /// Since when those who took it lacked the key of its code.
    pub missing_since: Option<Timestamp>,
    /// The call that has caused it.
    pub trace: Option<TraceParent>,
}

/// How an attempt ended.
#[derive(Debug)]
pub struct Ended {
    pub held: Held,
    pub state: EmailState,
    pub answer: Answer,
    /// Until it is tried again, if the state is RETRYING.
    pub wait: Duration,
}

/// Leases at most `limit` emails that are due, of one organization or of those whose turn it is, and counts an attempt for
/// each. In turn: each organization's oldest email comes before any organization's second.
pub async fn claim(
    connection: &mut PgConnection,
    organization: Option<&OrganizationId>,
    limit: i64,
    lease: Duration,
) -> Result<Vec<Held>> {
    let most = usize::try_from(limit).unwrap_or_default();
    if let Some(organization) = organization {
        return visit(connection, slice::from_ref(organization), most, most, lease).await;
    }
    loop {
        let mut next = turns::take(connection, limit).await?;
        let is_all = next.len() < most;
        if is_all {
            turns::add_others(connection, &mut next).await?;
        }
        let mut held = Vec::new();
        // in equal shares, until all have had what they have
        while !next.is_empty() && held.len() < most {
            let share = (most - held.len()).div_ceil(next.len());
            let more = visit(connection, &next, most - held.len(), share, lease).await?;
            let has_more = |id: &OrganizationId| more.iter().filter(|held| held.organization == *id).count() == share;
            next.retain(has_more);
            held.extend(more);
        }
        // what some of them had may have been withdrawn
        if is_all || !held.is_empty() {
            return Ok(held);
        }
    }
}

/// Leases what is due of these organizations, at most that share of each, and passes the turn on.
///
/// Their due emails are an index range each. LATERAL locks no more of it than the share, so the cost does not depend on how
/// many there are. Kinds that this version does not know are left to the replicas that do.
async fn visit(
    connection: &mut PgConnection,
    organizations: &[OrganizationId],
    most: usize,
    share: usize,
    lease: Duration,
) -> Result<Vec<Held>> {
    let kinds = EmailKind::ALL.map(|kind| kind.as_str().to_owned());
    let rows = sqlx::query_as!(
        Row,
        r#"WITH found AS MATERIALIZED (
             SELECT e.organization, e.email_id, e.due_time, o.place
               FROM unnest($1::text[]) WITH ORDINALITY AS o(id, place), LATERAL (
               SELECT organization, email_id, due_time FROM emails
                WHERE organization = o.id
                  AND (organization, due_time) >= (o.id, '-infinity') AND (organization, due_time) <= (o.id, now())
                  AND state IN ('QUEUED', 'RETRYING') AND kind = ANY($2) AND kind <> ''
                  AND ($6::text IS NULL OR organization = $6)
                ORDER BY organization, due_time LIMIT $3 FOR UPDATE SKIP LOCKED) e
           ), due AS MATERIALIZED (
             SELECT organization, email_id FROM found
              ORDER BY row_number() OVER (PARTITION BY organization ORDER BY due_time), place LIMIT $4
           )
           UPDATE emails e SET attempt = e.attempt + 1, due_time = now() + $5, lease_until = now() + $5 FROM due
            WHERE ($6::text IS NULL OR e.organization = $6)
              AND e.organization = ANY (ARRAY[due.organization]) AND e.email_id = due.email_id
           RETURNING e.organization, e.email_id, e.invitation, e.kind, e.generation, e.recipient, e.attempt,
                     e.lease_until AS "lease_until!", e.answer, e.update_time, e.trace"#,
        &texts(organizations),
        &kinds,
        i64::try_from(share).unwrap_or(i64::MAX),
        i64::try_from(most).unwrap_or(i64::MAX),
        interval(lease),
        only(organizations.iter().map(OrganizationId::as_str)),
    )
    .fetch_all(&mut *connection)
    .await?;
    turns::pass_on(connection, &mut organizations.to_vec()).await?;
    rows.into_iter().map(Row::held).collect()
}

/// Prolongs a lease while a mail server takes its time. `false`: it was not held any more.
pub async fn renew(connection: &mut PgConnection, held: &mut Held, lease: Duration) -> Result<bool> {
    let lease_until = sqlx::query_scalar!(
        r#"UPDATE emails SET due_time = now() + $5, lease_until = now() + $5
            WHERE organization = $1 AND email_id = $2 AND attempt = $3 AND lease_until = $4
              AND ARRAY[state] <@ '{QUEUED,RETRYING}'
           RETURNING lease_until AS "lease_until!""#,
        held.organization.as_str(),
        held.id,
        held.attempt,
        held.lease_until,
        interval(lease),
    )
    .fetch_optional(connection)
    .await?;
    Ok(lease_until.map(|end| held.lease_until = end).is_some())
}

/// Gives untried emails back, each to be taken when that time has passed, and their attempts with them: nothing of a row
/// tells that it was looked at. Their order stays, a microsecond apart.
pub async fn release(connection: &mut PgConnection, untried: &[(Held, Duration)]) -> Result<()> {
    if untried.is_empty() {
        return Ok(());
    }
    let in_turn = untried.iter().zip(0..).map(|((held, wait), turn)| (held, *wait + Duration::from_micros(turn)));
    let mut untried = in_turn.collect::<Vec<_>>();
    untried.sort_unstable_by_key(|(held, _)| held.key());
    sqlx::query!(
        "UPDATE emails e SET attempt = e.attempt - 1, due_time = u.d, lease_until = NULL \
           FROM (SELECT o, i, a, l, now() + w AS d \
                   FROM unnest($1::text[], $2::uuid[], $3::int[], $4::timestamptz[], $5::interval[]) AS w(o, i, a, l, w) \
                 OFFSET 0) u \
          WHERE e.organization = ANY (ARRAY[u.o]) AND e.email_id = u.i AND e.attempt = u.a AND e.lease_until = u.l \
            AND ARRAY[e.state] <@ '{QUEUED,RETRYING}' AND ($6::text IS NULL OR e.organization = $6)",
        &column(&untried, |(held, _)| held.organization.as_str().to_owned()),
        &column(&untried, |(held, _)| held.id),
        &column(&untried, |(held, _)| held.attempt),
        &column(&untried, |(held, _)| held.lease_until),
        &column(&untried, |(_, wait)| interval(*wait)),
        only(untried.iter().map(|(held, _)| held.organization.as_str())),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Gives untried emails back that wait for the limit of their recipients, and says so: whoever invites sees that, and the
/// sweep prolongs what waits with them ([`super::waits`]). A reminder prolongs nothing, and what the organization itself is
/// told neither.
pub async fn put_off(connection: &mut PgConnection, limited: &[(Held, Duration)]) -> Result<()> {
    if limited.is_empty() {
        return Ok(());
    }
    let mut limited = limited.iter().collect::<Vec<_>>();
    limited.sort_unstable_by_key(|(held, _)| held.key());
    sqlx::query!(
        "UPDATE emails e SET attempt = e.attempt - 1, due_time = u.d, lease_until = NULL, answer = u.r, \
                wait_time = CASE WHEN u.p THEN u.d END \
           FROM (SELECT o, i, a, l, r, p, now() + w AS d \
                   FROM unnest($1::text[], $2::uuid[], $3::int[], $4::timestamptz[], $5::interval[], $6::text[], $8::bool[]) \
                     AS w(o, i, a, l, w, r, p) \
                 OFFSET 0) u \
          WHERE e.organization = ANY (ARRAY[u.o]) AND e.email_id = u.i AND e.attempt = u.a AND e.lease_until = u.l \
            AND ARRAY[e.state] <@ '{QUEUED,RETRYING}' AND ($7::text IS NULL OR e.organization = $7)",
        &column(&limited, |(held, _)| held.organization.as_str().to_owned()),
        &column(&limited, |(held, _)| held.id),
        &column(&limited, |(held, _)| held.attempt),
        &column(&limited, |(held, _)| held.lease_until),
        &column(&limited, |(_, wait)| interval(*wait)),
        &column(&limited, |(held, _)| Answer::put_off(held.kind).to_string()),
        only(limited.iter().map(|(held, _)| held.organization.as_str())),
        &column(&limited, |(held, _)| held.invitation.is_some() && held.kind.is_waited_for()),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Records how attempts ended. That the mail server took an email is a fact, whatever was decided meanwhile and whoever
/// holds it now; anything else is recorded only as the holder. Where the key of its code is missing, nothing was tried: the
/// attempt is given back, and `update_time` stays the moment from which it is missing. What was erased meanwhile gets no
/// recipient again.
pub async fn settle(connection: &mut PgConnection, ended: &[Ended]) -> Result<()> {
    if ended.is_empty() {
        return Ok(());
    }
    let mut ended = ended.iter().collect::<Vec<_>>();
    ended.sort_unstable_by_key(|ended| ended.held.key());
    sqlx::query!(
        "UPDATE emails e SET state = n.s, answer = n.r, lease_until = NULL, \
                recipient = CASE WHEN e.recipient = '' THEN '' ELSE n.t END, \
                attempt = e.attempt - CASE WHEN n.is_missing THEN 1 ELSE 0 END, \
                update_time = CASE WHEN n.is_missing AND e.answer = n.r THEN e.update_time ELSE n.now END, \
                due_time = coalesce(n.d, e.due_time) \
           FROM (SELECT o, i, a, l, s, r, t, CASE WHEN s <> 'SENT' THEN now() + w END AS d, r = $9 AS is_missing, now() AS now \
                   FROM unnest($1::text[], $2::uuid[], $3::int[], $4::timestamptz[], $5::text[]::email_state[], \
                               $6::text[], $7::interval[], $8::text[]) AS w(o, i, a, l, s, r, w, t) \
                 OFFSET 0) n \
          WHERE e.organization = ANY (ARRAY[n.o]) AND e.email_id = n.i AND ($10::text IS NULL OR e.organization = $10) \
            AND (n.s = 'SENT' OR e.attempt = n.a AND e.lease_until = n.l AND ARRAY[e.state] <@ '{QUEUED,RETRYING}')",
        &column(&ended, |e| e.held.organization.as_str().to_owned()),
        &column(&ended, |e| e.held.id),
        &column(&ended, |e| e.held.attempt),
        &column(&ended, |e| e.held.lease_until),
        &column(&ended, |e| e.state.as_str().to_owned()),
        &column(&ended, |e| e.answer.to_string()),
        &column(&ended, |e| interval(e.wait)),
        &column(&ended, |e| typed(&e.held.recipient)),
        Answer::KeyMissing.to_string(),
        only(ended.iter().map(|e| e.held.organization.as_str())),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// An email that was leased a moment ago.
struct Row {
    organization: String,
    email_id: Uuid,
    invitation: Option<Uuid>,
    kind: String,
    generation: i32,
    recipient: String,
    attempt: i32,
    lease_until: Timestamp,
    answer: Option<String>,
    update_time: Timestamp,
    trace: Option<String>,
}

impl Row {
    fn held(self) -> Result<Held> {
        let kind = EmailKind::parse(&self.kind).ok_or_else(|| Error::Fault("unknown kind of email".to_owned()))?;
        let (missing, key) = (Answer::KeyMissing.to_string(), self.recipient.to_lowercase());
        Ok(Held {
            organization: OrganizationId::stored(self.organization),
            id: self.email_id,
            invitation: self.invitation.map(InvitationId),
            kind,
            generation: self.generation,
            recipient: EmailAddress::stored(self.recipient, key),
            attempt: self.attempt,
            lease_until: self.lease_until,
            missing_since: self.answer.filter(|answer| *answer == missing).map(|_| self.update_time),
            trace: self.trace.and_then(|trace| TraceParent::parse(&trace)),
        })
    }
}

impl Held {
    fn key(&self) -> (&str, Uuid) {
        (self.organization.as_str(), self.id)
    }
}
