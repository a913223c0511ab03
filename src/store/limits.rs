//! Counters of what a caller, an identity or an address may do only so often, over all replicas.
//!
//! What waits is counted together. Each statement is a transaction of its own: what was counted stays counted, whatever
//! becomes of the call.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::PgConnection;

use super::columns::only;
use super::{Result, interval};
use crate::domain::{DAY, Timestamp, Window};

/// Something to be counted once, unless that is more than the limit allows.
#[derive(Clone, Debug)]
pub struct Asked {
    pub subject: String,
    pub window: Duration,
    /// At least 1. It may differ among those who ask for a subject.
    pub limit: i32,
}

/// One that was counted, and may be given back.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Charge {
    subject: String,
    /// That it was counted in.
    slot: i64,
}

/// Counted, or how long to wait until one more is allowed: at least 1 s.
pub type Counted = std::result::Result<Charge, time::Duration>;

/// Counts each, in turn.
pub async fn charge(connection: &mut PgConnection, asked: &[Asked]) -> Result<Vec<Counted>> {
    let mut groups = BTreeMap::<(Duration, i32), BTreeMap<&str, Group>>::new();
    for (place, one) in asked.iter().enumerate() {
        let subjects = groups.entry((one.window, one.limit)).or_default();
        subjects.entry(&one.subject).or_default().waiting.push(place);
    }
    let mut outcomes = vec![Err(time::Duration::ZERO); asked.len()];
    for ((window, limit), mut subjects) in groups {
        let (mut refused, length) = (Vec::new(), window.try_into().unwrap_or(DAY));
        for group in subjects.values_mut() {
            group.step = group.waiting.len();
        }
        while !subjects.is_empty() {
            let most = usize::try_from(limit).unwrap_or_default();
            let steps = subjects.iter_mut().map(|(subject, group)| {
                group.step = group.step.clamp(1, most.max(1)).min(group.waiting.len());
                (*subject, i32::try_from(group.step).unwrap_or(i32::MAX))
            });
            let added = add(connection, &steps.collect::<Vec<_>>(), window, limit).await?;
            let full = subjects.iter().filter(|(subject, group)| group.step > 1 && !added.contains_key(**subject));
            let counters =
                counted(connection, &full.map(|(subject, _)| (*subject).to_owned()).collect::<Vec<_>>()).await?;
            subjects.retain(|subject, group| {
                if let Some(slot) = added.get(*subject) {
                    let charge = Charge { subject: (*subject).to_owned(), slot: *slot };
                    group.waiting.drain(..group.step).for_each(|place| outcomes[place] = Ok(charge.clone()));
                } else {
                    // not all of them at once: as many as there was room for a moment ago
                    let room = counters.get(*subject).map_or(0, |(counter, now)| counter.room(*now, length, limit));
                    group.step = room.min(group.step - 1);
                    if group.step == 0 {
                        refused.append(&mut group.waiting);
                    }
                }
                !group.waiting.is_empty()
            });
        }
        let subjects = refused.iter().map(|place| asked[*place].subject.clone()).collect::<Vec<_>>();
        let counters = counted(connection, &subjects).await?;
        for place in refused {
            let wait = counters.get(&asked[place].subject).map(|(counter, now)| counter.wait(*now, length, limit));
            // what was given back meanwhile must not read as "at once"
            outcomes[place] = Err(wait.unwrap_or_default().max(time::Duration::SECOND));
        }
    }
    Ok(outcomes)
}

/// Those who ask for one subject.
#[derive(Default)]
struct Group {
    /// Their places, in turn.
    waiting: Vec<usize>,
    /// So many are counted at once, or none.
    step: usize,
}

