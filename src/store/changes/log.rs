//! Takes emails back, and appends what happened: events, emails, request ids and the heads that count them.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use sqlx::types::Uuid;

use crate::domain::{
    Actor, Email, EmailKind, Event, EventKind, Head, InvitationId, OrganizationId, Timestamp, Withdrawal,
};
use crate::store::columns::{column, expect_rows, listed, only, text, username};
use crate::store::request_ids::Done;
use crate::store::{Result, events};

/// Locks in the order of the keys, as settling does: the only two that lock several emails without SKIP LOCKED. Kinds that
/// only a newer version knows are left to it, which asks before each attempt whether the email is still wanted.
pub(super) async fn withdraw_emails(
    connection: &mut PgConnection,
    rows: &[(OrganizationId, Withdrawal)],
    now: Timestamp,
) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let known = EmailKind::ALL.map(|kind| kind.as_str().to_owned());
    let kinds = |withdrawal: &Withdrawal| match withdrawal {
        Withdrawal::All(_) | Withdrawal::Settled(_) => "ALL",
        Withdrawal::Reminders(_) => "REMINDERS",
        Withdrawal::Codes(_) => "CODES",
    };
    sqlx::query!(
        "WITH due AS MATERIALIZED ( \
           SELECT e.organization, e.email_id, n.a \
             FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[]) AS n(o, i, k, a), LATERAL ( \
             SELECT organization, email_id FROM emails \
              WHERE invitation = n.i AND organization || '' = n.o AND ($7::text IS NULL OR organization = $7) AND state::text IN ('QUEUED', 'RETRYING') \
                AND kind = ANY($6) AND (n.k = 'ALL' OR n.k = 'REMINDERS' AND kind LIKE '%\\_REMINDER' OR n.k = 'CODES' AND generation > 0) \
              OFFSET 0) e), \
         held AS MATERIALIZED ( \
           SELECT e.organization, e.email_id, d.a \
             FROM (SELECT DISTINCT ON (organization, email_id) * FROM due ORDER BY organization, email_id, a DESC) d, LATERAL ( \
             SELECT organization, email_id FROM emails \
              WHERE organization = d.organization AND email_id = d.email_id AND ($7::text IS NULL OR organization = $7) \
                AND state::text IN ('QUEUED', 'RETRYING') FOR UPDATE) e) \
         UPDATE emails e SET state = 'DROPPED', answer = held.a, lease_until = NULL, update_time = $5 FROM held \
          WHERE e.organization = ANY(ARRAY[held.organization]) AND e.email_id = held.email_id \
            AND ($7::text IS NULL OR e.organization = $7)",
        &column(rows, |(id, _)| text(id)),
        &column(rows, |(_, withdrawal)| withdrawal.invitation().0),
        &column(rows, |(_, withdrawal)| kinds(withdrawal).to_owned()),
        &column(rows, |(_, withdrawal)| withdrawal.answer().to_string()),
        now,
        &known,
        only(rows.iter().map(|(id, _)| id.as_str())),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// What a batch appends, in one statement. No part of it reads what another part writes.
pub(super) struct Log<'a> {
    pub events: Vec<(OrganizationId, &'a Event)>,
    pub emails: Vec<(OrganizationId, &'a Email)>,
    pub done: &'a [Done],
    /// Before and after.
    pub heads: Vec<(&'a OrganizationId, &'a Head, &'a Head)>,
}

impl Log<'_> {
    /// Each head names the position that it leaves, and holds the seat limit once more: a limit below `seats_taken`
    /// refuses only more.
    ///
    /// RETURNING, of which nothing is read: Citus would COPY the events otherwise, which row-level security forbids.
    pub(super) async fn append(&self, connection: &mut PgConnection, now: Timestamp) -> Result<()> {
        let Self { events, emails, done, heads } = self;
        if events.is_empty() && emails.is_empty() && done.is_empty() && heads.is_empty() {
            return Ok(());
        }
        let turns = self.turns();
        let result = sqlx::query!(
            "WITH event AS ( \
               INSERT INTO events (organization, position, kind, actor, invitation, username, changes, create_time, \
                                   request_id) \
               SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::uuid[], $6::text[], \
                                    $7::jsonb[], $8::timestamptz[], $9::uuid[]) RETURNING organization), \
             email AS ( \
               INSERT INTO emails (organization, email_id, invitation, kind, generation, recipient, due_time, \
                                   create_time, update_time, is_to_owner, trace) \
               SELECT o, gen_random_uuid(), i, k, g, r, d, $33, $33, w, t \
                 FROM unnest($10::text[], $11::uuid[], $12::text[], $13::int[], $14::text[], $15::timestamptz[], $37::bool[], \
                             $38::text[]) AS n(o, i, k, g, r, d, w, t)), \
             request AS ( \
               INSERT INTO request_ids (organization, caller, request_id, method, digest, resource) \
               SELECT * FROM unnest($16::text[], $17::text[], $18::uuid[], $19::text[], $20::bytea[], $21::text[])), \
             turn AS ( \
               INSERT INTO mail_turns AS t (organization, turn_time) SELECT * FROM unnest($35::text[], $36::timestamptz[]) \
               ON CONFLICT ON CONSTRAINT mail_turns_pkey DO UPDATE \
                 SET turn_time = least(t.turn_time, excluded.turn_time), revision = t.revision + 1) \
             UPDATE organization_heads h SET event_position = n.p, seat_limit = n.l, seats_taken = n.s, owners = n.w, \
                    open_invitations = n.i, invitations_limit = n.il, open_invitations_limit = n.ol, \
                    invitations_slot = n.k, invitations_totals = string_to_array(n.t, ',')::bigint[] \
               FROM unnest($22::text[], $23::bigint[], $24::bigint[], $25::int[], $26::int[], $27::int[], $28::int[], \
                           $29::int[], $30::int[], $31::bigint[], $32::text[]) AS n(o, was, p, l, s, w, i, il, ol, k, t) \
              WHERE h.organization = ANY(ARRAY[n.o]) AND h.event_position = n.was \
                AND (n.s <= h.seats_taken OR n.l IS NULL OR n.s <= n.l) \
                AND ($34::text IS NULL OR h.organization = $34)",
            &column(events, |(id, _)| text(id)),
            &column(events, |(_, event)| event.position),
            &column(events, |(_, event)| event.kind.map_or("", EventKind::as_str).to_owned()),
            &column(events, |(_, event)| event.actor.as_ref().map(Actor::to_string)) as &[Option<String>],
            &column(events, |(_, event)| event.invitation.map(|InvitationId(id)| id)) as &[Option<Uuid>],
            &column(events, |(_, event)| event.member.as_ref().map(username)) as &[Option<String>],
            &column(events, |(_, event)| events::encode_changes(&event.changes)),
            &column(events, |(_, event)| event.create_time),
            &column(events, |(_, event)| event.request_id) as &[Option<Uuid>],
            &column(emails, |(id, _)| text(id)),
            &column(emails, |(_, email)| email.invitation.map(|InvitationId(id)| id)) as &[Option<Uuid>],
            &column(emails, |(_, email)| email.kind.as_str().to_owned()),
            &column(emails, |(_, email)| email.generation),
            &column(emails, |(_, email)| email.recipient.wire()),
            &column(emails, |(_, email)| email.due_time),
            &column(done, |done| done.key.0.clone()),
            &column(done, |done| done.key.1.clone()),
            &column(done, |done| done.key.2),
            &column(done, |done| done.remembered.method.clone()),
            &column(done, |done| done.remembered.digest.clone()),
            &column(done, |done| done.remembered.resource.clone()),
            &column(heads, |(id, ..)| text(id)),
            &column(heads, |(_, before, _)| before.event_position),
            &column(heads, |(.., head)| head.event_position),
            &column(heads, |(.., head)| head.seat_limit) as &[Option<i32>],
            &column(heads, |(.., head)| head.seats_taken),
            &column(heads, |(.., head)| head.owners),
            &column(heads, |(.., head)| head.open_invitations),
            &column(heads, |(.., head)| head.limits.invitations_per_day) as &[Option<i32>],
            &column(heads, |(.., head)| head.limits.open_invitations) as &[Option<i32>],
            &column(heads, |(.., head)| head.invitations.slot),
            &column(heads, |(.., head)| listed(&head.invitations.totals)),
            now,
            only(self.organizations()),
            &turns.keys().map(|id| (*id).to_owned()).collect::<Vec<_>>(),
            &turns.values().copied().collect::<Vec<_>>(),
            &column(emails, |(_, email)| email.is_to_owner),
            &column(emails, |(_, email)| email.trace.map(|trace| trace.to_string())) as &[Option<String>],
        )
        .execute(connection)
        .await?;
        expect_rows(&result, heads.len(), "an organization's head")
    }

    /// When the first of its new emails comes due, for each organization; in the order in which the rows are locked.
    fn turns(&self) -> BTreeMap<&str, Timestamp> {
        let mut turns = BTreeMap::new();
        for (id, email) in &self.emails {
            let turn = turns.entry(id.as_str()).or_insert(email.due_time);
            *turn = email.due_time.min(*turn);
        }
        turns
    }

    /// Of all that is appended: what says nothing new about an organization moves no head.
    fn organizations(&self) -> impl Iterator<Item = &str> {
        let Self { events, emails, done, heads } = self;
        let happened = events.iter().map(|(id, _)| id.as_str()).chain(emails.iter().map(|(id, _)| id.as_str()));
        happened.chain(done.iter().map(|done| done.key.0.as_str())).chain(heads.iter().map(|(id, ..)| id.as_str()))
    }
}
