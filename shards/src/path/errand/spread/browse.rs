//! A look at the messages of a spread queue, part after part. The cursor says which part is next,
//! in the bits where sequences name theirs.

use crate::path::errand::runner::Runner;
use crate::path::errand::{Answer, Call, Step};
use ringway_protocol::request::{Browse, MessageState};
use ringway_protocol::{Frame, QueueId, Request};

use super::gather::PART_SHIFT;

/// A page of one part.
#[derive(Clone, Copy, Debug)]
pub(in crate::path::errand) struct BrowsePart {
    part: u64,
    is_last: bool,
    /// Whether the part's own cursors are no sequences, and so do not name it.
    anonymous: bool,
}

/// The part that a cursor names.
pub fn part_of(cursor: u64) -> usize {
    usize::from((cursor >> PART_SHIFT) as u8)
}

impl BrowsePart {
    /// `queue` is the part that the cursor names.
    pub fn begin<S>(
        runner: &mut Runner<'_, S>,
        call: &mut Call,
        browse: &Browse,
        (queue, is_last): (QueueId, bool),
    ) -> (Self, Step) {
        let part = part_of(browse.cursor) as u64;
        let anonymous = browse.state == MessageState::Leased;
        let start = part << PART_SHIFT;
        let cursor = match browse.cursor {
            cursor if anonymous => cursor - start,
            cursor if cursor == start => 0,
            cursor => cursor,
        };
        let mine = Request::Browse(Browse { queue, cursor, ..*browse });
        runner.ask_request(call, (queue.shard(), 0), &mine);
        (Self { part, is_last, anonymous }, Step::Wait)
    }

    pub fn heard<S>(&self, runner: &mut Runner<'_, S>, call: &Call, answer: Answer<'_>) -> Step {
        let mut body = answer.frame.body.to_vec();
        if answer.frame.header.code == 0
            && let Some(cursor) = body.first_chunk_mut()
        {
            let next = match u64::from_le_bytes(*cursor) {
                0 if self.is_last => 0,
                0 => (self.part + 1) << PART_SHIFT,
                next if self.anonymous => next | self.part << PART_SHIFT,
                next => next,
            };
            *cursor = next.to_le_bytes();
        }
        runner.pass_on(call, Frame { body: &body, ..answer.frame });
        Step::Done
    }
}
