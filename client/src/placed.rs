//! Where a batch went: the answer to a put.

use ringway_protocol::Level;
use ringway_protocol::reply::{PutOutcome, PutRun, Receipt};

/// Where a batch went, and what its acknowledgement means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Placed {
    /// The sequence of the batch's first message in its queue.
    pub first_sequence: u64,
    /// How many messages were put.
    pub count: u32,
    /// What the acknowledgement means.
    pub level: Level,
    /// Whether all of it was there already: this was a repeat.
    pub duplicate: bool,
    runs: Vec<PutRun>,
}

impl Placed {
    /// Copies a receipt out of the receive buffer.
    pub(crate) fn new(receipt: &Receipt<'_>) -> Self {
        let Receipt { first_sequence, count, level, duplicate, .. } = *receipt;
        Self { first_sequence, count, level, duplicate, runs: receipt.runs().collect() }
    }

    /// The stretches of the batch, in the order of its messages: what became of them, and under
    /// which sequences. At least one; a batch of plain messages has exactly one.
    pub fn runs(&self) -> &[PutRun] {
        &self.runs
    }

    /// Each message's sequence and what became of it, in the order of the batch. The sequence of a
    /// scheduled message names it until it is due: with it the message can be removed.
    pub fn messages(&self) -> impl Iterator<Item = (u64, PutOutcome)> + '_ {
        self.runs.iter().flat_map(|run| {
            (0..u64::from(run.count)).map(|index| (run.first_sequence + index, run.outcome))
        })
    }

    /// How many messages had this outcome.
    pub fn count_of(&self, outcome: PutOutcome) -> u32 {
        self.runs.iter().filter(|run| run.outcome == outcome).map(|run| run.count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_of_a_receipt_has_its_sequence_and_outcome() {
        let runs = [(7, 2, PutOutcome::Stored), (3, 1, PutOutcome::Duplicate)].map(
            |(first_sequence, count, outcome)| PutRun { first_sequence, count, outcome }.to_bytes(),
        );
        let placed = Placed::new(&Receipt::of_runs(Level::Memory, &runs));
        let messages: Vec<_> = placed.messages().collect();
        let expected =
            [(7, PutOutcome::Stored), (8, PutOutcome::Stored), (3, PutOutcome::Duplicate)];
        assert_eq!(messages, expected);
        assert_eq!((placed.count, placed.duplicate), (3, false));
        assert_eq!(placed.count_of(PutOutcome::Stored), 2);
        let plain = Placed::new(&Receipt::plain(5, 4, Level::Memory, true));
        assert_eq!((plain.runs().len(), plain.count_of(PutOutcome::Duplicate)), (1, 4));
    }
}
