//! Which requests become errands, and how each kind begins.

use super::among::Change;
use super::begin_spread::check_stretches;
use super::holds::Held;
use super::moving::Move;
use super::publish::{Cut, Publish};
use super::relay::Relay;
use super::runner::{Begun, Runner};
use super::spread::Placing;
use super::tell::Tell;
use super::transfer::{Target, Transfer};
use super::{Task, among};
use crate::limits::PUBLISH_BYTES_MAX;
use crate::path::handoff::NO_SUCH_SHARD;
use crate::path::origin::Origin;
use crate::path::perform::Performer;
use ringway_protocol::{Code, Frame, Header, Kind, QueueId, Records, Rejection, Request, request};

/// The peer that no connection is: its generation has more bits than theirs.
const NOBODY: u64 = 1 << 62;
/// Where options say over how many shards a queue is spread.
const SPREAD_AT: usize = 88;

/// Whether a request about a queue of this shard concerns other shards too. A message's way does
/// not: a put, take, ack or nack that gets here is about one queue, or one part.
#[inline]
pub fn begins_here(performer: &Performer, frame: Frame<'_>) -> bool {
    let hot = Kind::Put as u8..=Kind::Nack as u8;
    !hot.contains(&frame.header.kind) && concerns_others(performer, frame)
}

#[cold]
fn concerns_others(performer: &Performer, frame: Frame<'_>) -> bool {
    let queue = QueueId(frame.body.first_chunk().map_or(0, |id| u64::from_le_bytes(*id)));
    match Kind::from_number(frame.header.kind) {
        Some(Kind::Bind | Kind::Unbind) => true,
        Some(Kind::Delete) => performer.bindings.has(queue) || performer.spreads.has(queue),
        Some(Kind::Declare) => is_spread(performer, frame.body, 4) && frame.body[0] == 1,
        Some(Kind::Alter) => performer.spreads.has(queue) || is_spread(performer, frame.body, 8),
        Some(Kind::Stat | Kind::Purge | Kind::Pause | Kind::Rename) => performer.spreads.has(queue),
        Some(Kind::Group | Kind::Groups | Kind::Remove) => performer.spreads.has(queue),
        _ => false,
    }
}

/// Whether options at a place in a body spread a queue over several shards.
fn is_spread(performer: &Performer, body: &[u8], at: usize) -> bool {
    let field = body.get(at + SPREAD_AT..).and_then(|field| field.first_chunk());
    let wanted = field.map_or(0, |wanted| u16::from_le_bytes(*wanted));
    wanted > 1 && performer.stats.len() > 1
}

