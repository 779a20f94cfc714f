//! Messages are moved to another queue of this shard, or given to somebody who moves them further.
//!
//! A move goes once over what is ready: request after request with the same filter goes on where
//! the last one stopped, as long as that left something behind it and is not long ago. A moved
//! message is put as a new one: what was said of its time in the queue that it leaves does not
//! count again. What its new queue refuses stays, as if it had not been looked at.

use ringway_protocol::name::DEAD_LETTER_SUFFIX;
use ringway_protocol::reply::Moved;
use ringway_protocol::request::{HeaderFilter, Move, Put, Take};
use ringway_protocol::{Attribute, QueueId, Record, Records, Rejection, record};

use super::sieve::{Sieve, Sifted, passes};
use crate::limits::{MOVES_GO_ON_MS, RUNS_PER_TAKE_MAX, TAKE_BYTES_DEFAULT};
use crate::path::queue::catalog::NO_SUCH_QUEUE;
use crate::path::queue::keys::NO_KEY;
use crate::path::queue::lease::dead_letters::LETTER_HEADERS;
use crate::path::queue::log::bands::band_of;
use crate::path::queue::log::piece::Piece;
use crate::path::queue::take::{RECORD_BYTES_MAX, check};
use crate::path::queue::{Store, Stored, Taken};
use crate::world::Now;

/// The header that names the queue of a message that has left it.
pub const QUEUE_HEADER: &str = "ringway-queue";

/// Where the last request for a move stopped.
#[derive(Clone, Copy, Debug)]
pub(in crate::path::queue) struct Progress {
    group: usize,
    /// Which filter it had.
    filter: u64,
    at: u64,
    until_ms: u64,
}

/// Writes a message as its next queue gets it: due at once and no repeat, on a redrive without what
/// made it a dead letter. The server's other headers are the sender's: where an answer goes, say.
pub fn rewrite(record: &Record<'_>, redrive: bool, out: &mut Vec<u8>) {
    let stays = |attribute: &Attribute<'_>| match attribute {
        Attribute::DelayMs(_) | Attribute::AtMs(_) | Attribute::DeduplicationId(_) => false,
        Attribute::Header { name, .. } => !(redrive && LETTER_HEADERS.contains(name)),
        _ => true,
    };
    let attributes: Vec<_> = record.attributes().filter(stays).collect();
    record::write(out, &attributes, record.payload);
}

/// The queue that a message says it was in.
pub fn named_queue<'a>(record: &Record<'a>) -> Option<&'a str> {
    let named = record.headers().find(|(name, _)| *name == QUEUE_HEADER);
    named.and_then(|(_, value)| std::str::from_utf8(value).ok())
}

/// A filter as it is remembered.
fn digest(filter: Option<HeaderFilter<'_>>) -> u64 {
    let mut bytes = Vec::new();
    if let Some(HeaderFilter { name, value }) = filter {
        bytes.extend_from_slice(&(name.len() as u64).to_le_bytes());
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(value);
    }
    xxhash_rust::xxh3::xxh3_64(&bytes)
}

impl Store {
    /// Moves ready messages of a group to another queue of this shard, or each to the one that it
    /// names, whatever is paused there. Looks at a bounded number of messages.
    pub fn move_messages(&mut self, wanted: &Move<'_>, now: Now) -> Result<Moved, Rejection> {
        let queue = self.catalog.get_mut(wanted.from)?;
        let group = queue.groups.find(wanted.group)?;
        if let Some(to) = wanted.to {
            self.catalog.get(to)?;
        }
        let sieve = Sieve {
            group,
            filter: wanted.filter,
            messages_max: wanted.limit,
            bytes_max: u32::MAX,
            pieces_max: usize::MAX,
            now,
        };
        let (sifted, from) = self.sift(wanted.from, &sieve);
        let stays = sifted.passed;
        let (mut moved, mut round) = (Moved::default(), sifted.pieces);
        moved.more = sifted.stopped_at.is_some();
        while !round.is_empty() {
            let mut released = Vec::new();
            for mut piece in round {
                while piece.count > 0 {
                    let bytes = self.segments[piece.segment].span(piece.offset, 1);
                    let one = piece.split_front(1, bytes);
                    self.move_one(wanted, group, one, now, &mut moved, &mut released);
                }
            }
            let left = wanted.limit - moved.moved - moved.refused;
            moved.more |= released.len() > left as usize;
            round = self.sift_released(wanted, group, released, left, now);
        }
        // What was moved made room to set others aside.
        moved.more |= sifted.held_up && moved.moved > 0;
        let left_behind = stays + moved.refused > 0 || from.is_some();
        self.note_progress(wanted, group, sifted.stopped_at.filter(|_| left_behind), now);
        self.catalog.get(wanted.from)?.check();
        self.stir(wanted.from, now.ns);
        self.offer(wanted.from, group);
        Ok(moved)
    }

