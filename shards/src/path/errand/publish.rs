//! An errand that puts one batch to every queue that a name reaches. Each shard gets it once, with
//! the ids of its queues; a queue that refuses does not stop the others.

use super::among::{SCATTER, Scattered, scatter};
use super::runner::Runner;
use super::spread::{SplitPut, Spread};
use super::{Answer, Call, Step};
use ringway_protocol::reply::{self, Published};
use ringway_protocol::request::Put;
use ringway_protocol::{Level, QueueId, Records};
use std::rc::Rc;

/// What the shards have answered so far.
#[derive(Debug)]
pub(super) struct Publish {
    matched: u32,
    stored: u32,
    refused: u32,
    /// For each spread queue whose parts get some of the messages each.
    split: Vec<Split>,
}

/// The parts of one queue that have not answered, and whether any refused.
#[derive(Clone, Copy, Debug)]
struct Split {
    open: u32,
    refused: bool,
}

/// A spread queue among those that a name reaches, whose parts get some of the messages each.
pub(super) struct Cut {
    /// The queue.
    pub queue: QueueId,
    /// Its parts.
    pub spread: Rc<Spread>,
    /// The part for messages that belong to none.
    pub default: usize,
}

/// The question to a shard about all of its queues; those to parts have the place of their queue in
/// `split` in their upper half.
const WHOLE: u32 = 0;

impl Publish {
    /// `queues` come shard by shard; the batch is cut for the parts of those in `split`.
    pub fn begin<S>(
        runner: &mut Runner<'_, S>,
        call: &mut Call,
        (queues, split): (&[QueueId], &[Cut]),
        records: Records<'_>,
    ) -> (Self, Step) {
        for queues in queues.chunk_by(|one, next| one.shard() == next.shard()) {
            let shard = queues[0].shard();
            runner.ask(call, (shard, WHOLE), SCATTER, |out| scatter(out, queues, records));
        }
        let matched = (queues.len() + split.len()) as u32;
        let mut publish = Self { matched, stored: 0, refused: 0, split: Vec::new() };
        for (place, Cut { queue, spread, default }) in split.iter().enumerate() {
            let before = call.open;
            let put = Put::new(*queue, records);
            SplitPut::ask(runner, call, (&put, spread, *default), (place as u32 + 1) << 16);
            publish.split.push(Split { open: call.open - before, refused: false });
        }
        let step = publish.go_on(runner, call);
        (publish, step)
    }

    pub fn heard<S>(
        &mut self,
        runner: &mut Runner<'_, S>,
        call: &Call,
        answer: Answer<'_>,
    ) -> Step {
        if answer.part == WHOLE {
            let scattered = Scattered::decode(answer.frame.body);
            let scattered = scattered.expect("shards speak one protocol");
            self.matched -= scattered.missing;
            self.stored += scattered.stored;
            self.refused += scattered.refused;
        } else {
            let split = &mut self.split[(answer.part >> 16) as usize - 1];
            split.open -= 1;
            split.refused |= answer.frame.header.code != 0;
            if split.open == 0 {
                self.stored += u32::from(!split.refused);
                self.refused += u32::from(split.refused);
            }
        }
        self.go_on(runner, call)
    }

    fn go_on<S>(&self, runner: &mut Runner<'_, S>, call: &Call) -> Step {
        if call.open > 0 {
            return Step::Wait;
        }
        let Self { matched, stored, refused, .. } = *self;
        let published = Published { matched, stored, refused, level: Level::Memory };
        runner.reply(call, 0, |out, ids| reply::published(out, ids, published));
        Step::Done
    }
}
