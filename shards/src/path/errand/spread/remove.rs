//! A spread queue is deleted: its parts, then what every shard knows about it.

use crate::path::errand::among::{Change, TELL};
use crate::path::errand::runner::Runner;
use crate::path::errand::{Answer, Call, Step};
use ringway_protocol::{Kind, QueueId, Reply, reply};

/// How far it has come.
#[derive(Clone, Copy, Debug)]
pub(in crate::path::errand) struct Remove {
    queue: QueueId,
    messages: u64,
    telling: bool,
}

impl Remove {
    pub fn begin<S>(
        runner: &mut Runner<'_, S>,
        call: &mut Call,
        (queue, parts): (QueueId, &[QueueId]),
    ) -> (Self, Step) {
        for part in parts {
            let body = |out: &mut Vec<u8>| out.extend_from_slice(&part.0.to_le_bytes());
            runner.ask(call, (part.shard(), 0), Kind::Delete as u8, body);
        }
        (Self { queue, messages: 0, telling: false }, Step::Wait)
    }

    /// A part that is gone already has no messages; that is all there is to refuse.
    pub fn heard<S>(
        &mut self,
        runner: &mut Runner<'_, S>,
        call: &mut Call,
        answer: Answer<'_>,
    ) -> Step {
        if !self.telling
            && let Ok(Reply::Removed(messages)) = Reply::decode(answer.frame)
        {
            self.messages += messages;
        }
        match self.telling {
            _ if call.open > 0 => Step::Wait,
            false => self.tell(runner, call),
            true => {
                runner.reply(call, 0, |out, ids| {
                    reply::number(out, call.kind, ids, self.messages);
                });
                Step::Done
            }
        }
    }

    fn tell<S>(&mut self, runner: &mut Runner<'_, S>, call: &mut Call) -> Step {
        self.telling = true;
        let change = Change::Forget { queue: self.queue };
        change.apply(runner.performer);
        let here = runner.here();
        for shard in (0..runner.handoffs.shards()).filter(|shard| *shard != here) {
            runner.ask(call, (shard, 0), TELL, |out| change.encode(out));
        }
        Step::Wait
    }
}
