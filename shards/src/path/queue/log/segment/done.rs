//! Which messages of a segment are done.
//!
//! A message is *gone* when no group needs it any more. With one group that is its settlement; with
//! several, each message counts the groups that are not done with it yet. The counts of a segment
//! exist from the first settlement with several groups on: before it, every group needs every
//! message that is not gone and not before the group's start.
//!
//! In a queue that keeps what is done, a message that is gone comes back for a group that is made
//! later, unless it is *erased* as well. Elsewhere what is gone is erased, and not noted twice.

use crate::world::prefetch;

/// The bits and counts of one segment. Missing bits are zero; counts are there for all messages or
/// for none.
#[derive(Debug, Default)]
pub struct Done {
    gone: Vec<u64>,
    left: Vec<u16>,
    /// Whether messages are kept that are gone, and which of them are not.
    keeps: bool,
    erased: Vec<u64>,
    /// Which of those that are not gone a replay brought back.
    revived: Vec<u64>,
}

impl Done {
    /// Forgets everything and keeps the memory.
    #[inline]
    pub fn clear(&mut self) {
        self.gone.clear();
        self.left.clear();
        self.keeps = false;
        self.erased.clear();
        self.revived.clear();
    }

    /// Keeps what goes from now on; what has gone is erased.
    pub fn begin_keeping(&mut self) {
        self.keeps = true;
        self.erased.clone_from(&self.gone);
    }

    /// Erases what is kept, and keeps nothing from now on.
    pub fn stop_keeping(&mut self) {
        self.keeps = false;
        self.erased = Vec::new();
    }

    /// Whether messages are kept that are gone.
    #[inline]
    pub fn keeps(&self) -> bool {
        self.keeps
    }

    /// Whether a message is gone and not kept.
    #[inline]
    pub fn is_erased(&self, index: u32) -> bool {
        bit(if self.keeps { &self.erased } else { &self.gone }, index)
    }

    /// Whether a message is gone and kept.
    pub fn is_kept(&self, index: u32) -> bool {
        self.keeps && self.is_gone(index) && !bit(&self.erased, index)
    }

    /// Keeps a message no longer that is gone.
    pub fn erase(&mut self, index: u32) {
        debug_assert!(self.is_kept(index));
        set(&mut self.erased, index, 1);
    }

    /// Brings a message back that is kept: nobody needs it yet.
    pub fn revive(&mut self, index: u32) {
        debug_assert!(self.is_kept(index));
        self.gone[index as usize / 64] &= !(1 << (index % 64));
        set(&mut self.revived, index, 1);
        if let Some(left) = self.left.get_mut(index as usize) {
            *left = 0;
        }
    }

    /// Whether a replay brought a message back that is not gone again.
    pub fn is_revived(&self, index: u32) -> bool {
        bit(&self.revived, index)
    }

    /// Messages are gone; says how many of them a replay had brought back.
    pub fn end_revival(&mut self, first: u32, count: u32) -> u32 {
        let mut ended = 0;
        for index in first..first + count {
            if self.is_revived(index) {
                self.revived[index as usize / 64] &= !(1 << (index % 64));
                ended += 1;
            }
        }
        ended
    }

    /// Whether the groups of each message are counted.
    #[inline]
    pub fn is_shared(&self) -> bool {
        !self.left.is_empty()
    }

    #[inline]
    pub fn is_gone(&self, index: u32) -> bool {
        bit(&self.gone, index)
    }

    /// Asks for what [`Done::is_gone`] reads.
    #[inline]
    pub fn prefetch(&self, index: u32) {
        if let Some(word) = self.gone.get(index as usize / 64) {
            prefetch(word);
        }
    }

    /// How many messages from an index on are gone, if `gone`, or not gone, up to `end`.
    pub fn alike(&self, index: u32, end: u32, gone: bool) -> u32 {
        alike(&self.gone, index, end, gone)
    }

    /// How many messages from an index on are erased, and how many follow them that are not, up to
    /// `end`.
    pub fn next_of_use(&self, index: u32, end: u32) -> (u32, u32) {
        let bits = if self.keeps { &self.erased } else { &self.gone };
        let erased = alike(bits, index, end, true);
        (erased, alike(bits, index + erased, end, false))
    }

    /// Marks messages gone. They must not have been.
    #[inline(always)]
    pub fn mark(&mut self, first: u32, count: u32) {
        set(&mut self.gone, first, count);
    }

