//! A frame to its owner: served here, handed to another shard, or begun as an errand of several.

mod owner;
mod pace;
mod promise;
mod reception;
mod spread;

pub use reception::Reception;

use crate::limits::WAIT_BYTES_MAX;
use crate::path::connection::{Connection, Phase, Stall};
use crate::path::decode::Flow;
use crate::path::errand::{Begun, Errands, Runner, begins_here};
use crate::path::handoff::Handoffs;
use crate::path::origin::Origin;
use crate::path::perform::{Asker, Performed, Performer};
use owner::{Owner, owner};
use promise::promise;
use ringway_protocol::{Frame, Header, Kind, QueueId, Rejection};

/// Where frames go from here.
pub struct Dispatcher<'a, S> {
    /// Carries out what belongs to this shard.
    pub performer: &'a mut Performer,
    /// Leads to the other shards.
    pub handoffs: &'a mut Handoffs<S>,
    /// Carries out what concerns several shards.
    pub errands: &'a mut Errands,
    /// Welcomes new peers.
    pub reception: &'a Reception,
}

impl<S> Dispatcher<'_, S> {
    /// Serves one frame of a connection: here, or by handing it to its owner.
    #[inline]
    pub fn dispatch(
        &mut self,
        connection: &mut Connection<S>,
        peer: u64,
        frame: Frame<'_>,
    ) -> Flow {
        if connection.phase != Phase::Ready {
            return self.greet(connection, frame);
        }
        if let Some(why) = connection.must_wait() {
            return stall(connection, why);
        }
        if !connection.holds.is_empty() && connection.holds.hold_back(frame) {
            return stall(connection, Stall::Errand);
        }
        connection.frames += 1;
        if self.reception.connection_puts_max > 0
            && let Err(why) = self.pace(connection, frame)
        {
            return self.refuse(connection, peer, frame, why);
        }
        let flow = self.send_on(connection, peer, frame);
        connection.counted &= flow == Flow::Stall;
        flow
    }

    /// To who must serve a frame that may be served now.
    #[inline]
    fn send_on(&mut self, connection: &mut Connection<S>, peer: u64, frame: Frame<'_>) -> Flow {
        if !self.performer.spreads.is_empty()
            && let Some(flow) = self.dispatch_spread(connection, peer, frame)
        {
            return flow;
        }
        match owner(frame, self.performer.shard, self.handoffs.shards()) {
            Ok(Owner::Shard(shard)) if shard == self.performer.shard => {
                self.serve(connection, peer, frame)
            }
            Ok(Owner::Shard(shard)) => self.forward(connection, peer, (shard, None), frame),
            Ok(Owner::Several) => self.begin(connection, peer, frame),
            Err(why) => self.refuse(connection, peer, frame, why),
        }
    }

    #[inline]
    fn asker(&self, connection: &Connection<S>, peer: u64, header: Header) -> Asker {
        let shard = self.performer.shard as u8;
        Asker {
            origin: Origin { shard, peer, stream: header.stream, request: header.request },
            wait_bytes: WAIT_BYTES_MAX - connection.promised,
            may_pin: true,
        }
    }

    #[inline]
    fn serve(&mut self, connection: &mut Connection<S>, peer: u64, frame: Frame<'_>) -> Flow {
        if begins_here(self.performer, frame) {
            return self.begin(connection, peer, frame);
        }
        let asker = self.asker(connection, peer, frame.header);
        let performed = self.performer.perform(asker, frame, &mut connection.outbox);
        Self::performed(connection, performed)
    }

    #[inline]
    fn performed(connection: &mut Connection<S>, performed: Performed) -> Flow {
        match performed {
            Performed::Answered | Performed::Delivered(_) => {}
            Performed::Waiting(promised) => {
                connection.waiting += 1;
                connection.promised += promised;
            }
            Performed::Promising(more) => {
                let promised = connection.promised.checked_add_signed(more as isize);
                connection.promised = promised.expect("what is promised less was promised");
            }
            Performed::Broken(why) => {
                connection.part(Some(why));
                return Flow::Close;
            }
        }
        Flow::Next
    }

    #[cold]
    fn refuse(
        &mut self,
        connection: &mut Connection<S>,
        peer: u64,
        frame: Frame<'_>,
        why: Rejection,
    ) -> Flow {
        let asker = self.asker(connection, peer, frame.header);
        let kind = Kind::from_number(frame.header.kind);
        match self.performer.refuse(asker, kind, why, &mut connection.outbox) {
            Performed::Broken(why) => {
                connection.part(Some(why));
                Flow::Close
            }
            _ => Flow::Next,
        }
    }

    /// Begins an errand: several shards carry the request out.
    fn begin(&mut self, connection: &mut Connection<S>, peer: u64, frame: Frame<'_>) -> Flow {
        let origin = self.asker(connection, peer, frame.header).origin;
        let Self { errands, performer, handoffs, .. } = self;
        match (Runner { errands, performer, handoffs }).begin(origin, frame) {
            Ok(Begun::UnderWay(errand, held)) => {
                connection.elsewhere += 1;
                held.into_iter().for_each(|held| connection.holds.add(errand, held));
                Flow::Next
            }
            Ok(Begun::Full(shard)) => self.wait_for_room(connection, shard),
            Ok(Begun::Later) => stall(connection, Stall::Scattered),
            Err(why) => self.refuse(connection, peer, frame, why),
        }
    }

    fn wait_for_room(&mut self, connection: &mut Connection<S>, shard: usize) -> Flow {
        self.performer.stats().handoffs_full.add(1);
        stall(connection, Stall::Handoff(shard))
    }

    /// Hands a frame to another shard; there it is about `part`, if that is given.
    fn forward(
        &mut self,
        connection: &mut Connection<S>,
        peer: u64,
        (shard, part): (usize, Option<QueueId>),
        frame: Frame<'_>,
    ) -> Flow {
        let promise = match promise(connection, frame) {
            Ok(Some(promise)) => promise,
            Ok(None) => return stall(connection, Stall::InFlight),
            Err(why) => return self.refuse(connection, peer, frame, why),
        };
        if !self.handoffs.has_room(shard) {
            return self.wait_for_room(connection, shard);
        }
        self.handoffs.ask(shard, (peer, promise), (frame, part), self.performer.stats());
        connection.elsewhere += 1;
        connection.asks_elsewhere |= promise.bytes > 0;
        promise.make(connection);
        Flow::Next
    }
}

fn stall<S>(connection: &mut Connection<S>, why: Stall) -> Flow {
    connection.stall = Some(why);
    Flow::Stall
}
