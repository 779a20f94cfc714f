//! What one thread counts: operations, refusals, failures, latencies, and where messages went.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;

use hdrhistogram::Histogram;
use ringway_client::{Code, Level};

use crate::load::control::Published;

/// What a latency is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Measured {
    /// A put, from its intended sending to its reply.
    Put,
    /// A take.
    Take,
    /// An acknowledgement.
    Ack,
    /// Messages given back.
    Nack,
    /// An echo.
    Echo,
    /// Messages pushed, from the sending of their put.
    Push,
    /// Put, take and acknowledgement of a batch together.
    Operation,
}

impl Measured {
    /// Every one, in the order of the histograms.
    pub const ALL: [Measured; 7] = [
        Measured::Put,
        Measured::Take,
        Measured::Ack,
        Measured::Nack,
        Measured::Echo,
        Measured::Push,
        Measured::Operation,
    ];

    /// The word of the reports.
    pub fn as_str(self) -> &'static str {
        ["put", "take", "ack", "nack", "echo", "push", "operation"][self as usize]
    }
}

/// Longest latency that is told from longer ones: an hour, in nanoseconds.
const LATENCY_NS_MAX: u64 = 3_600_000_000_000;

/// Histograms by what they are of. Replies to requests that were sent together are recorded
/// together, so that a reply costs a comparison and not a histogram's arithmetic.
pub struct Latencies {
    histograms: Vec<Histogram<u64>>,
    /// By [`Measured`]: a time of sending, and how many replies to requests of that time came.
    pending: [(u64, u64); Measured::ALL.len()],
}

impl Default for Latencies {
    fn default() -> Self {
        let histogram =
            || Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3).expect("1 < an hour, and 3 digits");
        let histograms = Measured::ALL.iter().map(|_| histogram()).collect();
        Self { histograms, pending: [(0, 0); Measured::ALL.len()] }
    }
}

impl Latencies {
    /// A reply, read at `now_ns`, to a request of `sent_ns`.
    #[inline]
    pub fn note(&mut self, what: Measured, sent_ns: u64, now_ns: u64) {
        let (pending_ns, count) = &mut self.pending[what as usize];
        if *pending_ns == sent_ns {
            *count += 1;
            return;
        }
        let earlier = (*pending_ns, *count);
        (*pending_ns, *count) = (sent_ns, 1);
        self.record(what, earlier, now_ns);
    }

    /// The batch of replies that was read at `now_ns` is over.
    #[inline]
    pub fn settle(&mut self, now_ns: u64) {
        for what in Measured::ALL {
            let pending = std::mem::take(&mut self.pending[what as usize]);
            self.record(what, pending, now_ns);
        }
    }

    #[inline]
    fn record(&mut self, what: Measured, (sent_ns, count): (u64, u64), now_ns: u64) {
        if count > 0 {
            let latency = now_ns.saturating_sub(sent_ns);
            self.histograms[what as usize].saturating_record_n(latency, count);
        }
    }

    /// The histogram of one kind of request.
    pub fn of(&self, what: Measured) -> &Histogram<u64> {
        &self.histograms[what as usize]
    }

    /// Adds another thread's.
    pub fn add(&mut self, other: &Latencies) {
        for (mine, theirs) in self.histograms.iter_mut().zip(&other.histograms) {
            mine.add(theirs).expect("both have the same bounds");
        }
    }
}

/// How often one code refused, and its sentence the first time.
#[derive(Clone, Debug, Default)]
pub struct Refusal {
    /// Requests refused.
    pub requests: u64,
    /// The server's sentence.
    pub sentence: String,
}

/// Most sentences of failures that are kept.
const SENTENCES_MAX: usize = 8;

