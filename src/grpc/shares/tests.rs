use super::*;

const MAX: usize = 16;
const ONE: usize = MAX / SHARE;

/// A line and the time that its callers see.
struct Seen {
    line: Line,
    now: Instant,
}

impl Seen {
    fn new(share: usize) -> Self {
        Self { line: Line::new(MAX, share), now: Instant::now() }
    }

    /// So many calls of one caller.
    fn join(&mut self, name: &str, count: usize) -> Vec<Turn> {
        let who = Who { issuer: "github".to_owned(), subject: vec![name.to_owned()], organization: None };
        let who = Arc::new(who);
        (0..count).filter_map(|_| self.line.join(Arc::clone(&who), 1, self.now, MAX * WAITING)).collect()
    }

    fn leave(&mut self, turns: Vec<Turn>) {
        for mut turn in turns {
            self.line.leave(&mut turn, self.now);
        }
    }
}

/// How many may be carried out.
fn running(turns: &mut [Turn]) -> usize {
    turns.iter_mut().map(Turn::has_come).filter(|has_come| *has_come).count()
}

#[test]
fn whoever_is_alone_leaves_one_share_and_with_others_has_one() {
    let mut seen = Seen::new(ONE);
    let mut alone = seen.join("anna", MAX);
    assert_eq!(running(&mut alone), MAX - ONE);
    // whoever comes next finds their share free
    let mut others = seen.join("bert", MAX);
    assert_eq!(running(&mut others), ONE);
    seen.leave(others);
    seen.leave(alone);
    let mut again = seen.join("anna", MAX);
    assert_eq!(running(&mut again), ONE);
    seen.leave(again);
    seen.now += Duration::from_secs(11);
    assert_eq!(running(&mut seen.join("anna", MAX)), MAX - ONE);

    // the control: without shares nothing is left for the next one
    let mut seen = Seen::new(MAX);
    assert_eq!(running(&mut seen.join("anna", MAX)), MAX);
    assert_eq!(running(&mut seen.join("bert", 1)), 0);
}

#[test]
fn the_surplus_waits_behind_the_callers_own_calls() {
    let mut seen = Seen::new(1);
    let _bert = seen.join("bert", 1);
    let mut turns = seen.join("anna", 3);
    let come = |turns: &mut [Turn]| turns.iter_mut().map(Turn::has_come).collect::<Vec<_>>();
    assert_eq!(come(&mut turns), [true, false, false]);
    // whoever left the line is in nobody's way
    let second = turns.remove(1);
    seen.leave(vec![second]);
    let first = turns.remove(0);
    seen.leave(vec![first]);
    assert_eq!(come(&mut turns), [true]);
    seen.leave(turns);
    assert_eq!(running(&mut seen.join("anna", 2)), 1);
}

#[test]
fn callers_take_turns_however_long_their_lines_are() {
    let mut seen = Seen::new(MAX);
    let mut first = seen.join("anna", MAX);
    let mut lines = [seen.join("anna", 3), seen.join("bert", 2), seen.join("clara", 1)];
    let mut carried_out = Vec::new();
    for turn in first.drain(..6) {
        seen.leave(vec![turn]);
        carried_out.push(lines.each_mut().map(|line| running(line)));
    }
    assert_eq!(carried_out, [[1, 0, 0], [1, 1, 0], [1, 1, 1], [2, 1, 1], [2, 2, 1], [3, 2, 1]]);
}

#[test]
fn where_too_many_wait_the_longest_line_is_cut() {
    let mut seen = Seen::new(MAX);
    let first = seen.join("anna", MAX);
    // the control: a caller's own line takes no more
    let mut line = seen.join("anna", 2 * MAX * WAITING);
    assert_eq!(line.len(), MAX * WAITING);
    let mut other = seen.join("bert", 1);
    assert!(line.last_mut().unwrap().is_lost() && !line[0].is_lost());
    seen.leave(first);
    assert_eq!(running(&mut other), 1);
    seen.leave(line);
    seen.leave(other);
    assert!(seen.line.is_empty());
}

#[test]
fn what_weighs_much_takes_as_many_places() {
    let mut seen = Seen::new(4);
    let _bert = seen.join("bert", 1);
    let who = Arc::new(Who { issuer: "github".to_owned(), subject: vec!["anna".to_owned()], organization: None });
    let mut join = |weight| seen.line.join(Arc::clone(&who), weight, seen.now, MAX).unwrap();
    let mut turns = [join(3), join(3), join(1)];
    assert_eq!(turns.each_mut().map(Turn::has_come), [true, false, false]);
    seen.line.leave(&mut turns[0], seen.now);
    assert_eq!(turns.each_mut().map(Turn::has_come), [true, true, true]);
    // more than the share is carried out alone
    let mut join = |weight| seen.line.join(Arc::clone(&who), weight, seen.now, MAX).unwrap();
    let mut large = join(5);
    assert!(!large.has_come());
    turns[1..].iter_mut().for_each(|turn| seen.line.leave(turn, seen.now));
    assert!(large.has_come());
}

#[tokio::test]
async fn whoever_waits_too_long_is_refused_and_leaves_no_trace() {
    let shares = Shares::new(1, None);
    let who = || Who { issuer: "github".to_owned(), subject: vec!["anna".to_owned()], organization: None };
    let place = shares.enter(who(), Method::GetMember).await;
    assert!(matches!(shares.enter(who(), Method::GetMember).await, Err(Error::Overloaded)));
    drop(place);
    assert!(shares.enter(who(), Method::GetMember).await.is_ok());
    assert!(shares.calls.line().is_empty());
}

#[tokio::test]
async fn calls_of_many_rows_take_no_place_of_others_and_leave_one_for_the_next_caller() {
    let shares = Shares::new(MAX, None);
    let who = |name: &str| Who { issuer: "github".to_owned(), subject: vec![name.to_owned()], organization: None };
    let mut held = Vec::new();
    for _ in 1..BULK {
        held.push(shares.enter(who("anna"), Method::BatchCreateInvitations).await.unwrap());
    }
    held.push(shares.enter(who("bert"), Method::RevokeInvitations).await.unwrap());
    assert!(shares.calls.line().is_empty() && !shares.bulk.line().is_empty());
    // the control: other calls are in each other's line
    held.push(shares.enter(who("anna"), Method::ListInvitations).await.unwrap());
    assert!(!shares.calls.line().is_empty());
    drop(held);
    assert!(shares.calls.line().is_empty() && shares.bulk.line().is_empty());
}
