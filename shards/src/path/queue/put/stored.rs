//! Where the messages of a put went.

use ringway_protocol::Level;
use ringway_protocol::reply::{PutOutcome, PutRun, Receipt};

use super::dedup::Stretch;

/// What became of a put.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admission {
    /// It is stored, or was before: [`Stored`] says where.
    Stored,
    /// It waits for room: its answer comes later.
    Held,
}

/// Where the messages of a put went. Reused from one put to the next.
#[derive(Debug, Default)]
pub struct Stored {
    first_sequence: u64,
    count: u32,
    duplicate: bool,
    /// Empty if there is one stretch, of messages stored now or of repeats.
    runs: Vec<PutRun>,
    encoded: Vec<[u8; 16]>,
}

impl Stored {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The sequence of the first message.
    pub fn first_sequence(&self) -> u64 {
        self.first_sequence
    }

    /// How many messages it was.
    #[inline]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether all of it was there already.
    pub fn is_duplicate(&self) -> bool {
        self.duplicate
    }

    /// The stretches in the order of the records.
    pub fn runs(&self) -> impl Iterator<Item = PutRun> {
        let outcome = if self.duplicate { PutOutcome::Duplicate } else { PutOutcome::Stored };
        let (first_sequence, count) = (self.first_sequence, self.count);
        let whole = self.runs.is_empty().then_some(PutRun { first_sequence, count, outcome });
        whole.into_iter().chain(self.runs.iter().copied())
    }

    /// Whether one stretch, stored now, is all there is to say.
    #[inline]
    pub fn is_plain(&self) -> bool {
        self.runs.is_empty() && !self.duplicate
    }

    /// How many messages of it are stored now, and were not before.
    pub fn new_messages(&self) -> u64 {
        let new = self.runs().filter(|run| run.outcome != PutOutcome::Duplicate);
        new.map(|run| u64::from(run.count)).sum()
    }

    /// The receipt that a put's reply carries.
    pub fn receipt(&mut self, level: Level) -> Receipt<'_> {
        if self.runs.is_empty() {
            return Receipt::plain(self.first_sequence, self.count, level, self.duplicate);
        }
        self.encoded.clear();
        self.encoded.extend(self.runs.iter().map(|run| run.to_bytes()));
        Receipt::of_runs(level, &self.encoded)
    }

    /// One stretch, stored now.
    #[inline]
    pub(super) fn set_whole(&mut self, first_sequence: u64, count: u32) {
        (self.first_sequence, self.count) = (first_sequence, count);
        self.duplicate = false;
        self.runs.clear();
    }

    /// Nothing again.
    pub(super) fn clear(&mut self) {
        self.set_whole(0, 0);
    }

    /// What a repeat is answered.
    pub(super) fn repeat(&mut self, stretches: &[Stretch]) {
        self.clear();
        for stretch in stretches {
            for index in 0..u64::from(stretch.count) {
                self.add(stretch.first_sequence + index, PutOutcome::Duplicate);
            }
        }
        self.finish();
    }

    /// One more message.
    pub(super) fn add(&mut self, sequence: u64, outcome: PutOutcome) {
        self.count += 1;
        match self.runs.last_mut() {
            Some(run)
                if run.outcome == outcome
                    && run.first_sequence + u64::from(run.count) == sequence =>
            {
                run.count += 1;
            }
            _ => self.runs.push(PutRun { first_sequence: sequence, count: 1, outcome }),
        }
    }

    /// That was the last message.
    pub(super) fn finish(&mut self) {
        self.first_sequence = self.runs.first().map_or(0, |run| run.first_sequence);
        self.duplicate = self.runs.iter().all(|run| run.outcome == PutOutcome::Duplicate);
        if let [run] = self.runs[..]
            && run.outcome != PutOutcome::Scheduled
        {
            self.runs.clear();
        }
    }

    /// The stretches, to be remembered.
    pub(super) fn stretches(&self) -> impl Iterator<Item = Stretch> {
        self.runs().map(|run| {
            let PutRun { first_sequence, count, outcome } = run;
            Stretch { first_sequence, count, what: outcome as u32 }
        })
    }
}