/// Counts so many more for each subject, unless that is more than the limit allows; answers for those that it has
/// counted, with their slot. Exact however many do it at once, because it decides on the row that it locks, and rows are
/// locked in the order of the subjects.
///
/// The rule is [`Window`]'s: 26 totals of 24 slots, the one that has just begun, and the one before all of them, which are
/// moved on by the slots that have begun since. Only `excluded` knows the time, the window and the limit: on a conflict,
/// Citus allows nothing but immutable functions, and no parameter. `bucket_time` is for the sweep, `used` for the release
/// before.
async fn add(
    connection: &mut PgConnection,
    steps: &[(&str, i32)],
    window: Duration,
    limit: i32,
) -> Result<BTreeMap<String, i64>> {
    let subjects = steps.iter().map(|(subject, _)| (*subject).to_owned()).collect::<Vec<_>>();
    let counts = steps.iter().map(|(_, count)| *count).collect::<Vec<_>>();
    let rows = sqlx::query!(
        "INSERT INTO subject_limits AS l (subject, bucket_time, used, span, most, slot, totals) \
         SELECT s, now(), 0, $3::interval, $4::int, \
                floor(extract(epoch FROM now()) * 24 / extract(epoch FROM $3::interval))::bigint, ARRAY[n::bigint] \
           FROM unnest($1::text[], $2::int[]) AS a(s, n) \
         ON CONFLICT ON CONSTRAINT subject_limits_pkey DO UPDATE SET \
           bucket_time = greatest(l.bucket_time, date_bin(excluded.span, excluded.bucket_time, l.bucket_time)), \
           slot = greatest(l.slot, excluded.slot), \
           totals = (ARRAY[l.totals[1] + excluded.totals[1]] \
                     || array_fill(l.totals[1], ARRAY[least(greatest(excluded.slot - l.slot, 0), 25)::int]) \
                     || l.totals[2:])[:26] \
         WHERE l.totals[1] + excluded.totals[1] \
               - coalesce(l.totals[26 - least(greatest(excluded.slot - l.slot, 0), 25)::int], 0) <= excluded.most \
         RETURNING subject, slot",
        &subjects,
        &counts,
        interval(window),
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.subject, row.slot)).collect())
}

/// Takes charges back, as if they had never been: those of a subject's newest slot, and of the one before it. Older ones
/// end with their window.
pub async fn give_back(connection: &mut PgConnection, charges: &[Charge]) -> Result<()> {
    let mut counts = BTreeMap::<&Charge, i64>::new();
    for charge in charges {
        *counts.entry(charge).or_default() += 1;
    }
    // a statement changes a row once: what a subject was charged in another slot is for the next one
    let (mut rounds, mut slots) = (Vec::<Vec<_>>::new(), BTreeMap::<&str, usize>::new());
    for counted in counts {
        let round = slots.entry(&counted.0.subject).or_default();
        rounds.resize_with(rounds.len().max(*round + 1), Vec::new);
        rounds[*round].push(counted);
        *round += 1;
    }
    for round in rounds {
        take(connection, &round).await?;
    }
    Ok(())
}

/// Sorted by their subjects, so that rows are locked in this order.
async fn take(connection: &mut PgConnection, charges: &[(&Charge, i64)]) -> Result<()> {
    sqlx::query!(
        "UPDATE subject_limits l \
            SET totals = CASE WHEN l.slot = g.k THEN ARRAY[l.totals[1] - g.n] || l.totals[2:] \
                              ELSE ARRAY[l.totals[1] - g.n, l.totals[2] - g.n] || l.totals[3:] END \
           FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS g(s, k, n) \
          WHERE l.subject = ANY(ARRAY[g.s]) \
            AND (l.slot = g.k AND l.totals[1] - coalesce(l.totals[2], 0) >= g.n \
                 OR l.slot = g.k + 1 AND l.totals[2] - coalesce(l.totals[3], 0) >= g.n) \
            AND ($4::text IS NULL OR l.subject = $4)",
        &charges.iter().map(|(charge, _)| charge.subject.clone()).collect::<Vec<_>>(),
        &charges.iter().map(|(charge, _)| charge.slot).collect::<Vec<_>>(),
        &charges.iter().map(|(_, count)| *count).collect::<Vec<_>>(),
        only(charges.iter().map(|(charge, _)| charge.subject.as_str())),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// What was counted for each subject, and the database's clock.
pub async fn counted(
    connection: &mut PgConnection,
    subjects: &[String],
) -> Result<BTreeMap<String, (Window, Timestamp)>> {
    if subjects.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows = sqlx::query!(
        r#"SELECT subject, slot, totals, now() AS "now!" FROM subject_limits WHERE subject = ANY($1)"#,
        subjects,
    )
    .fetch_all(connection)
    .await?;
    let window = |slot, totals| Window { slot, totals };
    Ok(rows.into_iter().map(|row| (row.subject, (window(row.slot, row.totals), row.now))).collect())
}

/// A hash as part of a subject.
pub fn hex(hash: &[u8]) -> String {
    hash.iter().fold(String::with_capacity(hash.len() * 2), |mut text, byte| {
        let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or_default();
        text.extend([digit(byte >> 4), digit(byte & 15)]);
        text
    })
}
