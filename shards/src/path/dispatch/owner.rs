//! Which shard must serve a frame: the only place that knows where a queue lives.

use crate::path::errand::holds::transfer_queues;
use crate::path::handoff::NO_SUCH_SHARD;
use ringway_protocol::name::shard_of;
use ringway_protocol::options::OPTIONS_BYTES;
use ringway_protocol::{Frame, Kind, QueueId, QueueName, Rejection};

/// Who must serve a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// This shard; anything that no shard owns is served where it arrived.
    Shard(usize),
    /// More than one: it is an errand of the shard where it arrived.
    Several,
}

/// Who must serve a frame that arrived here.
#[inline]
pub fn owner(frame: Frame<'_>, here: usize, shards: usize) -> Result<Owner, Rejection> {
    let named = |bytes: &[u8]| QueueName::check(bytes).map(|name| shard_of(name, shards));
    let number = frame.body.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes));
    let shard = match (Kind::from_number(frame.header.kind), number) {
        (Some(kind), Some(id)) if names_its_queue(kind) => QueueId(id).shard(),
        (Some(kind), Some(_)) if may_be_of_several(kind) => {
            return owners(kind, frame.body, here, shards);
        }
        (Some(Kind::Stat), Some(id)) if id != 0 => QueueId(id).shard(),
        (Some(Kind::List), Some(cursor)) => (cursor >> 32) as usize,
        (Some(Kind::Open), _) => named(frame.body)?,
        (Some(Kind::Declare), _) => match frame.body.get(4 + OPTIONS_BYTES..) {
            Some(name) => named(name)?,
            None => here,
        },
        _ => here,
    };
    if shard < shards { Ok(Owner::Shard(shard)) } else { Err(NO_SUCH_SHARD) }
}

/// Whether the body of a request of this kind starts with the id of the one queue that it is about.
#[inline]
fn names_its_queue(kind: Kind) -> bool {
    match kind {
        Kind::Put | Kind::Take | Kind::Ack | Kind::Nack => true,
        Kind::Purge | Kind::Delete | Kind::Alter | Kind::Rename | Kind::Pause => true,
        Kind::Credit | Kind::Subscribe | Kind::Unsubscribe | Kind::Extend => true,
        Kind::Group | Kind::Groups | Kind::Browse | Kind::Remove => true,
        Kind::Greet | Kind::Goodbye | Kind::Ping | Kind::Echo => false,
        Kind::Declare | Kind::Open | Kind::Stat | Kind::List | Kind::Bindings => false,
        Kind::Transfer | Kind::Move | Kind::Bind | Kind::Unbind | Kind::Publish => false,
    }
}

#[inline]
fn may_be_of_several(kind: Kind) -> bool {
    matches!(kind, Kind::Transfer | Kind::Move | Kind::Bind | Kind::Unbind | Kind::Publish)
}

/// An acknowledgement with a put, or a move, belongs to the shard of both queues if that is one.
/// What changes or follows the bindings concerns every shard, and a queue's own shard begins to
/// tell of its changes.
#[cold]
fn owners(kind: Kind, body: &[u8], here: usize, shards: usize) -> Result<Owner, Rejection> {
    let id_at = |at: usize| {
        let id = body.get(at..)?.first_chunk()?;
        Some(QueueId(u64::from_le_bytes(*id)))
    };
    let (one, other) = match kind {
        Kind::Transfer => transfer_queues(body),
        Kind::Bind | Kind::Unbind => (id_at(0), id_at(0)),
        Kind::Move if id_at(8) == Some(QueueId(0)) => {
            let known = id_at(0).is_none_or(|from| from.shard() < shards);
            return if known { Ok(Owner::Several) } else { Err(NO_SUCH_SHARD) };
        }
        Kind::Move => (id_at(0), id_at(8)),
        _ => return Ok(Owner::Several),
    };
    // What ends too early is refused where it arrived.
    let (Some(one), Some(other)) = (one, other) else { return Ok(Owner::Shard(here)) };
    if one.shard() >= shards || other.shard() >= shards {
        return Err(NO_SUCH_SHARD);
    }
    let told = matches!(kind, Kind::Bind | Kind::Unbind);
    if one.shard() == other.shard() && (!told || one.shard() == here) {
        Ok(Owner::Shard(one.shard()))
    } else {
        Ok(Owner::Several)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringway_protocol::Code;
    use ringway_protocol::limits::FRAME_BYTES_MAX;
    use ringway_protocol::pattern::Pattern;
    use ringway_protocol::request::{Binding, Move};
    use ringway_protocol::{GroupId, Request};

    /// The owner of a request, 99 for several, or the code of its refusal.
    fn check(request: Request<'_>, expected: Result<usize, Code>) {
        let several = |shard| if shard == 99 { Owner::Several } else { Owner::Shard(shard) };
        let expected = expected.map(several);
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

    #[test]
    fn requests_about_several_queues_are_of_their_shard_or_of_several() {
        let queue = |shard| QueueId::new(1, shard, 7);
        let moving = |from, to| {
            let (from, to, group) = (queue(from), to, GroupId::DEFAULT);
            Request::Move(Move { from, to, group, limit: 1, redrive: false, filter: None })
        };
        let binding = |shard| {
            let pattern = Pattern::new("a.>").expect("a valid pattern");
            Binding { queue: queue(shard), pattern }
        };
        check(moving(3, Some(QueueId::new(2, 3, 8))), Ok(3));
        check(moving(3, Some(queue(2))), Ok(99));
        check(moving(3, Some(queue(4))), Err(Code::NoSuchQueue));
        check(moving(3, None), Ok(99));
        check(moving(4, Some(queue(3))), Err(Code::NoSuchQueue));
        check(Request::Bind(binding(1)), Ok(1));
        check(Request::Unbind(binding(2)), Ok(99));
        check(Request::Bind(binding(9)), Err(Code::NoSuchQueue));
    }
}
