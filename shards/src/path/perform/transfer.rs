//! Acknowledge and put in one request, where both queues live on this shard.

use super::{Asker, DRAINING, Performed, Performer};
use crate::world::Outgoing;
use ringway_protocol::reply;
use ringway_protocol::request::Transfer;
use ringway_protocol::{Level, Rejection};

impl Performer {
    /// Puts the results and acknowledges what they replace, or does neither.
    pub(super) fn transfer(
        &mut self,
        asker: Asker,
        transfer: &Transfer<'_>,
        out: &mut Outgoing,
    ) -> Result<Performed, Rejection> {
        let Transfer { settle, put } = transfer;
        if self.draining {
            return Err(DRAINING);
        }
        let (stored, verdicts) = (&mut self.stored, &mut self.verdicts);
        let settlement = self.store.transfer(settle, put, self.now, stored, verdicts)?;
        self.journal.append();
        self.stats().puts.add(self.stored.new_messages());
        self.stats().acks.add(u64::from(settlement.settled));
        let receipt = self.stored.receipt(Level::Memory);
        reply::transferred(&mut out.bytes, asker.ids(), settlement, &receipt);
        Ok(Performed::Answered)
    }
}
