//! A subscription to a spread queue: one to each part, with a share of the credit, held together by
//! an errand that lives as long as its connection wants it.
//!
//! The parts push to the errand, which passes on what they push. The client's id of the
//! subscription is the errand's own name; a credit is shared out anew, and an unsubscribe ends all
//! of the parts' subscriptions. When one of them ends by itself, all of them do.

use crate::path::errand::runner::Runner;
use crate::path::errand::{Answer, Call, GENERATION_MASK, Step};
use crate::path::handoff::{Handoff, first_entry};
use crate::path::origin::Origin;
use ringway_protocol::frame::{self, REPLY};
use ringway_protocol::request::{Credit, Subscribe};
use ringway_protocol::{Code, Header, Kind, QueueId, Reply, Request, SubscriptionId, reply};

use super::Spread;

/// The subscriptions to the parts, and what is asked of all of them now.
#[derive(Debug)]
pub(in crate::path::errand) struct SpreadPush {
    parts: Vec<(QueueId, SubscriptionId)>,
    /// Bytes of credit, of all parts together.
    credit_bytes: u32,
    stage: Stage,
    /// Why the first part refused that did.
    refusal: Option<(u16, Box<[u8]>)>,
    /// What parts have pushed before all of them had subscribed, as entries of a batch.
    early: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// Parts have not all answered yet.
    Subscribing,
    /// Nothing is asked.
    Open,
    /// Credit is shared out; who asked gets a reply.
    Crediting(Origin),
    /// The subscriptions end, and so many messages have come back.
    Ending(Origin, u64),
}

/// What each of so many parts gets of something that all of them share.
fn share(whole: u32, parts: usize) -> u32 {
    whole.div_ceil(parts as u32)
}

/// The client's id of a subscription, from the name of its errand.
fn id_of(call: &Call) -> SubscriptionId {
    let generation = (call.peer >> 32) as u32 & GENERATION_MASK;
    SubscriptionId::new(generation, call.origin.shard, call.peer as u32)
}

impl SpreadPush {
    pub fn begin<S>(
        runner: &mut Runner<'_, S>,
        call: &mut Call,
        (subscribe, spread): (&Subscribe, &Spread),
    ) -> (Self, Step) {
        let count = spread.parts.len();
        for (number, part) in spread.parts.iter().enumerate() {
            let mine = Request::Subscribe(Subscribe {
                queue: *part,
                messages: share(subscribe.messages, count),
                bytes: share(subscribe.credit_bytes(), count),
                rate: share(subscribe.rate, count),
                ..*subscribe
            });
            runner.ask_request(call, (part.shard(), number as u32), &mine);
        }
        let none = SubscriptionId(0);
        let task = Self {
            parts: spread.parts.iter().map(|part| (*part, none)).collect(),
            credit_bytes: subscribe.credit_bytes(),
            stage: Stage::Subscribing,
            refusal: None,
            early: Vec::new(),
        };
        (task, Step::Wait)
    }

    /// Bytes of credit, of all parts together; `None` while something else is asked of them.
    pub fn credit_bytes(&self) -> Option<u32> {
        (self.stage == Stage::Open).then_some(self.credit_bytes)
    }

    /// What its connection is promised for it.
    pub fn promised(&self) -> u32 {
        self.credit_bytes
    }

    /// Requests of the connection that have no reply yet.
    pub fn requests(&self) -> u32 {
        u32::from(self.stage != Stage::Open)
    }

    /// Shares credit out anew.
    pub fn credit<S>(
        &mut self,
        runner: &mut Runner<'_, S>,
        call: &mut Call,
        (credit, origin): (&Credit, Origin),
    ) {
        self.stage = Stage::Crediting(origin);
        self.credit_bytes = credit.credit_bytes();
        let count = self.parts.len();
        for (queue, subscription) in self.parts.iter().copied() {
            let (messages, bytes) = (credit.messages, credit.credit_bytes());
            let (messages, bytes) = (share(messages, count), share(bytes, count));
            let mine = Request::Credit(Credit { queue, subscription, messages, bytes });
            runner.ask_request(call, (queue.shard(), 0), &mine);
        }
    }

    /// Ends the subscriptions.
    pub fn unsubscribe<S>(&mut self, runner: &mut Runner<'_, S>, call: &mut Call, origin: Origin) {
        self.stage = Stage::Ending(origin, 0);
        for (queue, subscription) in self.parts.iter().copied() {
            let mine = Request::Unsubscribe { queue, subscription };
            runner.ask_request(call, (queue.shard(), 0), &mine);
        }
    }

