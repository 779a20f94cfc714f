//! A frame about a queue that is spread: to one of its parts where that is enough, else begun as an
//! errand.

use super::promise::Promise;
use super::{Dispatcher, stall};
use crate::limits::{SUBSCRIPTIONS_PER_ASKER_MAX, WAIT_BYTES_MAX};
use crate::path::connection::{Connection, Stall};
use crate::path::decode::Flow;
use crate::path::errand::Runner;
use crate::path::errand::holds::transfer_queues;
use crate::path::errand::spread::Placing;
use crate::path::perform::TOO_MUCH;
use crate::path::queue::TOO_MANY_SUBSCRIPTIONS;
use ringway_protocol::request::Take;
use ringway_protocol::{Code, Frame, Kind, LeaseId, QueueId, Rejection, Request, SubscriptionId};

const NO_SUCH_SUBSCRIPTION: Rejection = Rejection::new(
    Code::NoSuchLease,
    "this connection has no such subscription: it has ended, or was never there",
);

const IS_A_PART: Rejection = Rejection::new(
    Code::NoSuchQueue,
    "that is a part of a spread queue: use the id that an open of its name returns",
);

impl<S> Dispatcher<'_, S> {
    /// Serves a frame about a spread queue; `None` if it is about none, or has no meaning.
    pub(super) fn dispatch_spread(
        &mut self,
        connection: &mut Connection<S>,
        peer: u64,
        frame: Frame<'_>,
    ) -> Option<Flow> {
        let here = self.performer.shard;
        let kind = Kind::from_number(frame.header.kind)?;
        let number = |at: usize| {
            let bytes = frame.body.get(at..)?.first_chunk()?;
            Some(u64::from_le_bytes(*bytes))
        };
        if matches!(kind, Kind::Transfer | Kind::Move) {
            let (from, to) = match kind {
                Kind::Transfer => transfer_queues(frame.body),
                _ => (number(0).map(QueueId), number(8).map(QueueId)),
            };
            // A queue of a shard that is not there is refused as if none were spread.
            let shards = self.handoffs.shards();
            if [from, to].into_iter().flatten().any(|queue| queue.shard() >= shards) {
                return None;
            }
            let is_spread = |queue: QueueId| self.performer.spreads.get(queue).is_some();
            let any = from.is_some_and(is_spread) || to.is_some_and(is_spread);
            return any.then(|| self.begin(connection, peer, frame));
        }
        if self.administers_part(kind, || number(0)) {
            return Some(self.refuse(connection, peer, frame, IS_A_PART));
        }
        if !is_about_one(kind) {
            return None;
        }
        let spread = self.performer.spreads.get(QueueId(number(0)?))?;
        Some(match kind {
            Kind::Put => {
                let Ok(Request::Put(put)) = Request::decode(frame) else { return None };
                match self.performer.spreads.place(&put, here)? {
                    Ok(Placing::Whole(part)) => self.serve_part(connection, peer, part, frame),
                    Ok(Placing::Split(_)) => self.begin(connection, peer, frame),
                    Err(why) => self.refuse(connection, peer, frame, why),
                }
            }
            Kind::Take => {
                let own = spread.on(here).map(|own| spread.parts[own]);
                let Ok(Request::Take(take)) = Request::decode(frame) else { return None };
                self.take_spread(connection, peer, (take, own), frame)
            }
            Kind::Subscribe => {
                let Ok(Request::Subscribe(subscribe)) = Request::decode(frame) else { return None };
                if connection.holds.idle_count() >= SUBSCRIPTIONS_PER_ASKER_MAX as usize {
                    return Some(self.refuse(connection, peer, frame, TOO_MANY_SUBSCRIPTIONS));
                }
                let bytes = subscribe.credit_bytes() as usize;
                self.begin_promising(connection, peer, Promise { bytes, waits: true }, frame)
            }
            Kind::Credit | Kind::Unsubscribe => {
                let subscription = SubscriptionId(number(8)?);
                self.change_subscription(connection, peer, subscription, frame)?
            }
            // A lease knows its shard.
            Kind::Ack | Kind::Nack | Kind::Extend => {
                let queue = spread.parts[0];
                let part = self.performer.spreads.leased(queue, LeaseId(number(8)?));
                self.serve_part(connection, peer, part, frame)
            }
            _ => self.begin(connection, peer, frame),
        })
    }

    /// Whether a frame would do to one part what concerns the whole queue.
    fn administers_part(&self, kind: Kind, number: impl Fn() -> Option<u64>) -> bool {
        let hot = Kind::Put as u8..=Kind::Nack as u8;
        let named =
            is_about_one(kind) || matches!(kind, Kind::Bind | Kind::Unbind | Kind::Describe);
        let queue = if named && !hot.contains(&(kind as u8)) { number() } else { None };
        queue.is_some_and(|queue| self.performer.spreads.whole(QueueId(queue)).is_some())
    }

    /// Serves a frame as one about a part, here or on its shard.
    fn serve_part(
        &mut self,
        connection: &mut Connection<S>,
        peer: u64,
        part: QueueId,
        frame: Frame<'_>,
    ) -> Flow {
        if part.shard() != self.performer.shard {
            return self.forward(connection, peer, (part.shard(), Some(part)), frame);
        }
        let asker = self.asker(connection, peer, frame.header);
        let outbox = &mut connection.outbox;
        let performed = self.performer.perform_on(part, asker, frame, outbox);
        Self::performed(connection, performed)
    }

    /// Takes from the own part; if it has nothing, the others are asked.
    fn take_spread(
        &mut self,
        connection: &mut Connection<S>,
        peer: u64,
        (take, own): (Take, Option<QueueId>),
        frame: Frame<'_>,
    ) -> Flow {
        if let Some(queue) = own {
            let asker = self.asker(connection, peer, frame.header);
            let own = Take { queue, ..take };
            match self.performer.take_ready(asker, &own, &mut connection.outbox) {
                Ok(Some(performed)) => return Self::performed(connection, performed),
                Ok(None) => {}
                Err(why) => return self.refuse(connection, peer, frame, why),
            }
        }
        self.begin_promising(connection, peer, Promise::of(&take), frame)
    }

    /// Begins an errand that may bring its connection so much.
    fn begin_promising(
        &mut self,
        connection: &mut Connection<S>,
        peer: u64,
        promise: Promise,
        frame: Frame<'_>,
    ) -> Flow {
        match promise.is_due(connection) {
            Ok(true) => {}
            Ok(false) => return stall(connection, Stall::InFlight),
            Err(why) => return self.refuse(connection, peer, frame, why),
        }
        let before = connection.elsewhere;
        let flow = self.begin(connection, peer, frame);
        if connection.elsewhere > before {
            promise.make(connection);
        }
        flow
    }
}

