//! Messages are shown without being taken, and removed one by one.

use super::Performer;
use ringway_protocol::reply::{self, browse_entry};
use ringway_protocol::request::{Browse, Sequences};
use ringway_protocol::{Kind, QueueId, Rejection};

impl Performer {
    /// A page of a group's messages in one state.
    pub(super) fn browse(
        &mut self,
        ids: (u32, u32),
        browse: &Browse,
        out: &mut Vec<u8>,
    ) -> Result<(), Rejection> {
        let (before, mut shown) = (out.len(), Ok(0));
        reply::browse_page(out, ids, |out| {
            let mut count = 0;
            shown = self.store.browse(browse, self.now, |standing, record| {
                browse_entry(out, standing, record);
                count += 1;
            });
            (*shown.as_ref().unwrap_or(&0), count)
        });
        // A refusal is another frame.
        shown.map(|_| ()).inspect_err(|_| out.truncate(before))
    }

    /// Removes messages that nobody holds.
    pub(super) fn remove(
        &mut self,
        ids: (u32, u32),
        queue: QueueId,
        sequences: Sequences<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Rejection> {
        let removal = self.store.remove(queue, sequences.iter())?;
        self.journal.append();
        reply::pair(out, Kind::Remove, ids, (removal.removed, removal.missing));
        Ok(())
    }
}
