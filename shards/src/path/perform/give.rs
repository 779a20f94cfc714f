//! Messages of a queue of this shard are moved to another one of it, or given to an errand that
//! moves them elsewhere.

use super::{Asker, Performed, Performer};
use crate::path::reply as write;
use crate::world::Outgoing;
use ringway_protocol::request::{Move, Take};
use ringway_protocol::{
    Code, Frame, HEADER_BYTES, Header, Kind, QueueId, Rejection, Request, frame, reply,
};

/// Milliseconds that an errand has for moving what it was given.
const LEASE_MS: u32 = 60_000;

impl Performer {
    /// Moves messages between two queues of this shard.
    pub(super) fn move_messages(
        &mut self,
        ids: (u32, u32),
        wanted: &Move<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Rejection> {
        if self.draining {
            return Err(Rejection::new(Code::Draining, "the server is going down"));
        }
        let moved = self.store.move_messages(wanted, self.now)?;
        self.journal.append();
        reply::moved(out, ids, moved);
        Ok(())
    }

    /// Answers with a delivery of at most as many messages as a move asks for, and whether there
    /// may be more.
    pub fn give(&mut self, asker: Asker, frame: Frame<'_>, out: &mut Outgoing) -> Performed {
        let header = Header { kind: Kind::Move as u8, ..frame.header };
        let given = match Request::decode(Frame { header, ..frame }) {
            Ok(Request::Move(wanted)) => self.give_what_is_ready(asker, &wanted, frame.header, out),
            Ok(_) => unreachable!("the kind was set"),
            Err(why) => Err(why),
        };
        given.unwrap_or_else(|why| self.refuse(asker, Some(Kind::Move), why, out))
    }

    /// The queue whose dead letters a queue has.
    fn base_of(&self, letters: QueueId) -> Option<QueueId> {
        let base = self.store.base_of(letters).ok()?;
        Some(self.spreads.whole(base).unwrap_or(base))
    }

    fn give_what_is_ready(
        &mut self,
        asker: Asker,
        wanted: &Move<'_>,
        asked: Header,
        out: &mut Outgoing,
    ) -> Result<Performed, Rejection> {
        let take = Take {
            queue: wanted.from,
            messages_max: wanted.limit,
            bytes_max: 0,
            wait_ms: 0,
            lease_ms: LEASE_MS,
            group: wanted.group,
            acknowledged: false,
        };
        let more = self.store.take_matching(&take, wanted.filter, self.now, &mut self.taken)?;
        let (start, leased) = (out.bytes.len(), self.taken.count > 0);
        if leased {
            self.journal.append();
        }
        write::delivery(out, asker.ids(), &mut self.taken, false);
        out.bytes.extend_from_slice(&u64::from(more).to_le_bytes());
        let base = if wanted.to.is_none() { self.base_of(wanted.from) } else { None };
        out.bytes.extend_from_slice(&base.map_or(0, |base| base.0).to_le_bytes());
        let length = out.bytes.len() - start - HEADER_BYTES;
        let kind = asked.kind | frame::REPLY;
        let header = Header { length: length as u32, kind, ..asked };
        out.bytes[start..start + HEADER_BYTES].copy_from_slice(&header.encode());
        Ok(if leased { Performed::Delivered(wanted.from) } else { Performed::Answered })
    }
}
