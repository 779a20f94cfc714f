//! An errand that passes a request on to another shard as it is, and its answer back as it is. It
//! is there for requests that nothing of the same connection may overtake.
//!
//! Nor may it overtake: what the connection has put to a part of a spread queue goes there
//! straight, and the request by way of the queue's own shard. So those parts' shards are asked
//! whether they are there before it is passed on: their answers follow all that was sent to them.

use super::runner::Runner;
use super::{Answer, Call, Step};
use ringway_protocol::{Frame, Header, Kind};

/// A request that waits for the answers of shards that it might overtake; the call keeps its body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Relay {
    shard: usize,
    header: Header,
    passed_on: bool,
}

/// The questions.
const FENCE: u32 = 0;
const REQUEST: u32 = 1;

impl Relay {
    pub fn begin<S>(
        runner: &mut Runner<'_, S>,
        call: &mut Call,
        (shard, fences): (usize, &[usize]),
        frame: Frame<'_>,
    ) -> (Self, Step) {
        let header = Header { stream: 0, request: REQUEST, ..frame.header };
        let mut relay = Self { shard, header, passed_on: false };
        if fences.is_empty() {
            relay.pass_on(runner, call, frame.body);
        } else {
            runner.errands.keep(call, frame.body);
            for fence in fences {
                runner.ask(call, (*fence, FENCE), Kind::Ping as u8, |_| ());
            }
        }
        (relay, Step::Wait)
    }

    fn pass_on<S>(&mut self, runner: &mut Runner<'_, S>, call: &mut Call, body: &[u8]) {
        self.passed_on = true;
        runner.ask_frame(call, (self.shard, REQUEST), |out| {
            out.extend_from_slice(&self.header.encode());
            out.extend_from_slice(body);
        });
    }

    pub fn heard<S>(
        &mut self,
        runner: &mut Runner<'_, S>,
        call: &mut Call,
        answer: Answer<'_>,
    ) -> Step {
        if self.passed_on {
            runner.pass_on(call, answer.frame);
            return Step::Done;
        }
        if call.open == 0 {
            let body = std::mem::take(&mut call.kept);
            self.pass_on(runner, call, &body);
            call.kept = body;
        }
        Step::Wait
    }
}