    /// Takes what a filter lets through under a lease, as a take without it would; says whether
    /// there may be more. What is paused is taken all the same.
    pub fn take_matching(
        &mut self,
        take: &Take,
        filter: Option<HeaderFilter<'_>>,
        now: Now,
        taken: &mut Taken,
    ) -> Result<bool, Rejection> {
        taken.clear();
        let queue = self.catalog.get_mut(take.queue)?;
        let group = check(take, queue)?;
        self.check_leases(take)?;
        let bytes_max = match take.bytes_max as usize {
            0 => TAKE_BYTES_DEFAULT,
            bytes => bytes.min(RECORD_BYTES_MAX),
        };
        let sieve = Sieve {
            group,
            filter,
            messages_max: take.messages_max,
            bytes_max: bytes_max as u32,
            pieces_max: RUNS_PER_TAKE_MAX,
            now,
        };
        // What comes back of this is behind the next look: it belongs to the request that had it.
        let (sifted, _) = self.sift(take.queue, &sieve);
        let wanted = Move {
            from: take.queue,
            to: None,
            group: take.group,
            limit: take.messages_max,
            redrive: false,
            filter,
        };
        self.note_progress(&wanted, group, sifted.stopped_at, now);
        let blocks = self.catalog.get(take.queue)?.groups.at(group).keys.count > 0;
        self.basket.fill_with(sifted.pieces, now);
        if sifted.count > 0 {
            self.hand_out(take, group, now, taken)?;
        }
        Ok(sifted.stopped_at.is_some() || sifted.count > 0 && blocks)
    }

    /// Takes out what a sieve lets through, from where the last request stopped; says from where.
    fn sift(&mut self, id: QueueId, sieve: &Sieve<'_>) -> (Sifted, Option<u64>) {
        let slot = id.slot() as u32;
        let queue = self.catalog.at_mut(slot);
        let known = queue.known_rare().and_then(|rare| rare.moves).filter(|progress| {
            (progress.group, progress.filter) == (sieve.group, digest(sieve.filter))
                && sieve.now.ms() < progress.until_ms
        });
        let from = known.map(|progress| progress.at);
        let mut sifted = queue.sift_out(&mut self.segments, sieve, from);
        for piece in sifted.expired.drain(..) {
            self.end_expired((slot, sieve.group), piece, false, sieve.now);
        }
        (sifted, from)
    }

    fn note_progress(&mut self, wanted: &Move<'_>, group: usize, at: Option<u64>, now: Now) {
        let queue = self.catalog.at_mut(wanted.from.slot() as u32);
        let (filter, until_ms) = (digest(wanted.filter), now.ms() + MOVES_GO_ON_MS);
        let progress = at.map(|at| Progress { group, filter, at, until_ms });
        if progress.is_some() || queue.known_rare().is_some() {
            queue.rare().moves = progress;
        }
    }

    /// Takes out what comes next of the keys of messages that were moved.
    fn sift_released(
        &mut self,
        wanted: &Move<'_>,
        group: usize,
        mut released: Vec<u64>,
        left: u32,
        now: Now,
    ) -> Vec<Piece> {
        // As a take would have them: the most urgent band first, and in order.
        released
            .sort_unstable_by_key(|sequence| (std::cmp::Reverse(band_of(*sequence)), *sequence));
        let mut round = Vec::new();
        for sequence in released {
            let queue = self.catalog.at_mut(wanted.from.slot() as u32);
            if round.len() == left as usize {
                break;
            }
            let line = queue.bands.of_mut(sequence).lines.at_mut(group);
            let Some(piece) = line.remove_returned(&self.segments, sequence) else { continue };
            let bytes = self.segments[piece.segment].records(piece.offset, piece.bytes);
            let (record, _) = record::first(bytes).expect("a stored record is whole");
            if passes(wanted.filter, &record) && !queue.has_expired(&self.segments, &piece, now) {
                round.push(piece);
            } else {
                queue.bands.of_mut(sequence).lines.at_mut(group).give_back(piece);
            }
        }
        round
    }

    /// Moves one message that was taken out, or gives it back.
    fn move_one(
        &mut self,
        wanted: &Move<'_>,
        group: usize,
        piece: Piece,
        now: Now,
        moved: &mut Moved,
        released: &mut Vec<u64>,
    ) {
        let mut copy = std::mem::take(&mut self.record);
        copy.clear();
        let bytes = self.segments[piece.segment].records(piece.offset, piece.bytes);
        let (record, _) = record::first(bytes).expect("a stored record is whole");
        rewrite(&record, wanted.redrive, &mut copy);
        let named = named_queue(&record).map(|name| self.catalog.open(name));
        // Its queue may have another name by now.
        let named = named.map(|open| open.or_else(|_| self.base_of(wanted.from)));
        let target = wanted.to.map(Ok).or(named).unwrap_or(Err(NO_SUCH_QUEUE));
        let outcome = match target {
            Ok(target) if target != wanted.from => self.put_moved(target, &copy, now),
            _ => Err(NO_SUCH_QUEUE),
        };
        self.record = copy;
        let queue = self.catalog.at_mut(wanted.from.slot() as u32);
        if outcome.is_err() {
            moved.refused += 1;
            return queue.bands.of_mut(piece.sequence).lines.at_mut(group).give_back(piece);
        }
        moved.moved += 1;
        queue.counters.moved_out += 1;
        let key = self.segments[piece.segment].key_of(piece.sequence);
        let holder = queue.groups.at_mut(group);
        holder.counters.removed += 1;
        released.extend((key != NO_KEY).then(|| holder.keys.first_blocked(key)).flatten());
        let before = queue.bands.live();
        queue.settle(&mut self.segments, group, &piece, true);
        self.messages -= before - queue.bands.live();
        queue.linger(&mut self.lingering);
    }

    /// The queue whose dead letters a queue has.
    pub fn base_of(&self, letters: QueueId) -> Result<QueueId, Rejection> {
        let base = self.name(letters)?.strip_suffix(DEAD_LETTER_SUFFIX).unwrap_or_default();
        self.catalog.open(base)
    }

    fn put_moved(&mut self, target: QueueId, record: &[u8], now: Now) -> Result<(), Rejection> {
        let records = Records::parse(record, 1)?;
        self.put_at_once(&Put::new(target, records), now, &mut Stored::new())
    }
}
