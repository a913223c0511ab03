//! A set of numbers of lines: a bit for each line of a file.

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Lines(Vec<u64>);

impl Lines {
    /// Whether it is new.
    pub(super) fn insert(&mut self, line: u64) -> bool {
        let (word, bit) = place(line);
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        let is_new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        is_new
    }

    pub(super) fn remove(&mut self, line: u64) {
        let (word, bit) = place(line);
        if let Some(bits) = self.0.get_mut(word) {
            *bits &= !bit;
        }
    }

    pub(super) fn contains(&self, line: u64) -> bool {
        let (word, bit) = place(line);
        self.0.get(word).is_some_and(|bits| bits & bit != 0)
    }
}

fn place(line: u64) -> (usize, u64) {
    (usize::try_from(line / 64).unwrap_or(usize::MAX), 1 << (line % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_what_was_put_in() {
        let mut lines = Lines::default();
        for line in [0, 1, 63, 64, 65, 100_000] {
            assert!(!lines.contains(line) && lines.insert(line), "{line}");
            assert!(lines.contains(line) && !lines.insert(line), "{line}");
        }
        lines.remove(64);
        lines.remove(1_000_000);
        assert!(!lines.contains(64) && lines.contains(65));
        assert!(!lines.contains(2) && !lines.contains(1_000_000));
    }
}
