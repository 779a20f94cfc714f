//! How requests about spread queues become errands.

use super::holds::Held;
use super::runner::{Begun, Runner};
use super::spread::{
    BrowsePart, Gather, Make, Placing, Remove, Spread, SpreadPush, SpreadPut, SpreadTake, part_of,
};
use super::{CHANGING, Task};
use crate::path::origin::Origin;
use crate::path::perform::promised_bytes;
use ringway_protocol::limits::PUT_STRETCHES_MAX;
use ringway_protocol::request::{Browse, GroupOperation, Put, Subscribe, Take};
use ringway_protocol::{Code, Frame, Kind, QueueId, QueueOptions, Rejection, Request};
use std::rc::Rc;

const NO_SUCH_QUEUE: Rejection =
    Rejection::new(Code::NoSuchQueue, "the queue was deleted, or is not spread any more");

/// Refuses a batch of more messages than a receipt can name one by one.
pub(super) fn check_stretches(messages: u32) -> Result<(), Rejection> {
    if messages > PUT_STRETCHES_MAX {
        let sentence = "a batch for several parts has up to 4,096 messages";
        return Err(Rejection::new(Code::TooLarge, sentence));
    }
    Ok(())
}

impl<S> Runner<'_, S> {
    pub(super) fn spread(&self, queue: QueueId) -> Result<Rc<Spread>, Rejection> {
        self.performer.spreads.get(queue).cloned().ok_or(NO_SUCH_QUEUE)
    }

    /// The messages of a batch go to several parts.
    pub(super) fn put_to_parts(
        &mut self,
        origin: Origin,
        put: &Put<'_>,
    ) -> Result<Begun, Rejection> {
        self.check_puts()?;
        let spread = self.spread(put.queue)?;
        let here = self.here();
        let default = match self.performer.spreads.place(put, here).transpose()? {
            Some(Placing::Split(default)) => default,
            Some(Placing::Whole(part)) => spread.on(part.shard()).unwrap_or(0),
            None => 0,
        };
        check_stretches(put.records.count())?;
        if let Some(shard) = self.full(spread.parts.iter().map(|part| part.shard()))? {
            return Ok(Begun::Full(shard));
        }
        Ok(self.start((origin, Kind::Put), None, |runner, call| {
            let (task, step) = SpreadPut::begin(runner, call, (put, &spread, default));
            (Task::SpreadPut(task), step)
        }))
    }

    /// The own part has nothing: the others are asked.
    pub(super) fn take_from_parts(
        &mut self,
        origin: Origin,
        take: Take,
    ) -> Result<Begun, Rejection> {
        let spread = self.spread(take.queue)?;
        let own = spread.on(self.here());
        let first = self.performer.spreads.turn() % spread.parts.len();
        if let Some(shard) = self.full(spread.parts.iter().map(|part| part.shard()))? {
            return Ok(Begun::Full(shard));
        }
        Ok(self.start((origin, Kind::Take), Some(Held::Nothing), |runner, call| {
            call.promise = (promised_bytes(&take) as u32, take.wait_ms > 0);
            if take.wait_ms > 0 {
                runner.errands.let_idle(call);
            }
            let parts = (&spread.parts[..], own, first);
            let (task, step) = SpreadTake::begin(runner, call, take, parts);
            (Task::SpreadTake(task), step)
        }))
    }

    /// A page of the part that the cursor names.
    pub(super) fn browse_part(
        &mut self,
        origin: Origin,
        browse: &Browse,
    ) -> Result<Begun, Rejection> {
        let spread = self.spread(browse.queue)?;
        let number = part_of(browse.cursor);
        let Some(part) = spread.parts.get(number) else {
            let sentence = "the cursor is none that a page of this queue returned";
            return Err(Rejection::new(Code::InvalidOption, sentence));
        };
        if let Some(shard) = self.full([part.shard()])? {
            return Ok(Begun::Full(shard));
        }
        let asked = (*part, number + 1 == spread.parts.len());
        Ok(self.start((origin, Kind::Browse), None, |runner, call| {
            let (task, step) = BrowsePart::begin(runner, call, browse, asked);
            (Task::BrowsePart(task), step)
        }))
    }

    /// A subscription to every part.
    pub(super) fn push_from_parts(
        &mut self,
        origin: Origin,
        subscribe: &Subscribe,
    ) -> Result<Begun, Rejection> {
        let spread = self.spread(subscribe.queue)?;
        if let Some(shard) = self.full(spread.parts.iter().map(|part| part.shard()))? {
            return Ok(Begun::Full(shard));
        }
        Ok(self.start((origin, Kind::Subscribe), Some(Held::Nothing), |runner, call| {
            runner.errands.let_idle(call);
            let (task, step) = SpreadPush::begin(runner, call, (subscribe, &spread));
            (Task::SpreadPush(task), step)
        }))
    }

    /// A subscription to every part is changed, or ended; other requests of its connection wait.
    pub fn change_subscription(
        &mut self,
        name: u64,
        origin: Origin,
        request: &Request<'_>,
    ) -> (u64, Held) {
        self.change_push(name, |push, runner, call| match request {
            Request::Credit(credit) => push.credit(runner, call, (credit, origin)),
            _ => push.unsubscribe(runner, call, origin),
        });
        (name | CHANGING, Held::Everything)
    }

    /// Asks all parts, on the home shard; other shards pass the request on to it.
    pub(super) fn gather(
        &mut self,
        origin: Origin,
        queue: QueueId,
        (request, frame): (Request<'_>, Frame<'_>),
    ) -> Result<Begun, Rejection> {
        let kind = request.kind();
        if queue.shard() != self.here() {
            return self.relay(origin, queue, kind, frame);
        }
        let spread = self.spread(queue)?;
        let refused = match kind {
            Kind::Rename => Some((Code::OtherShard, "the name of a spread queue places its parts")),
            Kind::Group if wants_single_active(&request) => {
                Some((Code::Unsupported, "the parts of a spread queue have a consumer each"))
            }
            _ => None,
        };
        if let Some((code, sentence)) = refused {
            return Err(Rejection::new(code, sentence));
        }
        Ok(self.start((origin, kind), Some(Held::Everything), |runner, call| match request {
            Request::Delete { .. } => {
                let (task, step) = Remove::begin(runner, call, (queue, &spread.parts));
                (Task::Remove(task), step)
            }
            Request::Remove { sequences, .. } => {
                let (task, step) = Gather::begin_removal(runner, call, &spread.parts, sequences);
                (Task::Gather(task), step)
            }
            _ => {
                let (task, step) = Gather::begin(runner, call, &spread.parts, frame);
                (Task::Gather(task), step)
            }
        }))
    }

    /// A queue that is to be spread is declared.
    pub(super) fn declare_spread(
        &mut self,
        origin: Origin,
        name: &str,
        options: QueueOptions,
    ) -> Result<Begun, Rejection> {
        let mut make = Make::declare(self, name, options)?;
        Ok(self.start((origin, Kind::Declare), None, |runner, call| {
            let step = make.begin(runner, call);
            (Task::Make(make), step)
        }))
    }

    /// A part has made dead letters for itself: they are to lie on as many shards as their queue.
    pub fn make_letters(&mut self, origin: Origin, queue: QueueId) -> Result<Begun, Rejection> {
        self.spread(queue)?;
        self.check_room(false)?;
        let make = Make::dead_letters(self, queue)?;
        let mut make = make.ok_or(NO_SUCH_QUEUE)?;
        Ok(self.start((origin, Kind::Alter), None, |runner, call| {
            let step = make.begin(runner, call);
            (Task::Make(make), step)
        }))
    }

    /// A spread queue, or one that is to be spread, gets other options.
    pub(super) fn alter_spread(
        &mut self,
        origin: Origin,
        queue: QueueId,
        (options, frame): (QueueOptions, Frame<'_>),
    ) -> Result<Begun, Rejection> {
        if queue.shard() != self.here() {
            return self.relay(origin, queue, Kind::Alter, frame);
        }
        let mut make = Make::alter(self, queue, options)?;
        Ok(self.start((origin, Kind::Alter), Some(Held::Everything), |runner, call| {
            let step = make.begin(runner, call);
            (Task::Make(make), step)
        }))
    }
}

/// Whether a group is to have a single active consumer.
fn wants_single_active(request: &Request<'_>) -> bool {
    let Request::Group(change) = request else { return false };
    match change.operation {
        GroupOperation::Create { flags, .. } | GroupOperation::Alter { flags } => {
            flags.single_active
        }
        GroupOperation::Delete => false,
    }
}
