//! An errand with one question: the request goes to another shard as it is, and the answer comes
//! back as it is. It is there for requests that nothing of the same connection may overtake.

use super::runner::Runner;
use super::{Answer, Call, Step};
use ringway_protocol::Frame;

pub(super) fn begin<S>(
    runner: &mut Runner<'_, S>,
    call: &mut Call,
    shard: usize,
    frame: Frame<'_>,
) -> Step {
    let body = |out: &mut Vec<u8>| out.extend_from_slice(frame.body);
    runner.ask(call, (shard, 0), frame.header.kind, body);
    Step::Wait
}

pub(super) fn heard<S>(runner: &mut Runner<'_, S>, call: &Call, answer: Answer<'_>) -> Step {
    runner.pass_on(call, answer.frame);
    Step::Done
}
