//! Who is carried out and who waits: callers in turn, and of each the oldest call first.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::who::Who;

/// How long a caller counts as being there after their last call has come.
const PRESENT: Duration = Duration::from_secs(10);

/// What is carried out and what waits.
pub(super) struct Line {
    max: usize,
    share: usize,
    /// By weight, as in what follows.
    running: usize,
    waiting: usize,
    /// Numbers those that wait.
    next: u64,
    callers: HashMap<Arc<Who>, Caller>,
    /// Who has a call that may be carried out next, in turn, each once.
    turns: VecDeque<Arc<Who>>,
    /// Whose call came last, and when; and when the last one of anybody else.
    latest: Option<(Arc<Who>, Instant)>,
    before: Option<Instant>,
}

#[derive(Default)]
struct Caller {
    running: usize,
    /// By number.
    waiting: VecDeque<Waiting>,
    has_turn: bool,
}

struct Waiting {
    number: u64,
    weight: usize,
    tell: oneshot::Sender<()>,
}

/// A call's turn, which has come or will.
pub(super) struct Turn {
    who: Arc<Who>,
    number: u64,
    weight: usize,
    told: oneshot::Receiver<()>,
    has_come: bool,
}

impl Turn {
    /// `false`: it never will, as others have less in the line.
    pub(super) async fn come(&mut self) -> bool {
        self.has_come = (&mut self.told).await.is_ok();
        self.has_come
    }

    /// The same without waiting.
    pub(super) fn has_come(&mut self) -> bool {
        self.has_come |= self.told.try_recv().is_ok();
        self.has_come
    }

    #[cfg(test)]
    pub(super) fn is_lost(&mut self) -> bool {
        self.told.try_recv() == Err(oneshot::error::TryRecvError::Closed)
    }
}

impl Line {
    pub(super) fn new(max: usize, share: usize) -> Self {
        Self {
            max,
            share,
            running: 0,
            waiting: 0,
            next: 0,
            callers: HashMap::new(),
            turns: VecDeque::new(),
            latest: None,
            before: None,
        }
    }

    /// Takes the last place in the caller's line. Where too many wait, the last one of whoever has most gives way;
    /// `None`: nobody has more than the caller.
    pub(super) fn join(&mut self, who: Arc<Who>, weight: usize, now: Instant, max_waiting: usize) -> Option<Turn> {
        self.note(&who, now);
        if self.waiting >= max_waiting {
            let longest = self.longest(&who)?;
            self.callers.get_mut(&longest)?.waiting.pop_back();
            self.waiting -= 1;
        }
        let (tell, told) = oneshot::channel();
        let number = self.next;
        self.next += 1;
        self.waiting += 1;
        self.callers.entry(Arc::clone(&who)).or_default().waiting.push_back(Waiting { number, weight, tell });
        self.line_up(&who);
        self.go_on(now);
        Some(Turn { who, number, weight, told, has_come: false })
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Of whom most wait, where they are more than the caller's own would be.
    pub(super) fn longest(&self, who: &Who) -> Option<Arc<Who>> {
        let own = self.callers.get(who).map_or(0, |caller| caller.waiting.len());
        let (longest, caller) = self.callers.iter().max_by_key(|(_, caller)| caller.waiting.len())?;
        (caller.waiting.len() > own + 1).then(|| Arc::clone(longest))
    }

    /// The call is over, or does not wait any more.
    pub(super) fn leave(&mut self, turn: &mut Turn, now: Instant) {
        turn.told.close();
        let Some(caller) = self.callers.get_mut(&turn.who) else { return };
        if turn.has_come() {
            caller.running -= turn.weight;
            self.running -= turn.weight;
        } else if let Ok(place) = caller.waiting.binary_search_by_key(&turn.number, |waiting| waiting.number) {
            caller.waiting.remove(place);
            self.waiting -= 1;
        }
        self.line_up(&turn.who);
        self.go_on(now);
    }

    /// Gives a caller a turn who has something to wait for; forgets one who has nothing left.
    fn line_up(&mut self, who: &Arc<Who>) {
        let Some(caller) = self.callers.get_mut(who) else { return };
        if !caller.waiting.is_empty() && !caller.has_turn {
            caller.has_turn = true;
            self.turns.push_back(Arc::clone(who));
        } else if caller.waiting.is_empty() && caller.running == 0 {
            if caller.has_turn {
                self.turns.retain(|other| other != who);
            }
            self.callers.remove(who);
        }
    }

    /// Carries out what may be by now.
    fn go_on(&mut self, now: Instant) {
        while let Some(who) = self.turns.pop_front() {
            let limit = self.limit(&who, now);
            let Some(caller) = self.callers.get_mut(&who) else { continue };
            let weight = caller.waiting.front().map_or(0, |next| next.weight);
            if !fits(weight, self.running, self.max) {
                self.turns.push_front(who);
                break;
            }
            caller.has_turn = false;
            // whoever has all of their share gets the next turn when one of their calls ends
            if !fits(weight, caller.running, limit) {
                continue;
            }
            let Some(next) = caller.waiting.pop_front() else { continue };
            self.waiting -= 1;
            // whoever has just left waits for nothing
            if next.tell.send(()).is_ok() {
                caller.running += weight;
                self.running += weight;
            }
            self.line_up(&who);
        }
    }

    /// How much a caller may have carried out: their share while others are there, else all but one share, which whoever
    /// comes next finds free.
    fn limit(&self, who: &Arc<Who>, now: Instant) -> usize {
        let others = match &self.latest {
            Some((latest, time)) if latest != who => Some(*time),
            _ => self.before,
        };
        let is_alone = others.is_none_or(|time| now - time > PRESENT);
        if is_alone { (self.max - self.share).max(self.share) } else { self.share }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.running == 0 && self.waiting == 0 && self.callers.is_empty() && self.turns.is_empty()
    }

    fn note(&mut self, who: &Arc<Who>, now: Instant) {
        if let Some((latest, time)) = &self.latest
            && latest != who
        {
            self.before = Some(*time);
        }
        self.latest = Some((Arc::clone(who), now));
    }
}

/// What weighs more than the limit fits alone.
fn fits(weight: usize, running: usize, limit: usize) -> bool {
    running + weight <= limit || running == 0
}