    /// Begins to count: each group needs the messages from an index on that are not gone.
    #[cold]
    pub fn share(&mut self, messages: u32, groups: impl Iterator<Item = u32>) {
        debug_assert!(!self.is_shared());
        self.left.resize(messages as usize, 0);
        for from in groups {
            self.left[messages.min(from) as usize..].iter_mut().for_each(|left| *left += 1);
        }
        let mut at = self.alike(0, messages, false);
        while at < messages {
            let gone = self.alike(at, messages, true);
            self.left[at as usize..(at + gone) as usize].fill(0);
            at += gone;
            at += self.alike(at, messages, false);
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
        let counts = &mut self.left[first as usize..][..count as usize];
        let (mut least, mut most) = (u16::MAX, 0);
        for left in &mut *counts {
            (least, most) = (least.min(*left), most.max(*left));
            *left = left.wrapping_sub(1);
        }
        assert!(least > 0, "a group is done with a message once");
        if most == 1 {
            return visit(first, count);
        }
        let mut at = if least == 1 { 0 } else { counts.len() };
        while at < counts.len() {
            let stretch = counts[at..].iter().take_while(|left| **left == 0).count();
            if stretch > 0 {
                visit(first + at as u32, stretch as u32);
            }
            at += stretch;
            at += counts[at..].iter().take_while(|left| **left > 0).count();
        }
    }
}

#[inline]
fn bit(bits: &[u64], index: u32) -> bool {
    bits.get(index as usize / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
}

/// How many bits from one on are set, if `set`, or not set, up to `end`.
fn alike(bits: &[u64], index: u32, end: u32, set: bool) -> u32 {
    let mut at = index;
    while at < end {
        let word = bits.get(at as usize / 64).copied().unwrap_or(0);
        let word = if set { word } else { !word } >> (at % 64);
        let run = word.trailing_ones().min(64 - at % 64);
        at += run;
        if run == 0 || !at.is_multiple_of(64) {
            break;
        }
    }
    at.min(end) - index
}

/// Sets bits that must not have been set.
#[inline(always)]
fn set(bits: &mut Vec<u64>, first: u32, count: u32) {
    if count == 1
        && let Some(word) = bits.get_mut(first as usize / 64)
    {
        debug_assert_eq!(*word >> (first % 64) & 1, 0, "a message goes once");
        *word |= 1 << (first % 64);
    } else {
        set_run(bits, first as usize, (first + count) as usize);
    }
}

fn set_run(bits: &mut Vec<u64>, first: usize, end: usize) {
    let words = end.div_ceil(64);
    if bits.len() < words {
        bits.resize(words, 0);
    }
    for (word, bits) in bits.iter_mut().enumerate().take(words).skip(first / 64) {
        let from = first.max(word * 64) % 64;
        let mask = ones(end.min((word + 1) * 64) - word * 64) & !ones(from);
        debug_assert_eq!(*bits & mask, 0, "a message goes once");
        *bits |= mask;
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
        done.share(6, [0, 4].into_iter());
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
    fn what_is_kept_comes_back_and_what_is_erased_does_not() {
        let mut done = Done::default();
        done.mark(0, 1);
        done.begin_keeping();
        done.mark(2, 3);
        done.erase(3);
        let kept: Vec<u32> = (0..6).filter(|index| done.is_kept(*index)).collect();
        let erased: Vec<u32> = (0..6).filter(|index| done.is_erased(*index)).collect();
        assert_eq!((kept, erased), (vec![2, 4], vec![0, 3]));
        done.share(6, [0, 0].into_iter());
        done.revive(4);
        done.join(0);
        assert_eq!((4..6).map(|index| done.left(index)).collect::<Vec<_>>(), [1, 3]);
        assert!(!done.is_gone(4) && done.is_gone(2));
        done.stop_keeping();
        assert!(done.is_erased(2) && !done.is_kept(2));
    }

    #[test]
    fn a_group_that_joins_needs_what_is_not_gone() {
        let mut done = Done::default();
        done.mark(1, 1);
        done.share(3, [0].into_iter());
        done.join(0);
        done.extend(4, 2);
        let mut seen = Vec::new();
        done.finish(2, 2, |first, count| seen.push((first, count)));
        assert_eq!(seen, []);
        done.finish(2, 2, |first, count| seen.push((first, count)));
        assert_eq!(seen, [(2, 2)]);
    }
}
