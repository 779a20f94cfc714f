//! Messages are shown without being taken, a page at a time: each page says where the next begins.
//!
//! Messages that are ready come as a take would get them: the most urgent band first. Those that
//! are blocked, delayed or scheduled come in ascending order of sequence. A cursor is the sequence
//! to go on from, of ready ones with its band turned around, so that it rises from page to page.
//! Leased ones come lease by lease, and their cursor is a place among the leases of the shard. What
//! comes or goes meanwhile may be seen or not.

use ringway_protocol::reply::Standing;
use ringway_protocol::request::{Browse, MessageState};
use ringway_protocol::{Rejection, record};

use crate::limits::{BROWSE_BYTES_DEFAULT, BROWSE_BYTES_MAX};
use crate::path::queue::Store;
use crate::path::queue::catalog::Queue;
use crate::path::queue::log::Log;
use crate::path::queue::log::bands::{SCHEDULED, band_of, turned};
use crate::path::queue::log::line::Line;
use crate::path::queue::log::piece::Piece;
use crate::path::queue::log::segment::NIL;
use crate::path::queue::log::segments::Segments;
use crate::world::Now;

/// Leases that one call looks at, at most.
const LEASES_LOOKED_AT_MAX: usize = 16_384;

/// A page that is being filled.
struct Page<'a> {
    segments: &'a Segments,
    now: Now,
    state: MessageState,
    messages_left: u32,
    bytes_left: usize,
    is_empty: bool,
    /// Shows one message.
    show: &'a mut dyn FnMut(&Standing, &[u8]),
}

impl Page<'_> {
    /// Shows the messages of a piece from a sequence on; where to go on if the page is full.
    fn add(&mut self, mut rest: Piece, from: u64, due_ms: Option<u64>) -> Result<(), u64> {
        let segment = &self.segments[rest.segment];
        if from > rest.sequence {
            let before = (from - rest.sequence) as u32;
            rest.split_front(before, segment.span(rest.offset, before));
        }
        while rest.count > 0 {
            let one = rest.split_front(1, segment.span(rest.offset, 1));
            let bytes = one.bytes as usize;
            if self.messages_left == 0 || bytes > self.bytes_left && !self.is_empty {
                return Err(one.sequence);
            }
            self.messages_left -= 1;
            self.bytes_left = self.bytes_left.saturating_sub(bytes);
            self.is_empty = false;
            let put_ms = self.wall_ms(segment.put_at_ms(one.sequence));
            let record = segment.records(one.offset, one.bytes);
            let standing = Standing {
                sequence: one.sequence,
                put_ms,
                due_ms: due_ms.unwrap_or_else(|| self.due_ms(put_ms, record)),
                deliveries: one.deliveries,
                state: self.state,
            };
            (self.show)(&standing, record);
        }
        Ok(())
    }

    /// A time of the monotonic clock on the wall clock as it is.
    fn wall_ms(&self, ms: u64) -> u64 {
        (self.now.wall_ms + ms).saturating_sub(self.now.ms())
    }

    /// When a scheduled message is due; others are due at no time.
    fn due_ms(&self, put_ms: u64, record: &[u8]) -> u64 {
        if self.state != MessageState::Scheduled {
            return 0;
        }
        let (record, _) = record::first(record).expect("a stored record is whole");
        let traits = record.traits();
        if traits.at_ms > 0 { traits.at_ms } else { put_ms + traits.delay_ms }
    }
}

impl Store {
    /// Shows messages of a group that are in one state, up to a number and to bytes of records, but
    /// at least one. Returns the cursor of the next page, 0 after the last; a page may be empty
    /// without being the last.
    pub fn browse(
        &self,
        browse: &Browse,
        now: Now,
        mut show: impl FnMut(&Standing, &[u8]),
    ) -> Result<u64, Rejection> {
        let queue = self.catalog.get(browse.queue)?;
        let bytes_left = match browse.bytes_max as usize {
            0 => BROWSE_BYTES_DEFAULT,
            bytes => bytes.min(BROWSE_BYTES_MAX),
        };
        let mut page = Page {
            segments: &self.segments,
            now,
            state: browse.state,
            messages_left: browse.limit,
            bytes_left,
            is_empty: true,
            show: &mut show,
        };
        let cursor = browse.cursor;
        if browse.state == MessageState::Scheduled {
            return Ok(next(queue.show_scheduled(cursor, &mut page)));
        }
        let group = queue.groups.find(browse.group)?;
        Ok(next(match browse.state {
            MessageState::Ready => queue.show_ready(group, cursor, &mut page),
            MessageState::Blocked => {
                let pieces = queue.groups.at(group).keys.pieces();
                show_sorted(pieces.map(|piece| (*piece, 0)), cursor, &mut page)
            }
            MessageState::Leased => self.show_leased(browse, group, &mut page),
            MessageState::Delayed => queue.show_delayed(group, cursor, &mut page),
            MessageState::Scheduled => Ok(()),
        }))
    }

