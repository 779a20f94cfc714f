//! A frame to its owner: the only place that knows where a queue lives.

use crate::limits::{OUTBOUND_BYTES_MAX, WAIT_BYTES_MAX};
mod reception;

pub use reception::Reception;

use crate::path::connection::{Connection, Phase, Stall};
use crate::path::decode::Flow;
use crate::path::handoff::Handoffs;
use crate::path::origin::Origin;
use crate::path::perform::{Asker, Performed, Performer, promised_bytes};
use ringway_protocol::name::shard_of;
use ringway_protocol::{Code, Frame, Header, Kind, QueueId, QueueName, Rejection, Request};

/// Where frames go from here.
pub struct Dispatcher<'a, S> {
    /// Carries out what belongs to this shard.
    pub performer: &'a mut Performer,
    /// Leads to the other shards.
    pub handoffs: &'a mut Handoffs<S>,
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
        if let Some(stall) = connection.must_wait() {
            connection.stall = Some(stall);
            return Flow::Stall;
        }
        connection.frames += 1;
        match owner(frame, self.performer.shard, self.handoffs.shards()) {
            Ok(shard) if shard == self.performer.shard => self.serve(connection, peer, frame),
            Ok(shard) => self.forward(connection, peer, shard, frame),
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
        let asker = self.asker(connection, peer, frame.header);
        let performed = self.performer.perform(asker, frame, &mut connection.outbox);
        match performed {
            Performed::Answered | Performed::Delivered(_) => {}
            Performed::Waiting(promised) => {
                connection.waiting += 1;
                connection.promised += promised;
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

    fn forward(
        &mut self,
        connection: &mut Connection<S>,
        peer: u64,
        shard: usize,
        frame: Frame<'_>,
    ) -> Flow {
        let (mut promised, mut waits) = (0, false);
        if frame.header.kind == Kind::Take as u8 {
            let take = match Request::decode(frame) {
                Ok(Request::Take(take)) => take,
                Ok(_) => unreachable!("the kind was looked at"),
                Err(why) => return self.refuse(connection, peer, frame, why),
            };
            promised = promised_bytes(&take);
            if take.wait_ms > 0 && connection.promised + promised > WAIT_BYTES_MAX {
                let sentence =
                    "the waiting takes of this connection ask for more than 8 MiB together";
                let why = Rejection::new(Code::TooManyWaits, sentence);
                return self.refuse(connection, peer, frame, why);
            }
            let owed = connection.expected + connection.owed;
            if take.wait_ms == 0 && owed + promised > OUTBOUND_BYTES_MAX {
                connection.stall = Some(Stall::InFlight);
                return Flow::Stall;
            }
            waits = take.wait_ms > 0;
        }
        if !self.handoffs.has_room(shard) {
            self.performer.stats().handoffs_full.add(1);
            connection.stall = Some(Stall::Handoff(shard));
            return Flow::Stall;
        }
        self.handoffs.ask(shard, peer, frame, self.performer.stats());
        connection.elsewhere += 1;
        if waits {
            connection.waits_elsewhere = true;
            connection.promised += promised;
        } else {
            connection.expected += promised;
        }
        Flow::Next
    }
}

/// The shard that must serve a frame; anything that no shard owns is served where it arrived.
#[inline]
fn owner(frame: Frame<'_>, here: usize, shards: usize) -> Result<usize, Rejection> {
    let named = |bytes: &[u8]| QueueName::check(bytes).map(|name| shard_of(name, shards));
    let number = frame.body.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes));
    let shard = match (Kind::from_number(frame.header.kind), number) {
        (Some(kind), Some(id)) if names_its_queue(kind) => QueueId(id).shard(),
        // The ack comes first in its body, after a length and four zeros.
        (Some(Kind::Transfer), _) => match frame.body.get(8..).and_then(|ack| ack.first_chunk()) {
            Some(id) => QueueId(u64::from_le_bytes(*id)).shard(),
            None => here,
        },
        (Some(Kind::Stat), Some(id)) if id != 0 => QueueId(id).shard(),
        (Some(Kind::List), Some(cursor)) => (cursor >> 32) as usize,
        (Some(Kind::Open), _) => named(frame.body)?,
        (Some(Kind::Declare), _) => {
            match frame.body.get(4 + ringway_protocol::options::OPTIONS_BYTES..) {
                Some(name) => named(name)?,
                None => here,
            }
        }
        _ => here,
    };
    if shard < shards {
        Ok(shard)
    } else {
        Err(Rejection::new(Code::NoSuchQueue, "no shard of this plane can own that queue"))
    }
}

/// Whether the body of a request of this kind starts with the id of the queue that it is about.
#[inline]
fn names_its_queue(kind: Kind) -> bool {
    match kind {
        Kind::Put | Kind::Take | Kind::Ack | Kind::Nack => true,
        Kind::Purge | Kind::Delete | Kind::Alter | Kind::Rename | Kind::Pause => true,
        Kind::Credit | Kind::Subscribe | Kind::Unsubscribe | Kind::Extend => true,
        Kind::Group | Kind::Groups | Kind::Browse | Kind::Remove | Kind::Move => true,
        Kind::Bind | Kind::Unbind => true,
        Kind::Greet | Kind::Goodbye | Kind::Ping | Kind::Echo => false,
        Kind::Declare | Kind::Open | Kind::Stat | Kind::List => false,
        Kind::Transfer | Kind::Bindings | Kind::Publish => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringway_protocol::limits::FRAME_BYTES_MAX;

    /// The owner of a request, as a number, or the code of its refusal.
    fn check(request: Request<'_>, expected: Result<usize, Code>) {
        let mut bytes = Vec::new();
        request.encode(0, 1, &mut bytes);
        let ringway_protocol::Split::Frame(frame) =
            ringway_protocol::frame::split(&bytes, FRAME_BYTES_MAX).expect("a valid frame")
        else {
            panic!("a whole frame");
        };
        assert_eq!(owner(frame, 1, 4).map_err(|why| why.code), expected, "{request:?}");
    }

    #[test]
    fn every_request_finds_its_owner() {
        let name = "orders";
        let home = shard_of(name, 4);
        check(Request::Open { name }, Ok(home));
        check(Request::Declare { name, options: None }, Ok(home));
        check(Request::Purge { queue: QueueId::new(1, 3, 7) }, Ok(3));
        check(Request::Groups { queue: QueueId::new(1, 3, 7) }, Ok(3));
        check(Request::Rename { queue: QueueId::new(1, 2, 7), name }, Ok(2));
        check(Request::Bindings { cursor: 0, limit: 1 }, Ok(1));
        check(Request::Delete { queue: QueueId::new(1, 4, 7) }, Err(Code::NoSuchQueue));
        check(Request::Stat { queue: Some(QueueId::new(9, 2, 0)) }, Ok(2));
        check(Request::Stat { queue: None }, Ok(1));
        check(Request::List { cursor: 3 << 32, limit: 1, prefix: "" }, Ok(3));
        check(Request::List { cursor: 4 << 32, limit: 1, prefix: "" }, Err(Code::NoSuchQueue));
        check(Request::Ping, Ok(1));
        check(Request::Echo(b"12345678"), Ok(1));
    }
}
