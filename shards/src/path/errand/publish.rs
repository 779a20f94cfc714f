//! An errand that puts one batch to every queue that a name reaches. Each shard gets it once, with
//! the ids of its queues; a queue that refuses does not stop the others.

use super::among::{SCATTER, Scattered, scatter};
use super::runner::Runner;
use super::{Answer, Call, Step};
use ringway_protocol::reply::{self, Published};
use ringway_protocol::{Level, QueueId, Records};

/// What the shards have answered so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Publish {
    matched: u32,
    stored: u32,
    refused: u32,
}

impl Publish {
    /// `queues` come shard by shard.
    pub fn begin<S>(
        runner: &mut Runner<'_, S>,
        call: &mut Call,
        queues: &[QueueId],
        records: Records<'_>,
    ) -> (Self, Step) {
        for queues in queues.chunk_by(|one, next| one.shard() == next.shard()) {
            let shard = queues[0].shard();
            runner.ask(call, (shard, 0), SCATTER, |out| scatter(out, queues, records));
        }
        let publish = Self { matched: queues.len() as u32, stored: 0, refused: 0 };
        let step = publish.go_on(runner, call);
        (publish, step)
    }

    pub fn heard<S>(
        &mut self,
        runner: &mut Runner<'_, S>,
        call: &Call,
        answer: Answer<'_>,
    ) -> Step {
        let scattered = Scattered::decode(answer.frame.body).expect("shards speak one protocol");
        let Scattered { stored, refused, missing } = scattered;
        self.matched -= missing;
        self.stored += stored;
        self.refused += refused;
        self.go_on(runner, call)
    }

    fn go_on<S>(&self, runner: &mut Runner<'_, S>, call: &Call) -> Step {
        if call.open > 0 {
            return Step::Wait;
        }
        let Self { matched, stored, refused } = *self;
        let published = Published { matched, stored, refused, level: Level::Memory };
        runner.reply(call, 0, |out, ids| reply::published(out, ids, published));
        Step::Done
    }
}
