//! An errand of a queue's own shard: a change that every shard has to know is told to all of them,
//! and the reply goes out when all of them have it.
//!
//! The owner alone changes the bindings of its queues, and its rings keep their order, so all
//! shards go through the same states of one queue's bindings.

use super::among::{Change, TELL};
use super::runner::Runner;
use super::{Call, Step};
use ringway_protocol::reply;

/// What is left of it: to count, and to say what the owner has done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tell {
    /// The number in the reply.
    outcome: u64,
}

impl Tell {
    /// Tells all other shards of a change that this shard knows already.
    pub fn begin<S>(
        runner: &mut Runner<'_, S>,
        call: &mut Call,
        change: Change<'_>,
        outcome: u64,
    ) -> (Self, Step) {
        let here = runner.here();
        for shard in (0..runner.handoffs.shards()).filter(|shard| *shard != here) {
            runner.ask(call, (shard, 0), TELL, |out| change.encode(out));
        }
        let tell = Self { outcome };
        let step = tell.go_on(runner, call);
        (tell, step)
    }

    pub fn heard<S>(&self, runner: &mut Runner<'_, S>, call: &Call) -> Step {
        self.go_on(runner, call)
    }

    fn go_on<S>(&self, runner: &mut Runner<'_, S>, call: &Call) -> Step {
        if call.open > 0 {
            return Step::Wait;
        }
        runner.reply(call, 0, |out, ids| reply::number(out, call.kind, ids, self.outcome));
        Step::Done
    }
}
