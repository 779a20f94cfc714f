//! An errand with one question: the request goes to another shard as it is, and the answer comes
//! back as it is. It is there for requests that nothing of the same connection may overtake.

use super::runner::Runner;
use super::{Answer, Call, Step};
use ringway_protocol::{Frame, Header};

pub(super) fn begin<S>(
    runner: &mut Runner<'_, S>,
    call: &mut Call,
    shard: usize,
    frame: Frame<'_>,
) -> Step {
    let header = Header { stream: 0, request: 0, ..frame.header };
    runner.ask_frame(call, (shard, 0), |out| {
        out.extend_from_slice(&header.encode());
        out.extend_from_slice(frame.body);
    });
    Step::Wait
}

pub(super) fn heard<S>(runner: &mut Runner<'_, S>, call: &Call, answer: Answer<'_>) -> Step {
    runner.pass_on(call, answer.frame);
    Step::Done
}
