//! Which messages no group has under a lease: they can be removed, or dropped to make room.
//!
//! A message is free if every group that needs it has it waiting: before its cursor, given back,
//! delayed or set aside. Messages that follow each other often stand alike with every group, so
//! they are looked at by stretches.

use crate::path::queue::catalog::Queue;
use crate::path::queue::groups::Group;
use crate::path::queue::log::Log;
use crate::path::queue::log::bands::band_of;
use crate::path::queue::log::line::Line;
use crate::path::queue::log::piece::Piece;
use crate::path::queue::log::segment::{NIL, Segment};
use crate::path::queue::log::segments::Segments;

/// Messages of one segment that follow each other.
#[derive(Clone, Copy, Debug)]
pub(in crate::path::queue) struct FreeRun {
    pub sequence: u64,
    pub slot: u32,
    pub count: u32,
}

impl FreeRun {
    /// The sequence after the last one.
    pub fn end(&self) -> u64 {
        self.sequence + u64::from(self.count)
    }
}

/// Sequences and segments of the messages that each group has set aside, in order.
pub(in crate::path::queue) struct Aside(Vec<(usize, Vec<(u64, u32)>)>);

impl Aside {
    /// The first one of a group from a sequence on.
    fn from(&self, group: usize, sequence: u64) -> Option<(u64, u32)> {
        let (_, places) = self.0.iter().find(|(index, _)| *index == group)?;
        places.get(places.partition_point(|(at, _)| *at < sequence)).copied()
    }
}

/// Which messages are looked for, and how much may be looked at.
pub(in crate::path::queue) struct Search<'a> {
    pub aside: &'a Aside,
    /// Whether what a replay brought back is passed over.
    pub spares_replays: bool,
    /// Messages and stretches that may still be looked at.
    pub looks: u32,
}

impl Queue {
    /// What groups have set aside of some messages. Visits each that is set aside.
    pub fn aside(&self, named: impl Fn(u64) -> bool) -> Aside {
        let groups = self.groups.iter().filter(|(_, group)| group.keys.count > 0);
        let places = groups.map(|(index, group)| {
            let pieces = group.keys.pieces().filter(|piece| named(piece.sequence));
            let mut places: Vec<_> = pieces.map(|piece| (piece.sequence, piece.segment)).collect();
            places.sort_unstable();
            (index, places)
        });
        Aside(places.collect())
    }

    /// Whether no group that needs a message of a segment has it under a lease.
    pub fn is_free(&self, segment: &Segment, log: &Log, sequence: u64, aside: &Aside) -> bool {
        let (waiting, _) = self.standing(log, sequence, aside);
        let needing = match segment.done.is_shared() {
            true => segment.done.left(segment.index(sequence)),
            false => log.lines.needing(sequence),
        };
        waiting == needing
    }

    /// How many groups have a message waiting, and before which sequence all that follow stand as
    /// it does.
    fn standing(&self, log: &Log, sequence: u64, aside: &Aside) -> (u16, u64) {
        let (mut waiting, mut until) = (0, log.next_sequence());
        for (index, group) in self.groups.iter() {
            let line = log.lines.at(index);
            if !line.active || line.start > sequence {
                until = if line.active { until.min(line.start) } else { until };
            } else if line.sequence <= sequence {
                waiting += 1;
            } else {
                until = until.min(line.sequence);
                for (first, count, _) in group.waiting_from(line, index, sequence, aside) {
                    let waits = first <= sequence;
                    waiting += u16::from(waits);
                    until = until.min(if waits { first + u64::from(count) } else { first });
                }
            }
        }
        (waiting, until)
    }

    /// The first message from a sequence on that some group may have waiting, and a segment that is
    /// not after it.
    fn next_waiting(&self, log: &Log, from: u64, aside: &Aside) -> Option<(u64, u32)> {
        let groups = self.groups.iter().map(|(index, group)| (index, group, log.lines.at(index)));
        let firsts = groups.filter(|(.., line)| line.active).filter_map(|(index, group, line)| {
            let ahead = from.max(line.sequence);
            let fresh = line.segment != NIL && ahead < log.next_sequence();
            let behind = group.waiting_from(line, index, from, aside);
            let behind = behind.map(|(first, _, segment)| (first.max(from), segment));
            behind.chain(fresh.then_some((ahead, line.segment))).min()
        });
        firsts.min()
    }

    /// The next free messages of a band from a sequence on, at most so many of them.
    pub fn next_free(
        &self,
        segments: &Segments,
        (band, from): (usize, u64),
        messages_max: u32,
        search: &mut Search<'_>,
    ) -> Option<FreeRun> {
        let log = self.bands.get(band)?;
        let (mut at, mut near) = (from, NIL);
        while search.looks > 0 {
            let (first, known) = self.next_waiting(log, at, search.aside)?;
            if near == NIL || segments[near].first_sequence < segments[known].first_sequence {
                near = known;
            }
            near = log.slots_from(segments, near).find(|slot| segments[*slot].end() > first)?;
            let segment = &segments[near];
            at = first.max(segment.first_sequence);
            let (waiting, until) = self.standing(log, at, search.aside);
            let end = until.min(segment.end());
            let stretch = (segment.index(at), segment.index(end));
            let needing = log.lines.needing(at);
            let (passed, count) = free_run(segment, stretch, (waiting, needing), search);
            search.looks = search.looks.saturating_sub(1 + passed);
            if count > 0 {
                let sequence = at + u64::from(passed);
                return Some(FreeRun { sequence, slot: near, count: count.min(messages_max) });
            }
            at = end;
        }
        None
    }
}

/// The first free messages of a stretch that so many groups have waiting, and so many need where
/// they are not counted: how many are passed before them, and how many there are.
fn free_run(
    segment: &Segment,
    (from, end): (u32, u32),
    (waiting, needing): (u16, u16),
    search: &Search<'_>,
) -> (u32, u32) {
    let done = &segment.done;
    if !done.is_shared() {
        let gone = done.alike(from, end, true);
        let free = waiting == needing;
        return (gone, if free { done.alike(from + gone, end, false) } else { 0 });
    }
    let is_free = |index: &u32| {
        done.left(*index) == waiting
            && !done.is_gone(*index)
            && !(search.spares_replays && done.is_revived(*index))
    };
    let most = end.min(from.saturating_add(search.looks));
    let passed = (from..most).take_while(|index| !is_free(index)).count() as u32;
    (passed, (from + passed..end).take_while(is_free).count() as u32)
}

impl Group {
    /// What a group that has passed messages has waiting of them: of each kind the stretch that
    /// ends behind a sequence first, its length and its segment.
    fn waiting_from(
        &self,
        line: &Line,
        index: usize,
        sequence: u64,
        aside: &Aside,
    ) -> impl Iterator<Item = (u64, u32, u32)> + use<> {
        let place = |piece: &Piece| (piece.sequence, piece.count, piece.segment);
        let returned = line.returned_from(sequence).next().map(place);
        let delayed = self.delayed.as_ref().and_then(|delayed| delayed.from(sequence).next());
        let delayed = delayed.map(|(piece, _)| place(piece));
        let aside = aside.from(index, sequence).map(|(sequence, segment)| (sequence, 1, segment));
        // What is delayed or set aside may be of any band.
        let kinds = [returned, delayed, aside].into_iter().flatten();
        kinds.filter(move |(first, ..)| band_of(*first) == band_of(sequence))
    }
}
