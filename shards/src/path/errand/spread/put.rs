//! A batch whose messages belong to several parts: each part gets its own, and the receipts become
//! one, in the order of the batch.
//!
//! Each part stores its messages or none. If one refuses, the put is refused, and what other parts
//! have stored stays: repeating such a put does no harm where messages have deduplication ids.

use crate::path::errand::among::PUT_NOW;
use crate::path::errand::runner::Runner;
use crate::path::errand::{Answer, Call, Step};
use ringway_protocol::reply::{self, PUT_RUN_BYTES, PutOutcome, PutRun, Receipt};
use ringway_protocol::request::{Put, put_prefix};
use ringway_protocol::{Frame, Header, Level, Records, Reply, record};

use super::Spread;

/// A put to several parts that is under way. From `base` on, the call keeps for each message the
/// number of its part, one byte each, then for each receipt `part u32 | runs u32 | runs ...`.
#[derive(Clone, Copy, Debug)]
pub struct SplitPut {
    base: usize,
    messages: usize,
}

/// Where the receipts of one part have been read to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cursor {
    /// Where the next run stands.
    at: usize,
    /// Sequence and outcome of the next message.
    next: u64,
    outcome: u32,
    /// Messages left in the run.
    left: u32,
}

impl SplitPut {
    /// Asks every part that gets any of the messages; `default` gets those that belong nowhere.
    pub(in crate::path::errand) fn begin<S>(
        runner: &mut Runner<'_, S>,
        call: &mut Call,
        put: (&Put<'_>, &Spread, usize),
    ) -> Self {
        let (base, messages) = (call.kept.len(), put.0.records.count() as usize);
        Self::ask(runner, call, put, 0);
        Self { base, messages }
    }

    /// The same, with `number` added to those of the parts; the call keeps where each message went.
    pub(in crate::path::errand) fn ask<S>(
        runner: &mut Runner<'_, S>,
        call: &mut Call,
        (put, spread, default): (&Put<'_>, &Spread, usize),
        number: u32,
    ) {
        let base = call.kept.len();
        let part_of = |record| spread.of(&record, default) as u8;
        runner.errands.keep_all(call, put.records.iter().map(part_of));
        let places = std::mem::take(&mut call.kept);
        for (index, part) in spread.parts.iter().enumerate() {
            let mine = || places[base..].iter().map(|place| usize::from(*place) == index);
            let count = mine().filter(|is_mine| *is_mine).count() as u32;
            if count > 0 {
                let asked = (part.shard(), number + index as u32);
                runner.ask(call, asked, PUT_NOW, |out| {
                    put_prefix(out, *part, count);
                    some_of(put.records, mine(), out);
                });
            }
        }
        call.kept = places;
    }

    /// Keeps a part's receipt; `false` if it refused.
    pub(in crate::path::errand) fn heard<S>(
        &self,
        runner: &mut Runner<'_, S>,
        call: &mut Call,
        answer: Answer<'_>,
    ) -> bool {
        let Ok(Reply::Put(receipt)) = Reply::decode(answer.frame) else { return false };
        let runs = receipt.runs().count() as u32;
        runner.errands.keep(call, &answer.part.to_le_bytes());
        runner.errands.keep(call, &runs.to_le_bytes());
        receipt.runs().for_each(|run| runner.errands.keep(call, &run.to_bytes()));
        true
    }

    /// Gives `use_it` the receipt of the whole batch, in its order.
    pub(in crate::path::errand) fn with_receipt<S>(
        &self,
        runner: &mut Runner<'_, S>,
        call: &Call,
        use_it: impl FnOnce(&mut Runner<'_, S>, &Receipt<'_>),
    ) {
        let mut runs = std::mem::take(&mut runner.errands.runs);
        self.gather(&mut runner.errands.cursors, call, &mut runs);
        use_it(runner, &Receipt::of_runs(Level::Memory, &runs));
        runs.clear();
        runner.errands.runs = runs;
    }

    /// The stretches of the batch, from those of the parts.
    fn gather(&self, cursors: &mut Vec<Cursor>, call: &Call, runs: &mut Vec<[u8; PUT_RUN_BYTES]>) {
        let kept = &call.kept[self.base..];
        let (places, receipts) = kept.split_at(self.messages);
        cursors.clear();
        cursors.resize(1 + places.iter().copied().max().map_or(0, usize::from), Cursor::default());
        let mut at = 0;
        while at < receipts.len() {
            let (part, count) = (word(receipts, at) as u32, (word(receipts, at) >> 32) as usize);
            cursors[part as usize].at = at + 8;
            at += 8 + count * PUT_RUN_BYTES;
        }
        let mut last: Option<PutRun> = None;
        for place in places {
            let (sequence, outcome) = cursors[usize::from(*place)].step(receipts);
            match &mut last {
                Some(run)
                    if run.outcome == outcome
                        && run.first_sequence + u64::from(run.count) == sequence =>
                {
                    run.count += 1;
                }
                _ => {
                    let next = PutRun { first_sequence: sequence, count: 1, outcome };
                    runs.extend(last.replace(next).map(PutRun::to_bytes));
                }
            }
        }
        runs.extend(last.map(PutRun::to_bytes));
    }
}

impl Cursor {
    /// The next message's sequence and outcome.
    fn step(&mut self, receipts: &[u8]) -> (u64, PutOutcome) {
        if self.left == 0 {
            let counts = word(receipts, self.at + 8);
            self.next = word(receipts, self.at);
            (self.left, self.outcome) = (counts as u32, (counts >> 32) as u32);
            self.at += PUT_RUN_BYTES;
        }
        let sequence = self.next;
        self.next += 1;
        self.left -= 1;
        let outcome = match self.outcome {
            0 => PutOutcome::Stored,
            1 => PutOutcome::Duplicate,
            _ => PutOutcome::Scheduled,
        };
        (sequence, outcome)
    }
}

/// The eight bytes at a place.
fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"))
}

/// Appends those records that are wanted.
fn some_of(records: Records<'_>, wanted: impl Iterator<Item = bool>, out: &mut Vec<u8>) {
    let mut rest = records.as_bytes();
    for wanted in wanted {
        let (one, after) = rest.split_at(record::record_bytes(rest));
        if wanted {
            out.extend_from_slice(one);
        }
        rest = after;
    }
}

/// A put to several parts, and nothing else.
#[derive(Debug)]
pub(in crate::path::errand) struct SpreadPut {
    split: SplitPut,
    /// The reply of the first part that refused.
    refusal: Option<(Header, Box<[u8]>)>,
}

impl SpreadPut {
    pub(in crate::path::errand) fn begin<S>(
        runner: &mut Runner<'_, S>,
        call: &mut Call,
        put: (&Put<'_>, &Spread, usize),
    ) -> (Self, Step) {
        let split = SplitPut::begin(runner, call, put);
        (Self { split, refusal: None }, Step::Wait)
    }

    pub(in crate::path::errand) fn heard<S>(
        &mut self,
        runner: &mut Runner<'_, S>,
        call: &mut Call,
        answer: Answer<'_>,
    ) -> Step {
        if !self.split.heard(runner, call, answer) && self.refusal.is_none() {
            self.refusal = Some((answer.frame.header, answer.frame.body.into()));
        }
        if call.open > 0 {
            return Step::Wait;
        }
        match &self.refusal {
            Some((header, sentence)) => {
                runner.pass_on(call, Frame { header: *header, body: sentence });
            }
            None => {
                self.split.with_receipt(runner, call, |runner, receipt| {
                    runner.reply(call, 0, |out, ids| reply::receipt(out, ids, receipt));
                });
            }
        }
        Step::Done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::errand::{Errands, Origin};
    use ringway_protocol::Kind;

    #[test]
    fn receipts_of_parts_become_one_in_the_order_of_the_batch() {
        let origin = Origin { shard: 0, peer: 1, stream: 0, request: 0 };
        let mut call = Errands::default().open(origin, Kind::Put);
        call.kept = b"kept before".to_vec();
        let base = call.kept.len();
        let places = [0, 2, 2, 0, 0, 2, 0];
        call.kept.extend_from_slice(&places);
        let run = |first_sequence, count, outcome| PutRun { first_sequence, count, outcome };
        let receipts = [
            (2_u32, vec![run(90, 3, PutOutcome::Stored)]),
            (0, vec![run(5, 1, PutOutcome::Duplicate), run(40, 3, PutOutcome::Stored)]),
        ];
        for (part, runs) in receipts {
            call.kept.extend_from_slice(&part.to_le_bytes());
            call.kept.extend_from_slice(&(runs.len() as u32).to_le_bytes());
            runs.iter().for_each(|run| call.kept.extend_from_slice(&run.to_bytes()));
        }
        let (mut cursors, mut runs) = (Vec::new(), Vec::new());
        SplitPut { base, messages: places.len() }.gather(&mut cursors, &call, &mut runs);
        let found: Vec<_> = Receipt::of_runs(Level::Memory, &runs).runs().collect();
        let expected = [
            run(5, 1, PutOutcome::Duplicate),
            run(90, 2, PutOutcome::Stored),
            run(40, 2, PutOutcome::Stored),
            run(92, 1, PutOutcome::Stored),
            run(42, 1, PutOutcome::Stored),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn each_part_gets_its_own_records() {
        let mut bytes = Vec::new();
        for payload in [&b"one"[..], b"", b"three"] {
            record::write(&mut bytes, &[], payload);
        }
        let records = Records::parse(&bytes, 3).expect("valid records");
        let mut some = Vec::new();
        some_of(records, [true, false, true].into_iter(), &mut some);
        let some = Records::parse(&some, 2).expect("valid records");
        let payloads: Vec<_> = some.iter().map(|record| record.payload).collect();
        assert_eq!(payloads, [&b"one"[..], b"three"]);
    }
}
