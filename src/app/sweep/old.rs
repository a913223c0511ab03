//! Throws away what is old, round by round.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Old, Sweeper, Swept};
use crate::domain::Timestamp;
use crate::store::retention::{self, Part};

/// How many rows a round takes, unless these are too many for the time that a statement has.
const ROUND: i64 = 1_000;
/// From how many rounds at the front of the queue one is taken at random: two replicas rarely take the same.
const SPREAD: i64 = 4;

impl Sweeper {
    pub(super) async fn throw_away(&self, old: Old, age: Duration, swept: &mut Swept, end: &CancellationToken) {
        let mut queue = Queue::new(old);
        while !end.is_cancelled() {
            let part = queue.part();
            match self.ask(end, async |connection| retention::round(connection, old, age, part).await).await {
                Ok(round) => {
                    swept.round(round.done);
                    if !queue.goes_on(part, round) {
                        return;
                    }
                }
                Err(error) => {
                    swept.fail(&error);
                    if !queue.halve() {
                        return;
                    }
                }
            }
        }
    }
}

/// Where a turn is.
struct Queue {
    /// Before it everything was dealt with.
    from: Option<Timestamp>,
    limit: i64,
    spread: i64,
}

impl Queue {
    fn new(old: Old) -> Self {
        // events go from the oldest on
        let spread = if old == Old::Events { 1 } else { SPREAD };
        Self { from: None, limit: ROUND, spread }
    }

    fn part(&self) -> Part {
        Part { from: self.from, skip: rand::random_range(0..self.spread) * self.limit, limit: self.limit }
    }

    /// Whether there may be more.
    fn goes_on(&mut self, part: Part, round: retention::Round) -> bool {
        let is_full = i64::try_from(round.found) == Ok(part.limit);
        if part.skip > 0 {
            if !is_full {
                // the end: what is left stands before this part
                self.spread = 1;
            }
            return true;
        }
        // nothing of it could be dealt with: it is another replica's, or whatever is wrong with it has to be seen to
        let is_stuck = round.done == 0 && round.last == self.from;
        self.from = round.last;
        is_full && !is_stuck
    }

    /// After a failure, which may be that it took too long: by the next turn it is forgotten.
    fn halve(&mut self) -> bool {
        self.limit /= 2;
        self.limit > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::retention::Round;

    fn at(seconds: i64) -> Option<Timestamp> {
        Timestamp::from_unix_timestamp(seconds).ok()
    }

    /// Takes all of a queue whose rows have these times; `done`: whether a row can be dealt with.
    fn take(queue: &mut Queue, mut times: Vec<i64>, done: impl Fn(i64) -> bool) -> (Vec<i64>, usize) {
        for rounds in 1..1_000 {
            let part = queue.part();
            let is_behind = |time: &&i64| part.from.is_none_or(|from| at(**time) >= Some(from));
            let [skip, limit] = [part.skip, part.limit].map(|count| usize::try_from(count).unwrap());
            let taken = times.iter().filter(is_behind).skip(skip).take(limit).copied().collect::<Vec<_>>();
            let gone = taken.iter().filter(|time| done(**time)).copied().collect::<Vec<_>>();
            let round = Round { found: taken.len(), done: gone.len() as u64, last: taken.last().and_then(|t| at(*t)) };
            for time in gone {
                times.remove(times.iter().position(|other| *other == time).unwrap());
            }
            if !queue.goes_on(part, round) {
                return (times, rounds);
            }
        }
        panic!("it never ends");
    }

    #[test]
    fn a_turn_goes_on_until_nothing_is_left() {
        for count in [0, 1, 999, 1_000, 1_001, 9_500] {
            for times in [(0..count).collect::<Vec<_>>(), vec![7; usize::try_from(count).unwrap()]] {
                let (left, rounds) = take(&mut Queue::new(Old::Emails), times, |_| true);
                assert_eq!(left.len(), 0, "{count} after {rounds} rounds");
            }
        }
    }

    #[test]
    fn what_cannot_be_dealt_with_is_passed_over() {
        let (left, _) = take(&mut Queue::new(Old::Emails), (0..9_500).collect(), |time| time % 3 > 0);
        assert_eq!(left.len(), 9_500 / 3 + 1);
        let (left, rounds) = take(&mut Queue::new(Old::Events), vec![7; 5_000], |_| false);
        assert!(left.len() == 5_000 && rounds < 5, "{rounds} rounds for nothing");
    }

    #[test]
    fn a_round_is_halved_down_to_a_row() {
        let mut queue = Queue::new(Old::Limits);
        let sizes = std::iter::from_fn(|| queue.halve().then_some(queue.limit)).collect::<Vec<_>>();
        assert_eq!(sizes, [500, 250, 125, 62, 31, 15, 7, 3, 1]);
    }
}
