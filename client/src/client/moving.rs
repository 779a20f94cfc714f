//! Messages from queue to queue.

use ringway_protocol::limits::MOVE_MESSAGES_MAX;
use ringway_protocol::reply::Moved;
use ringway_protocol::request::{HeaderFilter, Move};
use ringway_protocol::{GroupId, QueueId, Reply, Request};

use super::Client;
use crate::error::Error;

/// Which messages are moved. [`Default`] moves as many of the group `default` as there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MoveOptions<'a> {
    /// The group whose ready messages are moved; other groups lose nothing by it.
    pub group: GroupId,
    /// Most messages; `None` for as many as the queue had when the move began.
    pub messages_max: Option<u64>,
    /// Only messages with this header; `None` for all.
    pub filter: Option<HeaderFilter<'a>>,
    /// Whether the headers of dead letters are taken off.
    pub redrive: bool,
}

impl Default for MoveOptions<'_> {
    fn default() -> Self {
        Self { group: GroupId::DEFAULT, messages_max: None, filter: None, redrive: false }
    }
}

/// What became of a move.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MovedAll {
    /// Messages that are in their new queue now.
    pub moved: u64,
    /// Messages that were tried last and stayed: their new queue refused them or does not exist.
    pub refused: u64,
}

impl Client {
    /// Moves ready messages to another queue, in their order, request by request until there are
    /// no more.
    ///
    /// Between two shards a message is put before it is acknowledged: if the server ends in
    /// between, or the move takes longer than a minute, it may be there twice, never lost.
    pub fn move_messages(
        &mut self,
        from: QueueId,
        to: QueueId,
        options: &MoveOptions<'_>,
    ) -> Result<MovedAll, Error> {
        self.move_all(from, Some(to), options)
    }

    /// Brings dead letters back to the queues that they came from, without the headers that tell
    /// of their death; those whose queue is gone or full stay.
    ///
    /// ```no_run
    /// # use ringway_client::{Client, HeaderFilter, Options};
    /// # let mut client = Client::connect("127.0.0.1:7311", &Options::default())?;
    /// let dead = client.open("orders.dead")?;
    /// let expired = HeaderFilter { name: "ringway-reason", value: b"expired" };
    /// println!("{} are back", client.redrive(dead, Some(expired))?.moved);
    /// # Ok::<(), ringway_client::Error>(())
    /// ```
    pub fn redrive(
        &mut self,
        dead: QueueId,
        filter: Option<HeaderFilter<'_>>,
    ) -> Result<MovedAll, Error> {
        self.move_all(dead, None, &MoveOptions { filter, redrive: true, ..Default::default() })
    }

    /// Moves messages to the queues that their header `ringway-queue` names.
    pub fn move_home(
        &mut self,
        from: QueueId,
        options: &MoveOptions<'_>,
    ) -> Result<MovedAll, Error> {
        self.move_all(from, None, options)
    }

    fn move_all(
        &mut self,
        from: QueueId,
        to: Option<QueueId>,
        options: &MoveOptions<'_>,
    ) -> Result<MovedAll, Error> {
        let MoveOptions { group, messages_max, filter, redrive } = *options;
        // What arrives during the move is not chased: a queue that is filled as fast as it is
        // emptied would never be done.
        let mut left = match messages_max {
            Some(most) => most,
            None => {
                let figures = self.stat_queue(from)?;
                figures.get(0, "messages").max(figures.get(0, "ready"))
            }
        };
        let mut sum = MovedAll::default();
        while left > 0 {
            let limit = left.min(MOVE_MESSAGES_MAX.into()) as u32;
            let wanted = Request::Move(Move { from, to, group, limit, redrive, filter });
            let Moved { moved, refused, more } = self.call(&wanted, |reply| {
                if let Reply::Moved(moved) = reply { Some(moved) } else { None }
            })?;
            sum.moved += u64::from(moved);
            // What is refused stays in front and is tried again: the last count is the true one.
            sum.refused = refused.into();
            left = left.saturating_sub(moved.into());
            // A request that moved nothing may have looked at messages that the filter leaves; one
            // that was refused something would find the same again.
            if !more || moved == 0 && refused > 0 {
                break;
            }
        }
        Ok(sum)
    }
}
