//! Which messages of a segment are done.
//!
//! A message is *gone* when no group needs it any more. With one group that is its settlement; with
//! several, each message counts the groups that are not done with it yet. The counts of a segment
//! exist from the first settlement with several groups on: before it, every group needs every
//! message that is not gone and not before the group's start.

/// The bits and counts of one segment. Missing bits are zero; counts are there for all messages or
/// for none.
#[derive(Debug, Default)]
pub struct Done {
    gone: Vec<u64>,
    left: Vec<u16>,
}

impl Done {
    /// Forgets everything and keeps the memory.
    #[inline]
    pub fn clear(&mut self) {
        self.gone.clear();
        self.left.clear();
    }

    /// Whether the groups of each message are counted.
    #[inline]
    pub fn is_shared(&self) -> bool {
        !self.left.is_empty()
    }

    #[inline]
    pub fn is_gone(&self, index: u32) -> bool {
        let word = self.gone.get(index as usize / 64).copied().unwrap_or(0);
        word >> (index % 64) & 1 == 1
    }

    /// How many messages from an index on are gone, if `gone`, or not gone, up to `end`.
    pub fn alike(&self, index: u32, end: u32, gone: bool) -> u32 {
        let mut at = index;
        while at < end {
            let word = self.gone.get(at as usize / 64).copied().unwrap_or(0);
            let word = if gone { word } else { !word } >> (at % 64);
            let run = word.trailing_ones().min(64 - at % 64);
            at += run;
            if run == 0 || !at.is_multiple_of(64) {
                break;
            }
        }
        at.min(end) - index
    }

    /// Marks messages gone. They must not have been.
    #[inline]
    pub fn mark(&mut self, first: u32, count: u32) {
        let (first, end) = (first as usize, (first + count) as usize);
        let words = end.div_ceil(64);
        if self.gone.len() < words {
            self.gone.resize(words, 0);
        }
        for word in first / 64..words {
            let from = first.max(word * 64) % 64;
            let mask = ones(end.min((word + 1) * 64) - word * 64) & !ones(from);
            debug_assert_eq!(self.gone[word] & mask, 0, "a message goes once");
            self.gone[word] |= mask;
        }
    }

    /// Begins to count: `needed_by` says how many groups need the message of an index.
    #[cold]
    pub fn share(&mut self, messages: u32, needed_by: impl Fn(u32) -> u16) {
        debug_assert!(!self.is_shared());
        self.left.reserve(messages as usize);
        for index in 0..messages {
            let left = if self.is_gone(index) { 0 } else { needed_by(index) };
            self.left.push(left);
        }
    }

    /// Counts the groups of messages that were appended.
    #[inline]
    pub fn extend(&mut self, messages: u32, groups: u16) {
        if self.is_shared() {
            self.left.resize(messages as usize, groups);
        }
    }

    /// How many groups are not done with a message of a segment whose groups are counted.
    pub fn left(&self, index: u32) -> u16 {
        self.left[index as usize]
    }

    /// One more group needs the messages from an index on that are not gone.
    pub fn join(&mut self, from: u32) {
        for index in from..self.left.len() as u32 {
            if !self.is_gone(index) {
                self.left[index as usize] += 1;
            }
        }
    }

    /// One group is done with messages. Visits the stretches that no group needs any more, in
    /// order; the caller marks them.
    pub fn finish(&mut self, first: u32, count: u32, mut visit: impl FnMut(u32, u32)) {
        let (mut run, mut from) = (0, first);
        for (index, left) in (first..).zip(&mut self.left[first as usize..][..count as usize]) {
            assert!(*left > 0, "a group is done with a message once");
            *left -= 1;
            if *left == 0 {
                if run == 0 {
                    from = index;
                }
                run += 1;
            } else if run > 0 {
                visit(from, run);
                run = 0;
            }
        }
        if run > 0 {
            visit(from, run);
        }
    }
}

/// The lowest `count` bits, up to 64.
#[inline]
fn ones(count: usize) -> u64 {
    if count == 64 { u64::MAX } else { (1 << count) - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_that_are_alike_cross_words() {
        let mut done = Done::default();
        done.mark(10, 100);
        assert_eq!(done.alike(0, 500, false), 10);
        assert_eq!(done.alike(10, 500, true), 100);
        assert_eq!(done.alike(10, 50, true), 40);
        assert_eq!(done.alike(110, 500, false), 390);
        assert_eq!(done.alike(110, 500, true), 0);
        assert_eq!(done.alike(64, 64, true), 0);
    }

    #[test]
    fn a_message_goes_when_its_last_group_is_done() {
        let mut done = Done::default();
        done.mark(0, 2);
        done.share(6, |index| if index < 4 { 1 } else { 2 });
        let mut finish = |first, count| {
            let mut seen = Vec::new();
            done.finish(first, count, |first, count| seen.push((first, count)));
            seen
        };
        assert_eq!(finish(3, 3), [(3, 1)]);
        assert_eq!(finish(4, 1), [(4, 1)]);
        assert_eq!(finish(2, 1), [(2, 1)]);
        assert_eq!(finish(5, 1), [(5, 1)]);
    }

    #[test]
    fn a_group_that_joins_needs_what_is_not_gone() {
        let mut done = Done::default();
        done.mark(1, 1);
        done.share(3, |_| 1);
        done.join(0);
        done.extend(4, 2);
        let mut seen = Vec::new();
        done.finish(2, 2, |first, count| seen.push((first, count)));
        assert_eq!(seen, []);
        done.finish(2, 2, |first, count| seen.push((first, count)));
        assert_eq!(seen, [(2, 2)]);
    }
}
