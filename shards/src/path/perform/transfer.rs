//! Acknowledge and put in one request, where both queues live on this shard.

use super::{Asker, Performed, Performer};
use crate::world::Outgoing;
use ringway_protocol::reply;
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
        self.admit(put)?;
        self.verdicts.clear();
        let settlement = self.store.ack(settle, self.now, &mut self.verdicts)?;
        self.stats().acks.add(u64::from(settlement.settled));
        let receipt = self.stored.receipt(Level::Memory);
        reply::transferred(&mut out.bytes, asker.ids(), settlement, &receipt);
        Ok(Performed::Answered)
    }
}
