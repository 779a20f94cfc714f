//! An errand that acknowledges on one shard what it puts on another: the put first, and the
//! acknowledgement when the put is held. So nothing is lost between the two; if the acknowledgement
//! comes too late, the result may be there twice, and the counts of the reply say so.

use super::among::PUT_NOW;
use super::runner::Runner;
use super::spread::{SplitPut, Spread};
use super::{Answer, Call, Step};
use ringway_protocol::reply::{self, Settlement};
use ringway_protocol::request::Put;
use ringway_protocol::{Code, Frame, Header, Kind, QueueId, Reply, frame};
use std::rc::Rc;

/// What is put and what is acknowledged. The call keeps the body of the acknowledgement, then the
/// body of the put's reply, or what a put to several parts keeps.
#[derive(Debug)]
pub(super) struct Transfer {
    /// Where the acknowledgement goes.
    shard: usize,
    /// Bytes of its body.
    settle_bytes: usize,
    /// Messages that it names.
    named: u32,
    split: Option<SplitPut>,
    /// The first part that refused.
    refusal: Option<(Header, Box<[u8]>)>,
}

/// Where the put goes.
pub(super) enum Target<'a> {
    /// To one queue, or to one part.
    Whole(QueueId),
    /// To several parts of a spread queue.
    Split(&'a Put<'a>, Rc<Spread>, usize),
}

/// The question after those of the put, which are numbered by part.
const ACK: u32 = u32::MAX;

impl Transfer {
    /// `settle` and `put` are bodies whose first field, the queue, is replaced.
    pub fn begin<S>(
        runner: &mut Runner<'_, S>,
        call: &mut Call,
        (from, named, settle): (QueueId, u32, &[u8]),
        (to, put): (Target<'_>, &[u8]),
    ) -> (Self, Step) {
        runner.errands.keep(call, &from.0.to_le_bytes());
        runner.errands.keep(call, &settle[8..]);
        let split = match to {
            Target::Whole(to) => {
                runner.ask(call, (to.shard(), 0), PUT_NOW, |out| {
                    out.extend_from_slice(&to.0.to_le_bytes());
                    out.extend_from_slice(&put[8..]);
                });
                None
            }
            Target::Split(put, spread, default) => {
                Some(SplitPut::begin(runner, call, (put, &spread, default)))
            }
        };
        let (shard, settle_bytes) = (from.shard(), settle.len());
        (Self { shard, settle_bytes, named, split, refusal: None }, Step::Wait)
    }

    pub fn heard<S>(
        &mut self,
        runner: &mut Runner<'_, S>,
        call: &mut Call,
        answer: Answer<'_>,
    ) -> Step {
        if answer.part == ACK {
            let settlement = match Reply::decode(answer.frame) {
                Ok(Reply::Settled(settlement, _)) => settlement,
                // The queue is gone with its leases: the acknowledgement came too late.
                _ => Settlement { stale: self.named, ..Settlement::default() },
            };
            self.finish(runner, call, settlement);
            return Step::Done;
        }
        if answer.frame.header.code != 0 {
            let refusal = || (answer.frame.header, answer.frame.body.into());
            self.refusal.get_or_insert_with(refusal);
        } else if let Some(split) = &self.split {
            split.heard(runner, call, answer);
        } else {
            runner.errands.keep(call, answer.frame.body);
        }
        match &self.refusal {
            _ if call.open > 0 => Step::Wait,
            Some((header, sentence)) => {
                runner.pass_on(call, Frame { header: *header, body: sentence });
                Step::Done
            }
            // Another shard has committed what it answers.
            None if self.split.is_none() && answer.shard != runner.here() => {
                self.settle(runner, call)
            }
            None => Step::Commit,
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
        if let Some(split) = &self.split {
            return split.with_receipt(runner, call, |runner, receipt| {
                runner.reply(call, 0, |out, ids| {
                    reply::transferred(out, ids, settlement, receipt);
                });
            });
        }
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
