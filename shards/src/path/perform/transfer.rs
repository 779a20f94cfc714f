//! Acknowledge and put in one request, where both queues live on this shard.

use super::{Asker, Performed, Performer, unsupported};
use crate::world::Outgoing;
use ringway_protocol::reply::{self, Receipt};
use ringway_protocol::request::Transfer;
use ringway_protocol::{Level, Rejection};

impl Performer {
    /// Puts the results, then acknowledges what they replace; a put that is refused acknowledges
    /// nothing.
    pub(super) fn transfer(
        &mut self,
        asker: Asker,
        transfer: &Transfer<'_>,
        out: &mut Outgoing,
    ) -> Result<Performed, Rejection> {
        let Transfer { settle, put } = transfer;
        unsupported::producer(put.producer)?;
        let first_sequence = self.enqueue(put.queue, put.records)?;
        self.verdicts.clear();
        let settlement = self.store.ack(settle, &mut self.verdicts)?;
        self.stats().acks.add(u64::from(settlement.settled));
        let receipt = Receipt::plain(first_sequence, put.records.count(), Level::Memory, false);
        reply::transferred(&mut out.bytes, asker.ids(), settlement, &receipt);
        Ok(Performed::Answered)
    }
}
