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
    /// At least 1. The same for everybody who asks for a subject.
    pub limit: i32,
}

/// One that was counted, and may be given back.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Charge {
    subject: String,
    window: Duration,
    /// The window that it was counted in.
    bucket_time: Timestamp,
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
        let mut refused = Vec::new();
        for group in subjects.values_mut() {
            group.step = group.waiting.len();
        }
        while !subjects.is_empty() {
            let most = usize::try_from(limit).unwrap_or_default();
            let steps = subjects.iter_mut().map(|(subject, group)| {
                group.step = group.step.clamp(1, most.max(1)).min(group.waiting.len());
                (*subject, i32::try_from(group.step).unwrap_or(i32::MAX))
            });
            let counted = add(connection, &steps.collect::<Vec<_>>(), window, limit).await?;
            subjects.retain(|subject, group| {
                if let Some(bucket_time) = counted.get(*subject) {
                    let charge = Charge { subject: (*subject).to_owned(), window, bucket_time: *bucket_time };
                    group.waiting.drain(..group.step).for_each(|place| outcomes[place] = Ok(charge.clone()));
                } else if group.step > 1 {
                    // not all of them at once: perhaps the half
                    group.step /= 2;
                } else {
                    refused.append(&mut group.waiting);
                }
                !group.waiting.is_empty()
            });
        }
        let subjects = refused.iter().map(|place| asked[*place].subject.clone()).collect::<Vec<_>>();
        let counters = counted(connection, &subjects).await?;
        for place in refused {
            let length = window.try_into().unwrap_or(DAY);
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
/// counted, with the begin of their window. Exact however many do it at once, because it decides on the row that it locks,
/// and rows are locked in the order of the subjects.
///
/// The rule is [`Window`]'s: the windows follow one another from the first charge on, and the one before counts by the
/// part of it that is left, rounded down. Only `excluded` knows the time, the window and the limit: on a conflict, Citus
/// allows nothing but immutable functions, and no parameter.
async fn add(
    connection: &mut PgConnection,
    steps: &[(&str, i32)],
    window: Duration,
    limit: i32,
) -> Result<BTreeMap<String, Timestamp>> {
    let subjects = steps.iter().map(|(subject, _)| (*subject).to_owned()).collect::<Vec<_>>();
    let counts = steps.iter().map(|(_, count)| *count).collect::<Vec<_>>();
    let rows = sqlx::query!(
        "INSERT INTO subject_limits AS l (subject, bucket_time, used, used_before, span, most) \
         SELECT s, now(), n, 0, $3::interval, $4::int FROM unnest($1::text[], $2::int[]) AS a(s, n) \
         ON CONFLICT ON CONSTRAINT subject_limits_pkey DO UPDATE SET \
           bucket_time = greatest(l.bucket_time, date_bin(excluded.span, excluded.bucket_time, l.bucket_time)), \
           used = CASE WHEN excluded.bucket_time - l.bucket_time < excluded.span THEN l.used + excluded.used ELSE excluded.used END, \
           used_before = CASE WHEN excluded.bucket_time - l.bucket_time < excluded.span THEN l.used_before \
                              WHEN excluded.bucket_time - l.bucket_time < excluded.span * 2 THEN l.used ELSE 0 END \
         WHERE excluded.used + CASE WHEN excluded.bucket_time - l.bucket_time < excluded.span \
                    THEN l.used + floor(l.used_before \
                         * (1 - greatest(0, extract(epoch FROM excluded.bucket_time - l.bucket_time)) / extract(epoch FROM excluded.span))) \
                    WHEN excluded.bucket_time - l.bucket_time < excluded.span * 2 \
                    THEN floor(l.used \
                         * (2 - extract(epoch FROM excluded.bucket_time - l.bucket_time) / extract(epoch FROM excluded.span))) \
                    ELSE 0 END <= excluded.most \
         RETURNING subject, bucket_time",
        &subjects,
        &counts,
        interval(window),
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.subject, row.bucket_time)).collect())
}

/// Takes charges back, as if they had never been.
pub async fn give_back(connection: &mut PgConnection, charges: &[Charge]) -> Result<()> {
    let mut counts = BTreeMap::<&Charge, i32>::new();
    for charge in charges {
        *counts.entry(charge).or_default() += 1;
    }
    // a statement changes a row once: what a subject was charged in another window is for the next one
    let (mut rounds, mut windows) = (Vec::<Vec<_>>::new(), BTreeMap::<&str, usize>::new());
    for counted in counts {
        let round = windows.entry(&counted.0.subject).or_default();
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
async fn take(connection: &mut PgConnection, charges: &[(&Charge, i32)]) -> Result<()> {
    sqlx::query!(
        "UPDATE subject_limits l \
            SET used = l.used - CASE WHEN l.bucket_time = g.b THEN g.n ELSE 0 END, \
                used_before = l.used_before - CASE WHEN l.bucket_time - g.b = g.w THEN g.n ELSE 0 END \
           FROM unnest($1::text[], $2::timestamptz[], $3::interval[], $4::int[]) AS g(s, b, w, n) \
          WHERE l.subject = ANY(ARRAY[g.s]) \
            AND (l.bucket_time = g.b AND l.used >= g.n OR l.bucket_time - g.b = g.w AND l.used_before >= g.n) \
            AND ($5::text IS NULL OR l.subject = $5)",
        &charges.iter().map(|(charge, _)| charge.subject.clone()).collect::<Vec<_>>(),
        &charges.iter().map(|(charge, _)| charge.bucket_time).collect::<Vec<_>>(),
        &charges.iter().map(|(charge, _)| interval(charge.window)).collect::<Vec<_>>(),
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
        r#"SELECT subject, bucket_time, used, used_before, now() AS "now!" FROM subject_limits WHERE subject = ANY($1)"#,
        subjects,
    )
    .fetch_all(connection)
    .await?;
    let window = |start, used, used_before| Window { start, used, used_before };
    let rows = rows.into_iter();
    Ok(rows.map(|row| (row.subject, (window(row.bucket_time, row.used, row.used_before), row.now))).collect())
}

/// A hash as part of a subject.
pub fn hex(hash: &[u8]) -> String {
    hash.iter().fold(String::with_capacity(hash.len() * 2), |mut text, byte| {
        let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or_default();
        text.extend([digit(byte >> 4), digit(byte & 15)]);
        text
    })
}