    /// Shows what is under leases of a group, from a place among the shard's leases on.
    fn show_leased(&self, browse: &Browse, group: usize, page: &mut Page<'_>) -> Result<(), u64> {
        let slot = browse.queue.slot() as u32;
        // Above 0, so that it names the next page: the lease, and a message in it.
        let cursor = |lease: u32, message: u32| (u64::from(lease) << 32) | (u64::from(message) + 1);
        let (first, from) = ((browse.cursor >> 32) as u32, (browse.cursor as u32).max(1) - 1);
        let end = first.saturating_add(LEASES_LOOKED_AT_MAX as u32);
        for (at, lease) in self.leases.iter_from(first) {
            if at == end {
                return Err(cursor(at, 0));
            }
            if lease.queue != slot || usize::from(lease.group) != group {
                continue;
            }
            let due_ms = Some(page.wall_ms(lease.ends_ns / 1_000_000));
            let mut index = 0;
            for piece in lease.pieces() {
                for sequence in (piece.sequence..).take(piece.count as usize) {
                    let skipped = at == first && index < from || lease.is_settled(index);
                    index += 1;
                    if skipped {
                        continue;
                    }
                    let offset = self.segments[piece.segment].offset_of(sequence);
                    let one = Piece { sequence, offset, bytes: u32::MAX, count: 1, ..*piece };
                    page.add(one, sequence, due_ms).map_err(|_| cursor(at, index - 1))?;
                }
            }
        }
        Ok(())
    }
}

/// The cursor of the next page.
fn next(outcome: Result<(), u64>) -> u64 {
    outcome.err().unwrap_or(0)
}

/// Shows pieces of one message each that are in no order, with the time at which each is due.
fn show_sorted(
    pieces: impl Iterator<Item = (Piece, u64)>,
    from: u64,
    page: &mut Page<'_>,
) -> Result<(), u64> {
    let mut pieces: Vec<_> = pieces.filter(|(piece, _)| piece.sequence >= from).collect();
    let shown = page.messages_left as usize + 1;
    if pieces.len() > shown {
        pieces.select_nth_unstable_by_key(shown - 1, |(piece, _)| piece.sequence);
        pieces.truncate(shown);
    }
    pieces.sort_unstable_by_key(|(piece, _)| piece.sequence);
    pieces.into_iter().try_for_each(|(piece, due_ms)| page.add(piece, from, Some(due_ms)))
}

impl Queue {
    /// Shows what is scheduled, in the order of the puts.
    fn show_scheduled(&self, from: u64, page: &mut Page<'_>) -> Result<(), u64> {
        let Some(log) = self.bands.get(SCHEDULED) else { return Ok(()) };
        log.show(log.head, from, page)
    }

    /// Shows what a group was given back with a delay, and when it is ready again.
    fn show_delayed(&self, group: usize, from: u64, page: &mut Page<'_>) -> Result<(), u64> {
        let Some(delayed) = self.groups.at(group).delayed.as_deref() else { return Ok(()) };
        delayed.from(from).try_for_each(|(piece, due_ns)| {
            let due_ms = page.wall_ms(due_ns / 1_000_000);
            page.add(*piece, from, Some(due_ms))
        })
    }

    /// Shows what a group could take, band by band from the most urgent one on.
    fn show_ready(&self, group: usize, cursor: u64, page: &mut Page<'_>) -> Result<(), u64> {
        let start = turned(cursor);
        let first = band_of(start);
        if first >= SCHEDULED {
            return Ok(()); // no page ended there
        }
        for band in (0..=first).rev() {
            let Some(log) = self.bands.get(band) else { continue };
            let from = if band == first { start } else { 0 };
            let line: &Line = log.lines.at(group);
            for piece in line.returned_from(from) {
                page.add(*piece, from, None).map_err(turned)?;
            }
            log.show(line.segment, from.max(line.sequence), page).map_err(turned)?;
        }
        Ok(())
    }
}

impl Log {
    /// Shows the messages that are not gone, from a segment and a sequence on.
    fn show(&self, segment: u32, from: u64, page: &mut Page<'_>) -> Result<(), u64> {
        if segment == NIL {
            return Ok(());
        }
        let segments = page.segments;
        for slot in self.slots_from(segments, segment) {
            let segment = &segments[slot];
            if segment.end() <= from {
                continue;
            }
            let mut index = segment.index(from.max(segment.first_sequence));
            while index < segment.messages {
                index += segment.done.alike(index, segment.messages, true);
                let count = segment.done.alike(index, segment.messages, false);
                if count == 0 {
                    break;
                }
                let sequence = segment.first_sequence + u64::from(index);
                let offset = segment.offset_of(sequence);
                // The page splits off what it has room for.
                let bytes = u32::MAX;
                let piece = Piece {
                    sequence,
                    segment: slot,
                    offset,
                    bytes,
                    count,
                    deliveries: 0,
                    first_ms: 0,
                };
                page.add(piece, sequence, None)?;
                index += count;
            }
        }
        Ok(())
    }
}
