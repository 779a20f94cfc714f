//! An errand that moves messages from one queue to another, on whatever shards they live: taken
//! under a lease, put, and acknowledged when the put is held. So nothing is lost on the way; a
//! message whose lease runs out meanwhile is there twice. What the other queue refuses goes back as
//! if it had not been taken.
//!
//! Without a queue to move to, each message goes to the one that its header `ringway-queue` names:
//! those of one name together, name after name. If that queue is not there, it has another name
//! now: dead letters go to the queue whose they are.
//!
//! Of a spread queue, one part is moved after the other; the next request for the same goes on with
//! the part where this one stopped.

mod batch;

use super::among::{EACH, GIVE, Given, each, given};
use super::runner::Runner;
use super::{Answer, Call, Step};
use crate::path::perform::Performer;
use batch::{Batch, Standing};
use ringway_protocol::name::shard_of;
use ringway_protocol::reply::{self, Moved};
use ringway_protocol::{Kind, QueueId, Records, Reply, request};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// What is moved, and how far it has come. The call keeps the request's body, then the records.
#[derive(Debug)]
pub(super) struct Move {
    /// The parts of the queue, or the queue.
    parts: Vec<QueueId>,
    /// Which of them has its messages moved now; those before have nothing.
    at: usize,
    /// What is moved: a request for the same goes on where this one stops.
    digest: u64,
    /// The queue whose dead letters these are, for those that name one that is not there.
    base: Option<QueueId>,
    to: Option<QueueId>,
    redrive: bool,
    batch: Option<Batch>,
    more: bool,
}

/// Where the body of a move says which messages are moved.
const FILTER_AT: usize = 24;

/// The questions, in their order; the last three come again for each queue that is named.
const TAKE: u32 = 0;
const OPEN: u32 = 1;
const PUT: u32 = 2;
const ACK: u32 = 3;