    pub fn heard<S>(
        &mut self,
        runner: &mut Runner<'_, S>,
        call: &mut Call,
        answer: Answer<'_>,
    ) -> Step {
        if answer.pushed {
            return self.pushed(runner, call, answer);
        }
        match (self.stage, Reply::decode(answer.frame)) {
            (Stage::Subscribing, Ok(Reply::Subscribed { subscription })) => {
                self.parts[answer.part as usize].1 = subscription;
                if call.open == 0 {
                    self.open(runner, call);
                }
                Step::Wait
            }
            (Stage::Subscribing, _) => {
                self.call_off(runner, call);
                call.promise = (self.credit_bytes, true);
                runner.pass_on(call, answer.frame);
                Step::Done
            }
            (Stage::Crediting(origin), answered) => {
                if let Ok(Reply::Refused { .. }) = answered {
                    let refusal = || (answer.frame.header.code, answer.frame.body.into());
                    self.refusal.get_or_insert_with(refusal);
                }
                if call.open == 0 {
                    self.credited(runner, call, origin);
                }
                Step::Wait
            }
            (Stage::Ending(origin, before), answer) => {
                let came_back = if let Ok(Reply::Unsubscribed(count)) = answer { count } else { 0 };
                self.stage = Stage::Ending(origin, before + came_back);
                if call.open > 0 {
                    return Step::Wait;
                }
                runner.reply_to((origin, (self.credit_bytes, true)), 0, |out, ids| {
                    reply::number(out, Kind::Unsubscribe, ids, before + came_back);
                });
                runner.errands.let_go_of(origin.peer, call.peer);
                Step::Done
            }
            _ => Step::Wait,
        }
    }

    /// All parts have their credit, or say why not.
    fn credited<S>(&mut self, runner: &mut Runner<'_, S>, call: &Call, origin: Origin) {
        self.stage = Stage::Open;
        let refusal = self.refusal.take();
        runner.reply_to((origin, (0, true)), 0, |out, (stream, request)| {
            let mut header = Header::reply(Kind::Credit, Code::Ok, stream, request);
            let (code, sentence) = refusal.unwrap_or_default();
            header.code = code;
            frame::write(out, header, |out| out.extend_from_slice(&sentence));
        });
        runner.errands.let_go_of(origin.peer, call.peer);
    }

    /// All parts have subscribed: the reply goes out, then what was pushed meanwhile.
    fn open<S>(&mut self, runner: &mut Runner<'_, S>, call: &Call) {
        self.stage = Stage::Open;
        runner.reply(call, 0, |out, ids| {
            reply::number(out, Kind::Subscribe, ids, id_of(call).0);
        });
        let early = std::mem::take(&mut self.early);
        let mut rest = &early[..];
        while let Some((entry, after)) = first_entry(rest) {
            runner.push(call, entry.queue, entry.frame, 0);
            rest = after;
        }
    }

    /// A part has pushed messages, or has ended its subscription.
    fn pushed<S>(
        &mut self,
        runner: &mut Runner<'_, S>,
        call: &mut Call,
        answer: Answer<'_>,
    ) -> Step {
        if answer.frame.header.kind == Kind::Subscribe as u8 | REPLY {
            self.call_off(runner, call);
            return self.end(runner, call, answer);
        }
        if self.stage == Stage::Subscribing {
            crate::path::handoff::entry_prefix(&mut self.early, call.peer, answer.queue, 0, false);
            self.early.extend_from_slice(&answer.frame.header.encode());
            self.early.extend_from_slice(answer.frame.body);
        } else {
            runner.push(call, answer.queue, answer.frame, 0);
        }
        Step::Wait
    }

    /// A part has ended its subscription, and so this one ends, with whatever is asked of it.
    fn end<S>(&self, runner: &mut Runner<'_, S>, call: &mut Call, answer: Answer<'_>) -> Step {
        match self.stage {
            Stage::Subscribing => {
                call.promise = (self.credit_bytes, true);
                runner.pass_on(call, answer.frame);
            }
            Stage::Open => runner.push(call, 0, answer.frame, self.credit_bytes),
            Stage::Crediting(origin) | Stage::Ending(origin, _) => {
                runner.push(call, 0, answer.frame, self.credit_bytes);
                runner.reply_to((origin, (0, true)), 0, |out, ids| match self.stage {
                    Stage::Ending(_, count) => reply::number(out, Kind::Unsubscribe, ids, count),
                    _ => reply::done(out, Kind::Credit, ids),
                });
                runner.errands.let_go_of(origin.peer, call.peer);
            }
        }
        Step::Done
    }

    /// Ends the subscriptions of all parts; what they hold comes back.
    pub fn call_off<S>(&self, runner: &mut Runner<'_, S>, call: &Call) {
        for (part, _) in &self.parts {
            match part.shard() {
                here if here == runner.here() => {
                    let now = runner.performer.now;
                    runner.performer.store.forget(here as u8, call.peer, now);
                }
                shard => runner.handoffs.signal(shard, Handoff::Gone(call.peer)),
            }
        }
    }
}
