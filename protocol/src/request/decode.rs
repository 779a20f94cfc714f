//! A request's frame becomes a value: every field is checked once, here or by its own type.

use super::{
    Binding, Browse, ChangeGroup, Credit, Move, Publish, Put, Request, Sequences, Settle,
    Subscribe, Take, Transfer, queue_id,
};
use crate::bytes::Reader;
use crate::code::{Code, Rejection};
use crate::frame::{self, Frame, Header, Kind, REPLY};
use crate::greeting::Greet;
use crate::id::{LeaseId, QueueId};
use crate::limits::LIST_ENTRIES_MAX;
use crate::name::QueueName;
use crate::options::{LEASE_MS_MAX, OPTIONS_BYTES, QueueOptions};
use crate::push::subscription_id;

impl<'a> Request<'a> {
    /// Gives a frame its meaning. Everything that the wire can check is checked here.
    #[inline]
    pub fn decode(frame: Frame<'a>) -> Result<Self, Rejection> {
        let Header { kind, code, .. } = frame.header;
        if code != 0 {
            return Err(Rejection::malformed("the code of a request is not zero"));
        }
        frame::check_flags(frame.header)?;
        let mut reader = Reader::new(frame.body);
        // A message's way: each arm makes its request where it is returned, and copies nothing.
        match Kind::from_number(kind) {
            Some(Kind::Put) => Ok(Request::Put(Put::decode(reader)?)),
            Some(Kind::Take) => {
                let take = Take::decode(&mut reader)?;
                reader.end()?;
                Ok(Request::Take(take))
            }
            Some(Kind::Ack) => {
                let settle = Settle::decode(Kind::Ack, &mut reader)?;
                reader.end()?;
                Ok(Request::Ack(settle))
            }
            Some(Kind::Nack) => {
                let settle = Settle::decode(Kind::Nack, &mut reader)?;
                reader.end()?;
                Ok(Request::Nack(settle))
            }
            Some(kind) => Self::decode_further(kind, reader),
            None => Err(unknown_kind(kind)),
        }
    }

    /// Everything else, apart so that the hot kinds stay one short function.
    #[inline(never)]
    fn decode_further(kind: Kind, mut rest: Reader<'a>) -> Result<Self, Rejection> {
        let reader = &mut rest;
        let request = match kind {
            Kind::Greet => Request::Greet(Greet::decode(reader.rest())?),
            Kind::Declare => declare(reader)?,
            Kind::Open => Request::Open { name: QueueName::check(reader.rest())? },
            Kind::Stat => {
                let id = reader.u64()?;
                Request::Stat { queue: (id != 0).then_some(QueueId(id)) }
            }
            Kind::List => list(reader)?,
            Kind::Purge => Request::Purge { queue: queue_id(reader)? },
            Kind::Delete => Request::Delete { queue: queue_id(reader)? },
            Kind::Ping => Request::Ping,
            Kind::Echo => Request::Echo(reader.rest()),
            Kind::Credit => Request::Credit(Credit::decode(reader)?),
            Kind::Alter => {
                Request::Alter { queue: queue_id(reader)?, options: QueueOptions::decode(reader)? }
            }
            Kind::Extend => extend(reader)?,
            Kind::Subscribe => Request::Subscribe(Subscribe::decode(reader)?),
            Kind::Unsubscribe => {
                let (queue, subscription) = (queue_id(reader)?, subscription_id(reader)?);
                Request::Unsubscribe { queue, subscription }
            }
            Kind::Group => Request::Group(ChangeGroup::decode(reader)?),
            Kind::Groups => Request::Groups { queue: queue_id(reader)? },
            Kind::Browse => Request::Browse(Browse::decode(reader)?),
            Kind::Remove => {
                let (queue, sequences) = (queue_id(reader)?, Sequences::decode(reader)?);
                Request::Remove { queue, sequences }
            }
            Kind::Move => Request::Move(Move::decode(reader)?),
            Kind::Transfer => Request::Transfer(Transfer::decode(reader)?),
            Kind::Bind => Request::Bind(Binding::decode(reader)?),
            Kind::Unbind => Request::Unbind(Binding::decode(reader)?),
            Kind::Bindings => Request::Bindings { cursor: reader.u64()?, limit: limit(reader)? },
            Kind::Publish => Request::Publish(Publish::decode(reader)?),
            Kind::Rename => {
                let queue = queue_id(reader)?;
                Request::Rename { queue, name: QueueName::check(reader.rest())? }
            }
            Kind::Pause => pause(reader)?,
            Kind::Describe => Request::Describe { queue: queue_id(reader)? },
            Kind::Goodbye => return Err(unknown_kind(kind as u8)),
            Kind::Put | Kind::Take | Kind::Ack | Kind::Nack => {
                unreachable!("a message's way is decoded by the caller")
            }
        };
        rest.end()?;
        Ok(request)
    }
}

fn declare<'a>(reader: &mut Reader<'a>) -> Result<Request<'a>, Rejection> {
    let with_options = reader.u8()?;
    let name_length = usize::from(reader.u8()?);
    reader.reserved(2)?;
    let mut fields = reader.part(OPTIONS_BYTES)?;
    let options = match with_options {
        0 => {
            fields.reserved(OPTIONS_BYTES)?;
            None
        }
        1 => Some(QueueOptions::decode(&mut fields)?),
        _ => return Err(Rejection::malformed("a declaration has options (1) or none (0)")),
    };
    Ok(Request::Declare { name: QueueName::check(reader.bytes(name_length)?)?, options })
}

fn list<'a>(reader: &mut Reader<'a>) -> Result<Request<'a>, Rejection> {
    let (cursor, limit) = (reader.u64()?, limit(reader)?);
    let prefix = match reader.rest() {
        [] => "",
        prefix => QueueName::check(prefix)?,
    };
    Ok(Request::List { cursor, limit, prefix })
}

/// How many entries a page of queues or bindings may have.
fn limit(reader: &mut Reader<'_>) -> Result<u32, Rejection> {
    let limit = reader.u32()?;
    if limit == 0 || limit > LIST_ENTRIES_MAX {
        return Err(Rejection::new(Code::InvalidOption, "a page has 1 to 1,024 entries"));
    }
    Ok(limit)
}

fn extend<'a>(reader: &mut Reader<'a>) -> Result<Request<'a>, Rejection> {
    let (queue, lease, lease_ms) = (queue_id(reader)?, LeaseId(reader.u64()?), reader.u32()?);
    reader.reserved(4)?;
    if lease_ms > LEASE_MS_MAX {
        return Err(Rejection::new(Code::InvalidOption, "a lease lasts up to 12 h"));
    }
    Ok(Request::Extend { queue, lease, lease_ms })
}

fn pause<'a>(reader: &mut Reader<'a>) -> Result<Request<'a>, Rejection> {
    let (queue, what) = (queue_id(reader)?, reader.u8()?);
    reader.reserved(7)?;
    if what > 3 {
        return Err(Rejection::malformed("puts (1), takes (2), both (3) or nothing (0) is paused"));
    }
    Ok(Request::Pause { queue, puts: what & 1 != 0, takes: what & 2 != 0 })
}

#[cold]
fn unknown_kind(kind: u8) -> Rejection {
    if kind & REPLY != 0 {
        return Rejection::new(Code::UnknownKind, "a client sends requests, this is a reply");
    }
    Rejection::new(Code::UnknownKind, "the kind of frame is unknown")
}
