//! Requests that are not a message's way: queues are made, found, listed, counted, emptied and
//! removed.

use super::{Asker, Performed, Performer};
use crate::path::errand::spread::spread_over;
use crate::world::Outgoing;
use ringway_protocol::name::{DEAD_LETTER_SUFFIX, shard_of};
use ringway_protocol::pattern::Pattern;
use ringway_protocol::reply::{self, GROUP_COLUMNS, ListEntry, QUEUE_COLUMNS, SHARD_COLUMNS};
use ringway_protocol::request::{Binding, ChangeGroup, GroupOperation};
use ringway_protocol::{Code, Header, Kind, QueueId, QueueOptions, Rejection, Request, frame};

impl Performer {
    /// The requests that are not a message's way.
    #[cold]
    pub(super) fn administer(
        &mut self,
        asker: Asker,
        request: Request<'_>,
        out: &mut Outgoing,
    ) -> Result<Performed, Rejection> {
        let (kind, ids, out) = (request.kind(), asker.ids(), &mut out.bytes);
        match request {
            Request::Declare { name, options } => {
                let (queue, created) = self.declare(name, options)?;
                reply::declared(out, ids, queue, created);
            }
            Request::Open { name } => {
                let queue = match self.store.open(name) {
                    Err(why) if why.code == Code::NoSuchQueue && self.auto_declare => {
                        self.store.declare(name, None)?.0
                    }
                    opened => opened?,
                };
                self.changed_queues();
                reply::number(out, kind, ids, queue.0);
            }
            Request::Purge { queue } => {
                let removed = self.store.purge(queue)?;
                self.journal.append();
                reply::number(out, kind, ids, removed);
            }
            Request::Delete { queue } => {
                let removed = self.delete(queue)?;
                reply::number(out, kind, ids, removed);
            }
            Request::Stat { queue } => self.stat(ids, queue, out)?,
            Request::List { cursor, limit, prefix } => self.list(ids, (cursor, limit), prefix, out),
            Request::Ping => {
                frame::write(out, Header::reply(kind, Code::Ok, ids.0, ids.1), |_| ());
            }
            Request::Echo(body) => {
                let mut header = Header::reply(kind, Code::Ok, ids.0, ids.1);
                header.length = body.len() as u32;
                out.extend_from_slice(&header.encode());
                out.extend_from_slice(body);
            }
            Request::Bindings { cursor, limit } => self.list_bindings(ids, cursor, limit, out),
            Request::Greet(_) => return Err(Rejection::malformed("a second greeting")),
            Request::Put(_)
            | Request::Take(_)
            | Request::Ack(_)
            | Request::Nack(_)
            | Request::Transfer(_) => unreachable!("a message's way does not lead here"),
            Request::Extend { queue, lease, lease_ms } => {
                let lasting = self.store.extend(queue, lease, lease_ms, self.now)?;
                self.journal.append();
                reply::pair(out, kind, ids, lasting);
            }
            Request::Group(change) => self.change_group(ids, &change, out)?,
            Request::Groups { queue } => self.list_groups(ids, queue, out)?,
            Request::Browse(browse) => self.browse(ids, &browse, out)?,
            Request::Remove { queue, sequences } => self.remove(ids, queue, sequences, out)?,
            Request::Move(wanted) => self.move_messages(ids, &wanted, out)?,
            Request::Alter { queue, options } => {
                self.store.alter(queue, options, self.now)?;
                self.journal.append();
                reply::done(out, kind, ids);
            }
            Request::Pause { queue, puts, takes } => {
                self.store.pause(queue, puts, takes)?;
                self.journal.append();
                reply::done(out, kind, ids);
            }
            Request::Describe { queue } => {
                let parts = self.spreads.get(queue).map_or(1, |spread| spread.parts.len());
                reply::described(out, ids, &self.store.describe(queue, parts as u16)?);
            }
            Request::Rename { queue, name } => {
                self.rename(queue, name)?;
                reply::number(out, kind, ids, queue.0);
            }
            Request::Subscribe(subscribe) => return self.subscribe(asker, &subscribe, out),
            Request::Credit(credit) => return self.credit(asker, &credit, out),
            Request::Unsubscribe { queue, subscription } => {
                return self.unsubscribe(asker, queue, subscription, out);
            }
            Request::Publish(_) | Request::Bind(_) | Request::Unbind(_) => {
                let sentence = "what concerns several shards is carried out where it arrives";
                return Err(Rejection::new(Code::Unsupported, sentence));
            }
        }
        Ok(Performed::Answered)
    }

