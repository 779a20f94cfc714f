//! A take from a spread queue whose own part had nothing.
//!
//! The other parts are asked one after the other, each time beginning with another one, and the
//! first that has messages answers. If none has any and the take waits, it waits at all of them at
//! once, in turn with everybody else there: the first delivery is the answer, the other waits are
//! called off, and what they have delivered meanwhile goes back undelivered. So no part's messages
//! lie while somebody waits for them, and nobody polls.

use crate::path::errand::runner::Runner;
use crate::path::errand::{Answer, Call, Step};
use crate::path::handoff::Handoff;
use ringway_protocol::request::{Range, Take, encode_settle};
use ringway_protocol::{Code, Header, Kind, QueueId, Reply, Request, frame};

/// How far it has come. The call keeps the ids of the parts, then a delivery that is being
/// acknowledged.
#[derive(Clone, Copy, Debug)]
pub(in crate::path::errand) struct SpreadTake {
    take: Take,
    parts: u32,
    /// The part that has been asked before.
    own: Option<u32>,
    /// The part that comes next, and how many are left to ask.
    next: u32,
    left: u32,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// One part after the other.
    Asking,
    /// All parts at once.
    Waiting,
    /// One has answered, and what it delivered is acknowledged before it goes out.
    Acknowledging,
}

/// The question after those to the parts.
const ACK: u32 = u32::MAX;
/// Bytes at the front of a delivery that name its lease and how long that lasts.
const LEASE_BYTES: usize = 12;

impl SpreadTake {
    /// `own` is the part that has been asked before; the others are asked from `first` on.
    pub fn begin<S>(
        runner: &mut Runner<'_, S>,
        call: &mut Call,
        take: Take,
        (parts, own, first): (&[QueueId], Option<usize>, usize),
    ) -> (Self, Step) {
        runner.errands.keep_all(call, parts.iter().flat_map(|part| part.0.to_le_bytes()));
        let (count, own) = (parts.len() as u32, own.map(|own| own as u32));
        let (next, left) = (first as u32 % count, count - u32::from(own.is_some()));
        let mut task = Self { take, parts: count, own, next, left, stage: Stage::Asking };
        let step = task.ask_next(runner, call);
        (task, step)
    }

    fn part(&self, call: &Call, number: u32) -> QueueId {
        let id = call.kept[number as usize * 8..].first_chunk();
        QueueId(u64::from_le_bytes(*id.expect("the call keeps every part's id")))
    }

    fn ask<S>(&self, runner: &mut Runner<'_, S>, call: &mut Call, number: u32, take: Take) {
        let queue = self.part(call, number);
        let take = Request::Take(Take { queue, ..take });
        runner.ask_request(call, (queue.shard(), number), &take);
    }

    fn ask_next<S>(&mut self, runner: &mut Runner<'_, S>, call: &mut Call) -> Step {
        if Some(self.next) == self.own {
            self.next = (self.next + 1) % self.parts;
        }
        self.ask(runner, call, self.next, Take { wait_ms: 0, ..self.take });
        self.next = (self.next + 1) % self.parts;
        self.left -= 1;
        Step::Wait
    }

    /// Waits at every part. What is taken for good is leased first: only one delivery may count.
    fn wait<S>(&mut self, runner: &mut Runner<'_, S>, call: &mut Call) -> Step {
        self.stage = Stage::Waiting;
        for number in 0..self.parts {
            self.ask(runner, call, number, Take { acknowledged: false, ..self.take });
        }
        Step::Wait
    }

    pub fn heard<S>(
        &mut self,
        runner: &mut Runner<'_, S>,
        call: &mut Call,
        answer: Answer<'_>,
    ) -> Step {
        let acknowledging = self.stage == Stage::Acknowledging;
        let delivery = match Reply::decode(answer.frame) {
            _ if answer.part == ACK => return self.finish(runner, call),
            Ok(Reply::Delivery(delivery)) => delivery,
            _ if acknowledging => return Step::Wait,
            _ => return self.end(runner, call, answer),
        };
        match (self.stage, delivery.count()) {
            (Stage::Asking, 0) if self.left > 0 => self.ask_next(runner, call),
            (Stage::Asking, 0) if self.take.wait_ms > 0 => self.wait(runner, call),
            (Stage::Waiting, 0) if call.open > 0 => Step::Wait,
            (Stage::Acknowledging, 0) => Step::Wait,
            (Stage::Acknowledging, _) => {
                // It came while the waits were being called off.
                runner.give_back(QueueId(answer.queue), delivery.lease);
                Step::Wait
            }
            (Stage::Waiting, count) if self.take.acknowledged && count > 0 => {
                self.call_off(runner, call);
                self.stage = Stage::Acknowledging;
                let (queue, lease) = (QueueId(answer.queue), delivery.lease);
                let start = call.kept.len();
                runner.errands.keep(call, answer.frame.body);
                call.kept[start..start + LEASE_BYTES].fill(0);
                let all = [Range { first: 0, count }];
                runner.ask_frame(call, (queue.shard(), ACK), |out| {
                    encode_settle(Kind::Ack, (queue, lease), &all, (0, ACK), out);
                });
                Step::Wait
            }
            _ => self.end(runner, call, answer),
        }
    }

    /// This answer is the reply.
    fn end<S>(&self, runner: &mut Runner<'_, S>, call: &mut Call, answer: Answer<'_>) -> Step {
        self.call_off(runner, call);
        runner.deliver(call, answer.queue, answer.frame);
        Step::Done
    }

    /// What was delivered is acknowledged, or somebody else's after a lease that had just begun:
    /// it is taken for good either way.
    fn finish<S>(&self, runner: &mut Runner<'_, S>, call: &Call) -> Step {
        let delivery = &call.kept[self.parts as usize * 8..];
        runner.reply(call, 0, |out, (stream, request)| {
            let header = Header::reply(Kind::Take, Code::Ok, stream, request);
            frame::write(out, header, |out| out.extend_from_slice(delivery));
        });
        Step::Done
    }

    /// Ends the waits that are left: nothing more is taken for this errand.
    pub fn call_off<S>(&self, runner: &mut Runner<'_, S>, call: &Call) {
        if self.stage != Stage::Waiting || call.open == 0 {
            return;
        }
        for number in 0..self.parts {
            match self.part(call, number).shard() {
                here if here == runner.here() => {
                    let now = runner.performer.now;
                    runner.performer.store.forget(here as u8, call.peer, now);
                }
                shard => runner.handoffs.signal(shard, Handoff::Gone(call.peer)),
            }
        }
    }

    /// Whether it can be ended with its connection: what is being acknowledged cannot.
    pub fn can_end(&self) -> bool {
        self.stage != Stage::Acknowledging
    }
}