/// Everything that one thread counts.
#[derive(Default)]
pub struct Tally {
    /// Operations done, in messages.
    pub messages: u64,
    /// Replies that were no refusal.
    pub requests: u64,
    /// Messages of refused requests.
    pub refused: u64,
    /// Messages of failed requests.
    pub failed: u64,
    /// Messages delivered more than once, as their delivery count says.
    pub redelivered: u64,
    /// Messages given back.
    pub nacked: u64,
    /// Operations done, by the shard that owns the queue.
    pub by_shard: Vec<u64>,
    /// The lowest level of acknowledgement seen.
    pub level: Option<Level>,
    /// Refusals by the number of their code.
    pub refusals: BTreeMap<u16, Refusal>,
    /// What failed, in sentences.
    pub sentences: Vec<String>,
    /// Whether latencies are kept.
    pub recording: bool,
    /// The latencies.
    pub latencies: Latencies,
}

impl Tally {
    /// `messages` operations were done on a queue of `shard`.
    #[inline]
    pub fn done(&mut self, shard: usize, messages: u32) {
        self.messages += u64::from(messages);
        self.by_shard[shard] += u64::from(messages);
    }

    /// A reply came that was no refusal.
    #[inline]
    pub fn reply(&mut self, what: Measured, sent_ns: u64, now_ns: u64) {
        self.requests += 1;
        if self.recording {
            self.latencies.note(what, sent_ns, now_ns);
        }
    }

    /// A put was acknowledged at a level.
    #[inline]
    pub fn acknowledged(&mut self, level: Level) {
        if self.level != Some(level) {
            self.level = Some(self.level.map_or(level, |lowest| lowest.min(level)));
        }
    }

    /// A request of so many messages was refused.
    #[cold]
    pub fn refuse(&mut self, code: Code, sentence: &str, messages: u32) {
        self.refused += u64::from(messages.max(1));
        let refusal = self.refusals.entry(code as u16).or_default();
        refusal.requests += 1;
        if refusal.sentence.is_empty() {
            sentence.clone_into(&mut refusal.sentence);
        }
    }

    /// So many messages have an unknown fate or a wrong reply.
    #[cold]
    pub fn fail(&mut self, messages: u64, sentence: &str) {
        self.failed += messages;
        if self.sentences.len() < SENTENCES_MAX && !self.sentences.iter().any(|old| old == sentence)
        {
            self.sentences.push(sentence.to_owned());
        }
    }

    /// Lets the coordinator see the counters.
    #[inline]
    pub fn publish(&self, to: &Published) {
        to.messages.store(self.messages, Relaxed);
        to.requests.store(self.requests, Relaxed);
        to.refused.store(self.refused, Relaxed);
        to.failed.store(self.failed, Relaxed);
        for (counter, messages) in to.by_shard.iter().zip(&self.by_shard) {
            counter.store(*messages, Relaxed);
        }
    }

    /// Adds another thread's.
    pub fn add(&mut self, other: &Tally) {
        self.messages += other.messages;
        self.requests += other.requests;
        self.refused += other.refused;
        self.redelivered += other.redelivered;
        self.nacked += other.nacked;
        if let Some(level) = other.level {
            self.acknowledged(level);
        }
        for (code, theirs) in &other.refusals {
            let refusal = self.refusals.entry(*code).or_default();
            refusal.requests += theirs.requests;
            refusal.sentence.clone_from(&theirs.sentence);
        }
        self.failed += other.failed;
        other.sentences.iter().for_each(|sentence| self.fail(0, sentence));
        self.latencies.add(&other.latencies);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_of_requests_sent_together_are_counted_each() {
        let mut latencies = Latencies::default();
        for sent in [100, 100, 100, 200, 100] {
            latencies.note(Measured::Put, sent, 1100);
        }
        latencies.note(Measured::Take, 600, 1100);
        latencies.settle(1100);
        let puts = latencies.of(Measured::Put);
        assert_eq!((puts.len(), puts.max(), puts.min()), (5, 1000, 900));
        assert_eq!(latencies.of(Measured::Take).len(), 1);
    }
}
