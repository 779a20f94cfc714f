//! Looking at messages where they stand, and removing some.

use ringway_protocol::frame::Kind;
use ringway_protocol::limits::{BROWSE_MESSAGES_MAX, REMOVE_SEQUENCES_MAX};
use ringway_protocol::record;
use ringway_protocol::reply::{BrowseEntry, Removal, Standing};
use ringway_protocol::request::{Browse, MessageState};
use ringway_protocol::{GroupId, QueueId, Record, Reply, Request};

use super::Client;
use crate::error::Error;

/// Which messages are looked at. [`Default`] shows all that are ready for the group `default`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BrowseOptions {
    /// The group; scheduled messages belong to none and are the same for all.
    pub group: GroupId,
    /// Where they stand.
    pub state: MessageState,
    /// Most messages.
    pub messages_max: usize,
}

impl Default for BrowseOptions {
    fn default() -> Self {
        Self { group: GroupId::DEFAULT, state: MessageState::Ready, messages_max: usize::MAX }
    }
}

/// A message that was looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Browsed {
    /// Its sequence, state, times and deliveries.
    pub standing: Standing,
    bytes: Vec<u8>,
}

impl Browsed {
    fn new(entry: &BrowseEntry<'_>) -> Self {
        let mut bytes = Vec::new();
        let attributes: Vec<_> = entry.record.attributes().collect();
        record::write(&mut bytes, &attributes, entry.record.payload);
        Self { standing: entry.standing, bytes }
    }

    /// Its payload and attributes.
    pub fn record(&self) -> Record<'_> {
        record::first(&self.bytes).expect("it was written whole").0
    }
}

impl Client {
    /// Looks at messages of one state, page by page, and changes nothing. What moves meanwhile may
    /// be seen or not.
    ///
    /// ```no_run
    /// # use ringway_client::{BrowseOptions, Client, MessageState, Options};
    /// # let mut client = Client::connect("127.0.0.1:7311", &Options::default())?;
    /// # let queue = client.open("orders")?;
    /// let scheduled = BrowseOptions { state: MessageState::Scheduled, ..Default::default() };
    /// for browsed in client.browse(queue, &scheduled)? {
    ///     println!("{} is due at {}", browsed.standing.sequence, browsed.standing.due_ms);
    /// }
    /// # Ok::<(), ringway_client::Error>(())
    /// ```
    pub fn browse(
        &mut self,
        queue: QueueId,
        options: &BrowseOptions,
    ) -> Result<Vec<Browsed>, Error> {
        let BrowseOptions { group, state, messages_max } = *options;
        let mut found: Vec<Browsed> = Vec::new();
        let limit = messages_max.min(BROWSE_MESSAGES_MAX as usize) as u32;
        if limit == 0 {
            return Ok(found);
        }
        let page =
            |cursor| Request::Browse(Browse { queue, group, state, cursor, limit, bytes_max: 0 });
        self.pages(page, |reply| {
            let Reply::Browsed(page) = reply else { return None };
            let room = messages_max - found.len();
            found.extend(page.iter().take(room).map(|entry| Browsed::new(&entry)));
            Some(if found.len() < messages_max { page.next_cursor } else { 0 })
        })?;
        Ok(found)
    }

    /// The next messages that the group `default` would get, without taking them: the most urgent
    /// first. Where bands share by weight, or the queue is spread, takes may have another order.
    pub fn peek(&mut self, queue: QueueId, messages_max: usize) -> Result<Vec<Browsed>, Error> {
        self.browse(queue, &BrowseOptions { messages_max, ..BrowseOptions::default() })
    }

    /// Removes messages by their sequences: the way to cancel a scheduled one, with the sequence
    /// that its put was answered with. Those under a lease stay and count as missing.
    pub fn remove(&mut self, queue: QueueId, sequences: &[u64]) -> Result<Removal, Error> {
        let mut sum = Removal::default();
        for some in sequences.chunks(REMOVE_SEQUENCES_MAX as usize) {
            self.link.usable()?;
            let number = self.next_number();
            self.link.outbox.remove(queue, some, number);
            let removal =
                self.link.exchange(Kind::Remove, number, self.reply_timeout, |reply| {
                    if let Reply::Removal(removal) = reply { Some(removal) } else { None }
                })?;
            sum.removed += removal.removed;
            sum.missing += removal.missing;
        }
        Ok(sum)
    }
}
