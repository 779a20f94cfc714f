//! A request that concerns every part of a spread queue: the home shard asks all of them, and what
//! they answer is added up.
//!
//! Everything that changes parts goes through the home shard, whose rings keep their order, so all
//! parts see the same changes in the same order; a group has one number on all of them.

use crate::path::errand::runner::Runner;
use crate::path::errand::{Answer, Call, Step};
use ringway_protocol::reply::{self, GROUP_COLUMNS, QUEUE_COLUMNS};
use ringway_protocol::request::{GroupFlags, Sequences};
use ringway_protocol::{Frame, GroupId, Header, Kind, QueueId, Reply, frame};
use std::collections::BTreeMap;

/// Columns of which the largest counts, not the sum: where each part's position is has no sum, and
/// groups are the same on all parts.
const LARGEST: [&str; 4] = ["groups", "oldest_age_ms", "paused", "position"];
/// Bits of a sequence below those that name its part.
pub(super) const PART_SHIFT: u32 = 52;

/// What the parts have answered so far.
#[derive(Debug, Default)]
pub(in crate::path::errand) struct Gather {
    /// The first refusal.
    refusal: Option<(Header, Box<[u8]>)>,
    /// Columns, or the one number of a reply.
    sums: Vec<u64>,
    /// By their numbers.
    groups: BTreeMap<u32, Group>,
    /// What the first part said of a change of a group.
    changed: Option<(GroupId, bool)>,
    /// Messages that are to be removed.
    named: u32,
}

#[derive(Debug)]
struct Group {
    flags: GroupFlags,
    name: Box<str>,
    sums: Vec<u64>,
}

impl Gather {
    /// Asks every part the same.
    pub fn begin<S>(
        runner: &mut Runner<'_, S>,
        call: &mut Call,
        parts: &[QueueId],
        frame: Frame<'_>,
    ) -> (Self, Step) {
        for part in parts {
            runner.ask(call, (part.shard(), 0), frame.header.kind, |out| {
                out.extend_from_slice(&part.0.to_le_bytes());
                out.extend_from_slice(&frame.body[8..]);
            });
        }
        (Self::default(), Step::Wait)
    }

    /// Asks each part to remove what is its own.
    pub fn begin_removal<S>(
        runner: &mut Runner<'_, S>,
        call: &mut Call,
        parts: &[QueueId],
        sequences: Sequences<'_>,
    ) -> (Self, Step) {
        for (number, part) in parts.iter().enumerate() {
            let is_mine = |sequence: &u64| (sequence >> PART_SHIFT) as u8 == number as u8;
            let count = sequences.iter().filter(is_mine).count() as u64;
            if count == 0 {
                continue;
            }
            runner.ask(call, (part.shard(), 0), Kind::Remove as u8, |out| {
                out.extend_from_slice(&part.0.to_le_bytes());
                out.extend_from_slice(&count.to_le_bytes());
                let mine = sequences.iter().filter(is_mine);
                mine.for_each(|sequence| out.extend_from_slice(&sequence.to_le_bytes()));
            });
        }
        let mut gather = Self { named: sequences.iter().len() as u32, ..Self::default() };
        let step = if call.open == 0 { gather.finish(runner, call) } else { Step::Wait };
        (gather, step)
    }

    pub fn heard<S>(
        &mut self,
        runner: &mut Runner<'_, S>,
        call: &mut Call,
        answer: Answer<'_>,
    ) -> Step {
        match Reply::decode(answer.frame) {
            Ok(Reply::Refused { .. }) => {
                let refusal = || (answer.frame.header, answer.frame.body.into());
                self.refusal.get_or_insert_with(refusal);
            }
            Ok(Reply::Removed(number)) => add(&mut self.sums, &[], [number].into_iter()),
            Ok(Reply::Removal(removal)) => {
                add(&mut self.sums, &[], [u64::from(removal.removed)].into_iter());
            }
            Ok(Reply::Figures(figures)) => {
                let row = figures.rows().next().into_iter().flatten();
                add(&mut self.sums, &QUEUE_COLUMNS, row);
            }
            Ok(Reply::Group { group, changed }) => {
                self.changed.get_or_insert((group, changed));
            }
            Ok(Reply::Groups(groups)) => {
                for entry in groups.iter() {
                    let new =
                        || Group { flags: entry.flags, name: entry.name.into(), sums: Vec::new() };
                    let group = self.groups.entry(entry.group.0).or_insert_with(new);
                    add(&mut group.sums, &GROUP_COLUMNS, entry.figures());
                }
            }
            _ => {}
        }
        if call.open > 0 { Step::Wait } else { self.finish(runner, call) }
    }

    fn finish<S>(&mut self, runner: &mut Runner<'_, S>, call: &Call) -> Step {
        let number = self.sums.first().copied().unwrap_or(0);
        if let Some((header, sentence)) = &self.refusal {
            runner.pass_on(call, Frame { header: *header, body: sentence });
            return Step::Done;
        }
        runner.reply(call, 0, |out, ids| match call.kind {
            Kind::Stat => {
                let header = Header::reply(Kind::Stat, ringway_protocol::Code::Ok, ids.0, ids.1);
                frame::write(out, header, |out| {
                    reply::figures(out, self.sums.len(), std::iter::once(self.sums.clone()));
                });
            }
            Kind::Remove => {
                let removed = number as u32;
                reply::pair(out, call.kind, ids, (removed, self.named - removed));
            }
            Kind::Group => {
                let (group, changed) = self.changed.expect("a part has answered");
                reply::group(out, ids, group, changed);
            }
            Kind::Groups => {
                let counts = (self.groups.len(), GROUP_COLUMNS.len());
                reply::groups(out, ids, counts, |out| {
                    for (group, Group { flags, name, sums }) in &self.groups {
                        reply::group_entry(out, (GroupId(*group), *flags), name, sums);
                    }
                });
            }
            Kind::Pause | Kind::Alter => reply::done(out, call.kind, ids),
            _ => reply::number(out, call.kind, ids, number),
        });
        Step::Done
    }
}

/// Adds a row of figures to others, each by what its column means.
fn add(sums: &mut Vec<u64>, columns: &[&str], row: impl Iterator<Item = u64>) {
    for (index, figure) in row.enumerate() {
        let largest = columns.get(index).is_some_and(|column| LARGEST.contains(column));
        match sums.get_mut(index) {
            Some(sum) if largest => *sum = (*sum).max(figure),
            Some(sum) => *sum += figure,
            None => sums.push(figure),
        }
    }
}
