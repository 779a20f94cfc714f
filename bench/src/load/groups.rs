//! Makes groups of consumers, before the run.

use std::time::{Duration, Instant};

use ringway_client::{Error, Pipeline, QueueId, Reply, Request};
use ringway_protocol::GroupId;
use ringway_protocol::request::{ChangeGroup, GroupFlags, GroupOperation, Start};

/// How long the server may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Makes the group `name` of `queue`, from the queue's oldest message on.
pub(super) fn make(pipeline: &mut Pipeline, queue: QueueId, name: &str) -> Result<GroupId, Error> {
    let create = GroupOperation::Create { start: Start::Earliest, flags: GroupFlags::default() };
    let request = Request::Group(ChangeGroup { queue, name, operation: create });
    pipeline.outbox().request(&request, 0);
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if pipeline.flush()? {
            pipeline.receive_blocking()?;
        }
        let mut answer = None;
        pipeline.replies(|frame, _| {
            answer = Some(match Reply::decode(frame) {
                Ok(Reply::Group { group, .. }) => Ok(group),
                Ok(Reply::Refused { code, sentence }) => {
                    Err(Error::Refused { code, sentence: sentence.to_owned() })
                }
                _ => Err(Error::Protocol("a reply did not fit its request")),
            });
        })?;
        if let Some(answer) = answer {
            return answer;
        }
    }
    Err(Error::Timeout { after: PATIENCE })
}