impl<S> Dispatcher<'_, S> {
    /// Credit for a subscription to all parts, or its end; `None` if the frame has no meaning.
    fn change_subscription(
        &mut self,
        connection: &mut Connection<S>,
        peer: u64,
        subscription: SubscriptionId,
        frame: Frame<'_>,
    ) -> Option<Flow> {
        let Ok(request) = Request::decode(frame) else { return None };
        let Some((name, before)) = self.errands.subscription(subscription, peer) else {
            return Some(self.refuse(connection, peer, frame, NO_SUCH_SUBSCRIPTION));
        };
        if let Request::Credit(credit) = &request {
            let promised = connection.promised - before as usize + credit.credit_bytes() as usize;
            if promised > WAIT_BYTES_MAX {
                return Some(self.refuse(connection, peer, frame, TOO_MUCH));
            }
            connection.promised = promised;
        }
        let origin = self.asker(connection, peer, frame.header).origin;
        let Self { errands, performer, handoffs, .. } = self;
        let mut runner = Runner { errands, performer, handoffs };
        let (changing, held) = runner.change_subscription(name, origin, &request);
        connection.elsewhere += 1;
        connection.holds.add(changing, held);
        Some(Flow::Next)
    }
}

/// Whether a request of this kind is about the one queue whose id its body starts with.
fn is_about_one(kind: Kind) -> bool {
    match kind {
        Kind::Put | Kind::Take | Kind::Ack | Kind::Nack | Kind::Extend | Kind::Stat => true,
        Kind::Purge | Kind::Delete | Kind::Alter | Kind::Rename | Kind::Pause => true,
        Kind::Credit | Kind::Subscribe | Kind::Unsubscribe => true,
        Kind::Group | Kind::Groups | Kind::Browse | Kind::Remove => true,
        Kind::Greet | Kind::Goodbye | Kind::Ping | Kind::Echo => false,
        Kind::Declare | Kind::Open | Kind::List | Kind::Bindings => false,
        Kind::Transfer | Kind::Move | Kind::Bind | Kind::Unbind | Kind::Publish => false,
        // Its first part knows.
        Kind::Describe => false,
    }
}