    /// Makes, changes or removes a group.
    fn change_group(
        &mut self,
        ids: (u32, u32),
        change: &ChangeGroup<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Rejection> {
        let ChangeGroup { queue, name, operation } = *change;
        let (group, changed) = match operation {
            GroupOperation::Create { start, flags } => {
                self.store.create_group(queue, name, start, flags, self.now)?
            }
            GroupOperation::Alter { flags } => (self.store.alter_group(queue, name, flags)?, true),
            GroupOperation::Delete => (self.store.delete_group(queue, name)?, true),
        };
        self.journal.append();
        reply::group(out, ids, group, changed);
        Ok(())
    }

    fn list_groups(
        &mut self,
        ids: (u32, u32),
        queue: QueueId,
        out: &mut Vec<u8>,
    ) -> Result<(), Rejection> {
        let (mut count, mut entries) = (0, Vec::new());
        self.store.groups(queue, |group, flags, name, figures| {
            count += 1;
            reply::group_entry(&mut entries, (group, flags), name, figures);
        })?;
        reply::groups(out, ids, (count, GROUP_COLUMNS.len()), |out| {
            out.extend_from_slice(&entries)
        });
        Ok(())
    }

    /// Makes a queue of this shard, or finds it; says whether it was made.
    pub fn declare(
        &mut self,
        name: &str,
        options: Option<QueueOptions>,
    ) -> Result<(QueueId, bool), Rejection> {
        if let Some(options) = &options
            && spread_over(options, self.stats.len()) > 1
        {
            let sentence = "a spread queue is declared over a connection";
            return Err(Rejection::new(Code::Unsupported, sentence));
        }
        self.declare_part(name, options, 0)
    }

    /// Makes a part of a spread queue on this shard, or finds it; the first is a queue like any
    /// other.
    pub fn declare_part(
        &mut self,
        name: &str,
        options: Option<QueueOptions>,
        number: u8,
    ) -> Result<(QueueId, bool), Rejection> {
        let declared = self.store.declare_part(name, options, number)?;
        self.changed_queues();
        Ok(declared)
    }

    /// Gives a queue of this shard another name that belongs to it.
    fn rename(&mut self, queue: QueueId, name: &str) -> Result<(), Rejection> {
        if shard_of(name, self.stats.len()) != self.shard {
            let sentence = "queues of that name live on another shard: declare, move, delete";
            return Err(Rejection::new(Code::OtherShard, sentence));
        }
        let letters = format!("{}{DEAD_LETTER_SUFFIX}", self.store.name(queue)?);
        if self.store.open(&letters).is_ok_and(|letters| self.spreads.has(letters)) {
            let sentence = "its dead letters are spread, and their name places the parts";
            return Err(Rejection::new(Code::OtherShard, sentence));
        }
        self.store.rename(queue, name)?;
        self.changed_queues();
        Ok(())
    }

    /// The name of a queue of this shard.
    pub fn name_of(&self, queue: QueueId) -> Result<String, Rejection> {
        let mut name = None;
        self.store.list(queue.slot() as u32, 1, "", &mut |entry| {
            if entry.queue == queue {
                name = Some(entry.name.to_owned());
            }
        });
        name.ok_or(Rejection::new(Code::NoSuchQueue, "no queue of this shard has that id"))
    }

    /// Removes a queue of this shard; returns how many messages it held. Its bindings are others'
    /// business too.
    pub fn delete(&mut self, queue: QueueId) -> Result<u64, Rejection> {
        let removed = self.store.delete(queue)?;
        self.changed_queues();
        Ok(removed)
    }

    fn changed_queues(&mut self) {
        self.journal.append();
        self.stats().queues.set(self.store.queues() as u64);
    }

    fn stat(
        &mut self,
        ids: (u32, u32),
        queue: Option<QueueId>,
        out: &mut Vec<u8>,
    ) -> Result<(), Rejection> {
        let header = Header::reply(Kind::Stat, Code::Ok, ids.0, ids.1);
        let (columns, rows) = match queue {
            Some(queue) => (QUEUE_COLUMNS.len(), vec![self.store.stat(queue, self.now)?.to_vec()]),
            None => {
                let rows = self.stats.iter().enumerate().map(|(shard, stats)| stats.row(shard));
                (SHARD_COLUMNS.len(), rows.collect())
            }
        };
        frame::write(out, header, |out| {
            reply::figures(out, columns, rows.into_iter());
        });
        Ok(())
    }

    /// A page of the plane's bindings, which every shard has.
    fn list_bindings(&mut self, ids: (u32, u32), cursor: u64, limit: u32, out: &mut Vec<u8>) {
        let (page, next) = self.bindings.page(cursor, limit);
        let entries = page.into_iter().map(|(queue, pattern)| {
            let pattern = Pattern::new(pattern).expect("it was checked when it was bound");
            Binding { queue, pattern }
        });
        reply::bindings(out, ids, next, entries);
    }

    /// A page of this shard's queues; the last one points at the next shard.
    fn list(
        &mut self,
        ids: (u32, u32),
        (cursor, limit): (u64, u32),
        prefix: &str,
        out: &mut Vec<u8>,
    ) {
        let header = Header::reply(Kind::List, Code::Ok, ids.0, ids.1);
        frame::write(out, header, |out| {
            let start = out.len();
            out.extend_from_slice(&[0; 12]);
            let mut count = 0u32;
            let spreads = &self.spreads;
            let mut visit = |entry: ListEntry<'_>| {
                // The ids of parts are nobody's business.
                let queue = spreads.whole(entry.queue).unwrap_or(entry.queue);
                ListEntry { queue, ..entry }.encode(out);
                count += 1;
            };
            let next = self.store.list(cursor as u32, limit, prefix, &mut visit);
            let next = match next {
                Some(slot) => list_cursor(self.shard, slot),
                None if self.shard + 1 < self.stats.len() => list_cursor(self.shard + 1, 0),
                None => 0,
            };
            out[start..start + 8].copy_from_slice(&next.to_le_bytes());
            out[start + 8..start + 12].copy_from_slice(&count.to_le_bytes());
        });
    }
}

/// The cursor of a listing: which shard, and where in it. 0 is the start of the first shard, and
/// the end.
pub fn list_cursor(shard: usize, slot: u32) -> u64 {
    (shard as u64) << 32 | u64::from(slot)
}
