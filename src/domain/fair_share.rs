//! How the unsolicited emails that a mailbox gets in a day are divided among the organizations that write to it.

/// How much of the day may be used up, this email included, for an organization's nth email (1, 2, …) to be sent.
///
/// Who has written least comes first: with each email that an organization has sent, a part of the day is left to those
/// that have sent fewer. Alone, it gets all that one organization may send.
pub fn room(day: i32, per_organization: Option<i32>, nth: i32) -> i32 {
    let Some(most) = per_organization else { return day };
    let (day, most, nth) = (i64::from(day), i64::from(most), i64::from(nth));
    let left_to_others = day * (nth - 1) / most;
    i32::try_from((day - left_to_others).max(nth).min(day)).unwrap_or(i32::MAX)
}

/// How many emails that is on one day: the limit, or up to two fifths fewer, as the mailbox's hash of the day has it. Whoever
/// counts what gets through cannot tell what others have sent from what this day lacks.
pub fn of_day(limit: i32, hash: [u8; 32]) -> i32 {
    let [a, b, c, d, ..] = hash;
    let fewest = i64::from(limit) * 2 / 5;
    let missing = i64::from(u32::from_be_bytes([a, b, c, d])) % (fewest + 1);
    limit - i32::try_from(missing).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What one organization after the other gets on a day of that many emails, each as much as it can.
    fn divided(day: i32, per_organization: Option<i32>, organizations: usize) -> Vec<i32> {
        let mut sent = vec![0; organizations];
        for organization in 0..organizations {
            let has_room = |sent: &[i32]| {
                let nth = sent[organization] + 1;
                let used = sent.iter().sum::<i32>() + 1;
                per_organization.is_none_or(|most| nth <= most) && used <= room(day, per_organization, nth)
            };
            while has_room(&sent) {
                sent[organization] += 1;
            }
        }
        sent
    }

    #[test]
    fn who_writes_first_does_not_take_all() {
        // the control: without a share one organization takes the day
        assert_eq!(divided(10, None, 3), [10, 0, 0]);
        let sent = divided(10, Some(3), 12);
        assert_eq!(sent.iter().sum::<i32>(), 10);
        assert_eq!(sent[0], 3);
        assert!(sent[1..].iter().filter(|sent| **sent > 0).count() >= 5, "{sent:?}");
    }

    #[test]
    fn alone_an_organization_gets_its_share_whatever_the_day() {
        for (day, most) in [(1, 3), (2, 3), (3, 3), (6, 3), (10, 3), (10, 10), (10, 20), (1_000_000, 1)] {
            assert_eq!(divided(day, Some(most), 1), [day.min(most)], "{day} {most}");
        }
    }

    #[test]
    fn the_less_an_organization_has_sent_the_more_room_it_has() {
        for (day, most) in [(1, 3), (6, 3), (10, 3), (10, 20), (1_000_000, 1_000_000)] {
            let rooms = (1..=most.min(100)).map(|nth| room(day, Some(most), nth)).collect::<Vec<_>>();
            assert_eq!(rooms[0], day);
            let grows = rooms.windows(2).any(|two| two[1] > two[0] && two[1] > i32::try_from(rooms.len()).unwrap());
            assert!(!grows && rooms.iter().all(|room| (1..=day).contains(room)), "{day} {most}: {rooms:?}");
        }
    }

    #[test]
    fn a_day_has_between_three_fifths_and_all_of_the_limit() {
        let days = |limit| {
            let hash = |n: u32| {
                let mut hash = [0; 32];
                hash[..4].copy_from_slice(&n.wrapping_mul(2_654_435_761).to_be_bytes());
                hash
            };
            let mut days = (0..1_000).map(|n| of_day(limit, hash(n))).collect::<Vec<_>>();
            days.sort_unstable();
            days.dedup();
            days
        };
        assert_eq!(days(10), [6, 7, 8, 9, 10]);
        assert_eq!(days(5), [3, 4, 5]);
        // too few to leave any out
        assert_eq!((days(1), days(2)), (vec![1], vec![2]));
        assert!(days(1_000_000).iter().all(|day| (600_000..=1_000_000).contains(day)));
    }
}