impl<S> Runner<'_, S> {
    /// Makes an errand of a request, and takes its first step; or says why not, or which ring is
    /// full. For a connection of another shard no ring is: a shard that may not ask further cannot
    /// hold that connection back.
    pub fn begin(&mut self, origin: Origin, frame: Frame<'_>) -> Result<Begun, Rejection> {
        let request = Request::decode(frame)?;
        let idles = match request {
            Request::Take(take) => take.wait_ms > 0,
            Request::Subscribe(_) => true,
            _ => false,
        };
        self.check_room(idles)?;
        match request {
            Request::Transfer(transfer) => self.transfer(origin, &transfer, frame.body),
            Request::Publish(publish) => self.publish(origin, &publish),
            Request::Move(wanted) => self.begin_move(origin, &wanted, frame.body),
            Request::Bind(binding) | Request::Unbind(binding)
                if binding.queue.shard() != self.here() =>
            {
                self.relay(origin, binding.queue, request.kind(), frame)
            }
            Request::Bind(binding) => self.bind(origin, binding),
            Request::Unbind(binding) => self.unbind(origin, binding),
            Request::Put(put) => self.put_to_parts(origin, &put),
            Request::Take(take) => self.take_from_parts(origin, take),
            Request::Declare { name, options: Some(options) } => {
                self.declare_spread(origin, name, options)
            }
            Request::Alter { queue, options } => self.alter_spread(origin, queue, (options, frame)),
            Request::Delete { queue } if !self.performer.spreads.has(queue) => {
                self.delete(origin, queue)
            }
            Request::Stat { queue: Some(queue) }
            | Request::Purge { queue }
            | Request::Delete { queue }
            | Request::Pause { queue, .. }
            | Request::Rename { queue, .. }
            | Request::Groups { queue }
            | Request::Remove { queue, .. } => self.gather(origin, queue, (request, frame)),
            Request::Group(change) => self.gather(origin, change.queue, (request, frame)),
            Request::Browse(browse) => self.browse_part(origin, &browse),
            Request::Subscribe(subscribe) => self.push_from_parts(origin, &subscribe),
            _ => unreachable!("no other request is an errand"),
        }
    }

    /// Refuses one more errand; those that may `idle` leave room for the others.
    pub(super) fn check_room(&self, idles: bool) -> Result<(), Rejection> {
        if self.errands.is_full(idles) {
            let sentence = "the shard has as many requests under way to others as it may have";
            return Err(Rejection::new(Code::ResourceExhausted, sentence));
        }
        Ok(())
    }

    pub(super) fn check_puts(&self) -> Result<(), Rejection> {
        if self.performer.draining {
            return Err(Rejection::new(Code::Draining, "the server is going down"));
        }
        Ok(())
    }

    /// The first of these shards whose ring is full; refuses if one of them is not there.
    pub(super) fn full(
        &mut self,
        shards: impl IntoIterator<Item = usize>,
    ) -> Result<Option<usize>, Rejection> {
        let (here, known) = (self.here(), self.handoffs.shards());
        for shard in shards.into_iter().filter(|shard| *shard != here) {
            if shard >= known {
                return Err(NO_SUCH_SHARD);
            }
            if !self.handoffs.has_room(shard) {
                return Ok(Some(shard));
            }
        }
        Ok(None)
    }

    fn transfer(
        &mut self,
        origin: Origin,
        transfer: &request::Transfer<'_>,
        body: &[u8],
    ) -> Result<Begun, Rejection> {
        self.check_puts()?;
        let request::Transfer { settle, put } = transfer;
        let from = self.performer.spreads.leased(settle.queue, settle.lease);
        let to = self.target(put)?;
        let full = match &to {
            Target::Whole(to) => self.full([to.shard()])?,
            Target::Split(_, spread, _) => {
                self.full(spread.parts.iter().map(|part| part.shard()))?
            }
        };
        if from.shard() >= self.handoffs.shards() {
            return Err(NO_SUCH_SHARD);
        }
        if let Some(shard) = full {
            return Ok(Begun::Full(shard));
        }
        let length = body.first_chunk().map_or(0, |length| u32::from_le_bytes(*length) as usize);
        let (settle_body, put_body) = body[8..].split_at(length);
        let named = settle.ranges.iter().map(|range| range.count).sum();
        let held = Held::Queue { queue: settle.queue, after: put.queue };
        Ok(self.start((origin, Kind::Transfer), Some(held), |runner, call| {
            let acknowledgement = (from, named, settle_body);
            let (task, step) = Transfer::begin(runner, call, acknowledgement, (to, put_body));
            (Task::Transfer(task), step)
        }))
    }

    /// Where a put goes, whose queue may be spread.
    fn target<'p>(&mut self, put: &'p request::Put<'p>) -> Result<Target<'p>, Rejection> {
        let here = self.here();
        Ok(match self.performer.spreads.place(put, here).transpose()? {
            None => Target::Whole(put.queue),
            Some(Placing::Whole(part)) => Target::Whole(part),
            Some(Placing::Split(default)) => {
                check_stretches(put.records.count())?;
                Target::Split(put, self.spread(put.queue)?, default)
            }
        })
    }

    fn publish(
        &mut self,
        origin: Origin,
        publish: &request::Publish<'_>,
    ) -> Result<Begun, Rejection> {
        self.check_puts()?;
        let (queues, records) = (self.performer.bindings.reached(publish.name)?, publish.records);
        if queues.len().saturating_mul(records.as_bytes().len()) > PUBLISH_BYTES_MAX {
            let sentence = "the batch would be stored more than 64 MiB over: publish fewer at once";
            return Err(Rejection::new(Code::TooLarge, sentence));
        }
        if !self.errands.may_scatter() {
            return Ok(Begun::Later);
        }
        let spreads = &self.performer.spreads;
        if queues.iter().any(|queue| spreads.has(*queue)) {
            return self.publish_to_parts(origin, &queues, records);
        }
        if let Some(shard) = self.full(queues.iter().map(|queue| queue.shard()))? {
            return Ok(Begun::Full(shard));
        }
        Ok(self.start((origin, Kind::Publish), None, |runner, call| {
            runner.errands.scatter(call, queues.len(), records.as_bytes().len());
            let (task, step) = Publish::begin(runner, call, (&queues, &[]), records);
            (Task::Publish(task), step)
        }))
    }

    /// Some of the queues are spread: of each, the batch or its messages go to the parts.
    fn publish_to_parts(
        &mut self,
        origin: Origin,
        queues: &[QueueId],
        records: Records<'_>,
    ) -> Result<Begun, Rejection> {
        let (mut whole, mut split) = (Vec::new(), Vec::new());
        for queue in queues {
            match self.target(&request::Put::new(*queue, records))? {
                Target::Whole(part) => whole.push(part),
                Target::Split(_, spread, default) => {
                    split.push(Cut { queue: *queue, spread, default });
                }
            }
        }
        whole.sort_unstable_by_key(|queue| (queue.shard(), *queue));
        let parts = split.iter().flat_map(|cut| cut.spread.parts.iter());
        if let Some(shard) = self.full(whole.iter().chain(parts).map(|queue| queue.shard()))? {
            return Ok(Begun::Full(shard));
        }
        Ok(self.start((origin, Kind::Publish), None, |runner, call| {
            runner.errands.scatter(call, queues.len(), records.as_bytes().len());
            let (task, step) = Publish::begin(runner, call, (&whole, &split), records);
            (Task::Publish(task), step)
        }))
    }

    fn begin_move(
        &mut self,
        origin: Origin,
        wanted: &request::Move<'_>,
        body: &[u8],
    ) -> Result<Begun, Rejection> {
        self.check_puts()?;
        let parts = self.performer.spreads.parts(wanted.from);
        if wanted.to.is_some_and(|to| to.shard() >= self.handoffs.shards()) {
            return Err(NO_SUCH_SHARD);
        }
        if let Some(shard) = self.full(parts.iter().map(|part| part.shard()))? {
            return Ok(Begun::Full(shard));
        }
        Ok(self.start((origin, Kind::Move), Some(Held::Everything), |runner, call| {
            let (task, step) = Move::begin(runner, call, (wanted, parts), body);
            (Task::Move(task), step)
        }))
    }

    /// The request goes on to the shard of its queue: nothing of its connection overtakes it, and
    /// it overtakes nothing that was put to the queue's parts.
    pub(super) fn relay(
        &mut self,
        origin: Origin,
        queue: QueueId,
        kind: Kind,
        frame: Frame<'_>,
    ) -> Result<Begun, Rejection> {
        let (here, shard) = (self.here(), queue.shard());
        let parts = self.performer.spreads.parts(queue);
        let others = parts.iter().map(|part| part.shard());
        let fences: Vec<usize> = others.filter(|part| *part != here && *part != shard).collect();
        if let Some(shard) = self.full(fences.iter().copied().chain([shard]))? {
            return Ok(Begun::Full(shard));
        }
        Ok(self.start((origin, kind), Some(Held::Everything), |runner, call| {
            let (task, step) = Relay::begin(runner, call, (shard, &fences), frame);
            (Task::Relay(task), step)
        }))
    }

    /// A part of this shard has made dead letters for itself: the queue's own shard is told, and
    /// nobody gets the reply.
    pub fn ask_for_letters(&mut self, part: QueueId) {
        let Some(queue) = self.performer.spreads.whole(part) else { return };
        let header = Header { kind: among::LETTERS, ..Header::request(Kind::Alter, 0, 0) };
        let frame = Frame { header: Header { length: 8, ..header }, body: &queue.0.to_le_bytes() };
        let begun = self.start((self.nobody(), Kind::Alter), None, |runner, call| {
            let (task, step) = Relay::begin(runner, call, (queue.shard(), &[]), frame);
            (Task::Relay(task), step)
        });
        debug_assert!(matches!(begun, Begun::UnderWay(..)), "this asks for no room");
    }

    fn nobody(&self) -> Origin {
        Origin { shard: self.here() as u8, peer: NOBODY, stream: 0, request: 0 }
    }

    fn bind(&mut self, origin: Origin, binding: request::Binding<'_>) -> Result<Begun, Rejection> {
        let (queue, pattern) = (binding.queue, binding.pattern.as_str());
        self.performer.store.stat(queue, self.performer.now)?;
        let (number, made) = self.performer.bindings.bind(queue, pattern)?;
        let change = Change::Bind { number, queue, pattern };
        Ok(self.tell((origin, Kind::Bind), change, u64::from(made)))
    }

    fn unbind(
        &mut self,
        origin: Origin,
        binding: request::Binding<'_>,
    ) -> Result<Begun, Rejection> {
        let (queue, pattern) = (binding.queue, binding.pattern.as_str());
        self.performer.store.stat(queue, self.performer.now)?;
        let removed = self.performer.bindings.remove(queue, pattern);
        let change = Change::Unbind { queue, pattern };
        Ok(self.tell((origin, Kind::Unbind), change, u64::from(removed)))
    }

    fn delete(&mut self, origin: Origin, queue: QueueId) -> Result<Begun, Rejection> {
        let removed = self.performer.delete(queue)?;
        self.performer.bindings.forget(queue);
        Ok(self.tell((origin, Kind::Delete), Change::Forget { queue }, removed))
    }

    /// A queue of this shard has gone by itself: nobody asked, and nobody gets the reply.
    pub fn forget(&mut self, queue: QueueId) {
        if self.performer.bindings.has(queue) {
            self.performer.bindings.forget(queue);
            self.tell((self.nobody(), Kind::Delete), Change::Forget { queue }, 0);
        }
    }

    /// What this shard has changed is told to all others before the reply goes out; also what had
    /// been changed before, since that may still be under way.
    fn tell(&mut self, call: (Origin, Kind), change: Change<'_>, outcome: u64) -> Begun {
        self.performer.stats().requests.add(1);
        self.start(call, None, |runner, call| {
            let (task, step) = Tell::begin(runner, call, change, outcome);
            (Task::Tell(task), step)
        })
    }
}
