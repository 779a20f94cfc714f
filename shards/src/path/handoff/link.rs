//! The rings between two shards, as one of them sees them: what is being filled, what goes when.

use super::Handoff;
use crate::limits::HANDOFF_SLOTS;
use crate::stats::ShardStats;
use rtrb::{Consumer, Producer};
use std::collections::VecDeque;

/// The two ends, at one shard, of its rings to and from another.
#[derive(Debug)]
pub(super) struct Link<S> {
    pub(super) to: Producer<Handoff<S>>,
    pub(super) from: Consumer<Handoff<S>>,
    /// Requests that go out with the next batch.
    pub(super) requests: Vec<u8>,
    /// Replies that go out with the next batch.
    pub(super) replies: Vec<u8>,
    /// The change that the replies depend on.
    pub(super) replies_position: u64,
    /// Everything else that goes out, after the batches.
    pub(super) signals: VecDeque<Handoff<S>>,
    /// Buffers that came, less those that went.
    pub(super) surplus: isize,
    /// Whether something was pushed since the doorbell was last considered.
    pub(super) pushed: bool,
}

/// Buffers of another shard that are kept before any goes back: two batches are being filled.
pub(super) const SURPLUS_MAX: isize = 2;

impl<S> Link<S> {
    pub(super) fn new(to: Producer<Handoff<S>>, from: Consumer<Handoff<S>>) -> Self {
        let (requests, replies) = (Vec::new(), Vec::new());
        let signals = VecDeque::new();
        Self {
            to,
            from,
            requests,
            replies,
            replies_position: 0,
            signals,
            surplus: 0,
            pushed: false,
        }
    }

    pub(super) fn push(&mut self, handoff: Handoff<S>) -> Result<(), Handoff<S>> {
        let buffers = isize::from(matches!(handoff, Handoff::Requests(_) | Handoff::Replies(_)));
        match self.to.push(handoff) {
            Ok(()) => {
                self.surplus -= buffers;
                self.pushed = true;
                Ok(())
            }
            // A shard that has ended takes nothing any more, and nobody waits for it to.
            Err(rtrb::PushError::Full(_)) if self.to.is_abandoned() => Ok(()),
            Err(rtrb::PushError::Full(handoff)) => Err(handoff),
        }
    }

    /// Sends the requests gathered so far; `false` if the ring is full.
    pub(super) fn push_requests(&mut self, stats: &ShardStats) -> bool {
        if self.requests.is_empty() {
            return true;
        }
        let batch = Handoff::Requests(std::mem::take(&mut self.requests));
        match self.push(batch) {
            Ok(()) => {
                stats.handoffs_out.add(1);
                true
            }
            Err(Handoff::Requests(batch)) => {
                self.requests = batch;
                false
            }
            Err(_) => unreachable!("a ring returns what it refused"),
        }
    }

    /// Sends the replies gathered so far if they are committed; `false` if any are left.
    pub(super) fn push_replies(&mut self, committed: u64, stats: &ShardStats) -> bool {
        if self.replies.is_empty() {
            return true;
        }
        if self.replies_position > committed {
            return false;
        }
        let batch = Handoff::Replies(std::mem::take(&mut self.replies));
        match self.push(batch) {
            Ok(()) => {
                stats.handoffs_out.add(1);
                true
            }
            Err(Handoff::Replies(batch)) => {
                self.replies = batch;
                false
            }
            Err(_) => unreachable!("a ring returns what it refused"),
        }
    }

    /// Several batches that are answered with one leave buffers here that the other shard would
    /// have to allocate again. They travel in slots that nothing else needs, and nobody is woken
    /// for them.
    pub(super) fn return_surplus(&mut self, spare: &mut Vec<Vec<u8>>) {
        while self.surplus > SURPLUS_MAX && self.to.slots() > HANDOFF_SLOTS / 2 {
            let Some(buffer) = spare.pop() else { break };
            self.surplus -= 1;
            self.to.push(Handoff::Buffer(buffer)).expect("half of the slots are free");
        }
    }
}
