//! An errand that acknowledges on one shard what it puts on another: the put first, and the
//! acknowledgement when the put is held. So nothing is lost between the two; if the acknowledgement
//! comes too late, the result may be there twice, and the counts of the reply say so.

use super::runner::Runner;
use super::{Answer, Call, Step};
use ringway_protocol::reply::Settlement;
use ringway_protocol::{Code, Header, Kind, Reply, frame};

/// What is put and what is acknowledged. The call keeps the body of the acknowledgement, then the
/// body of the put's reply.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transfer {
    /// Where the acknowledgement goes.
    shard: usize,
    /// Bytes of its body.
    settle_bytes: usize,
    /// Messages that it names.
    named: u32,
}

/// The questions, in their order.
const PUT: u32 = 0;
const ACK: u32 = 1;

impl Transfer {
    pub fn begin<S>(
        runner: &mut Runner<'_, S>,
        call: &mut Call,
        (from, named): (usize, u32),
        (settle, put): (&[u8], &[u8]),
        to: usize,
    ) -> (Self, Step) {
        runner.errands.keep(call, settle);
        runner.ask(call, (to, PUT), Kind::Put as u8, |out| out.extend_from_slice(put));
        (Self { shard: from, settle_bytes: settle.len(), named }, Step::Wait)
    }

    pub fn heard<S>(
        &self,
        runner: &mut Runner<'_, S>,
        call: &mut Call,
        answer: Answer<'_>,
    ) -> Step {
        let refused = answer.frame.header.code != 0;
        match answer.part {
            PUT if refused => {
                runner.pass_on(call, answer.frame);
                Step::Done
            }
            PUT => {
                runner.errands.keep(call, answer.frame.body);
                // Another shard has committed what it answers.
                if answer.shard == runner.here() { Step::Commit } else { self.settle(runner, call) }
            }
            _ => {
                let settlement = match Reply::decode(answer.frame) {
                    Ok(Reply::Settled(settlement, _)) => settlement,
                    // The queue is gone with its leases: the acknowledgement came too late.
                    _ => Settlement { stale: self.named, ..Settlement::default() },
                };
                self.finish(runner, call, settlement);
                Step::Done
            }
        }
    }

    /// The put is held and committed: the acknowledgement follows.
    pub fn settle<S>(&self, runner: &mut Runner<'_, S>, call: &mut Call) -> Step {
        let kept = std::mem::take(&mut call.kept);
        let settle = &kept[..self.settle_bytes];
        runner.ask(call, (self.shard, ACK), Kind::Ack as u8, |out| out.extend_from_slice(settle));
        call.kept = kept;
        // Its place among the requests of the connection is taken.
        runner.errands.let_go(call);
        Step::Wait
    }

    /// Replies with what was settled, then what the put was answered.
    fn finish<S>(&self, runner: &mut Runner<'_, S>, call: &Call, settlement: Settlement) {
        let Settlement { settled, stale, unknown } = settlement;
        let receipt = &call.kept[self.settle_bytes..];
        runner.reply(call, 0, |out, (stream, request)| {
            frame::write(out, Header::reply(Kind::Transfer, Code::Ok, stream, request), |out| {
                for number in [settled, stale, unknown, 0] {
                    out.extend_from_slice(&number.to_le_bytes());
                }
                out.extend_from_slice(receipt);
            });
        });
    }
}