impl Move {
    pub fn begin<S>(
        runner: &mut Runner<'_, S>,
        call: &mut Call,
        (wanted, parts): (&request::Move<'_>, Vec<QueueId>),
        body: &[u8],
    ) -> (Self, Step) {
        let request::Move { to, redrive, group, .. } = *wanted;
        let digest = xxh3_64_with_seed(&body[FILTER_AT..], group.0.into());
        let Performer { spreads, now, .. } = &runner.performer;
        let at = spreads.move_goes_on_at(parts[0], digest, now.ms()).min(parts.len() - 1);
        runner.errands.keep(call, body);
        let (batch, base, more) = (None, None, false);
        let task = Self { parts, at, digest, base, to, redrive, batch, more };
        let step = task.ask(runner, call);
        (task, step)
    }

    fn from(&self) -> QueueId {
        self.parts[self.at]
    }

    fn ask<S>(&self, runner: &mut Runner<'_, S>, call: &mut Call) -> Step {
        let body = std::mem::take(&mut call.kept);
        let from = self.from();
        runner.ask(call, (from.shard(), TAKE), GIVE, |out| {
            out.extend_from_slice(&from.0.to_le_bytes());
            out.extend_from_slice(&body[8..]);
        });
        call.kept = body;
        Step::Wait
    }

    pub fn heard<S>(
        &mut self,
        runner: &mut Runner<'_, S>,
        call: &mut Call,
        answer: Answer<'_>,
    ) -> Step {
        let refused = answer.frame.header.code != 0;
        match (answer.part, &mut self.batch) {
            (TAKE, _) if refused => {
                runner.pass_on(call, answer.frame);
                Step::Done
            }
            (TAKE, _) => self.taken(runner, call, answer),
            (OPEN, _) => match Reply::decode(answer.frame) {
                Ok(Reply::Opened { queue }) => self.put(runner, call, queue),
                _ => match self.base {
                    Some(base) => self.put(runner, call, base),
                    None => self.refused(runner, call),
                },
            },
            (PUT, Some(batch)) => {
                batch.note(answer.frame.body);
                match batch.count(Standing::Put) {
                    0 => self.next(runner, call),
                    _ if answer.shard == runner.here() => Step::Commit,
                    _ => self.settle(runner, call),
                }
            }
            (_, batch) => {
                batch.iter_mut().for_each(|batch| batch.settle(Standing::Moved));
                self.next(runner, call)
            }
        }
    }

    fn taken<S>(
        &mut self,
        runner: &mut Runner<'_, S>,
        call: &mut Call,
        answer: Answer<'_>,
    ) -> Step {
        let given = given(answer.frame).expect("shards speak one protocol");
        let Given { delivery, more, base } = given;
        if delivery.count() == 0 && !more && self.at + 1 < self.parts.len() {
            self.at += 1;
            return self.ask(runner, call);
        }
        self.base = base;
        self.batch = Some(Batch::new(&delivery));
        self.more = more;
        call.kept.clear();
        call.kept.extend_from_slice(delivery.records.map_or(&[], |records| records.as_bytes()));
        self.next(runner, call)
    }

    /// Begins to move what is left, or ends.
    fn next<S>(&mut self, runner: &mut Runner<'_, S>, call: &mut Call) -> Step {
        let batch = self.batch.as_mut().expect("messages were taken before");
        if let Some(to) = self.to {
            batch.put_all();
            if batch.count(Standing::Put) > 0 {
                return self.put(runner, call, to);
            }
        } else if let Some(name) = batch.put_next(&call.kept) {
            let name = name.to_owned();
            let shard = shard_of(&name, runner.handoffs.shards());
            let body = |out: &mut Vec<u8>| out.extend_from_slice(name.as_bytes());
            runner.ask(call, (shard, OPEN), Kind::Open as u8, body);
            return Step::Wait;
        }
        self.finish(runner, call)
    }

    fn put<S>(&mut self, runner: &mut Runner<'_, S>, call: &mut Call, mut to: QueueId) -> Step {
        let batch = self.batch.as_mut().expect("messages were taken before");
        if let Some(spread) = runner.performer.spreads.get(to).cloned() {
            // One part after the other.
            let turn = runner.performer.spreads.turn();
            let default = spread.on(runner.here()).unwrap_or(turn % spread.parts.len());
            to = spread.parts[batch.narrow(&call.kept, |record| spread.of(record, default))];
        }
        let mut bytes = Vec::new();
        let count = batch.write(&call.kept, self.redrive, &mut bytes);
        match Records::parse(&bytes, count) {
            Ok(records) if to.shard() < runner.handoffs.shards() => {
                runner.ask(call, (to.shard(), PUT), EACH, |out| each(out, to, records));
                Step::Wait
            }
            _ => self.refused(runner, call),
        }
    }

    fn refused<S>(&mut self, runner: &mut Runner<'_, S>, call: &mut Call) -> Step {
        self.batch.iter_mut().for_each(|batch| batch.settle(Standing::Refused));
        self.next(runner, call)
    }

    /// The put is held and committed: what was put is acknowledged where it came from.
    pub fn settle<S>(&self, runner: &mut Runner<'_, S>, call: &mut Call) -> Step {
        let batch = self.batch.as_ref().expect("messages were taken before");
        let ranges = batch.ranges();
        let from = self.from();
        runner.ask(call, (from.shard(), ACK), Kind::Ack as u8, |out| {
            out.extend_from_slice(&from.0.to_le_bytes());
            out.extend_from_slice(&batch.lease.0.to_le_bytes());
            out.extend_from_slice(&(ranges.len() as u64).to_le_bytes());
            for (first, count) in ranges {
                out.extend_from_slice(&first.to_le_bytes());
                out.extend_from_slice(&count.to_le_bytes());
            }
        });
        Step::Wait
    }

    /// What was not moved goes back; the reply counts both.
    fn finish<S>(&self, runner: &mut Runner<'_, S>, call: &mut Call) -> Step {
        let batch = self.batch.as_ref().expect("messages were taken before");
        let [moved, refused] = [Standing::Moved, Standing::Refused].map(|it| batch.count(it));
        if refused > 0 {
            runner.give_back(self.from(), batch.lease);
        }
        let next = self.at + usize::from(!self.more);
        let more = next < self.parts.len();
        let Performer { spreads, now, .. } = &mut *runner.performer;
        let stopped = Some((next, self.digest)).filter(|_| more);
        spreads.note_move(self.parts[0], stopped, now.ms());
        runner.reply(call, 0, |out, ids| reply::moved(out, ids, Moved { moved, refused, more }));
        Step::Done
    }
}
