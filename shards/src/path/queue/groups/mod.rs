//! The consumer groups of a queue: who they are, what they hold, what they count.
//!
//! A group's positions are in the lines of the queue's logs, at the group's index.
//!
//! | file | what it knows |
//! |---|---|
//! | `grouping` | groups are made, changed and removed |
//! | `active` | the one consumer of a group that has a single one |

pub(super) mod active;
pub(super) mod grouping;

use ringway_protocol::{Code, GroupId, Rejection};

use super::catalog::Queue;
use super::keys::KeyStates;
use super::lease::delayed::Delayed;
use super::log::segment::NIL;
use super::log::segments::Segments;
use super::rarely::Rarely;
use super::waits::turns::Turns;

/// The name of the group that a queue is made with.
pub(super) const DEFAULT_GROUP: &str = "default";

const NO_SUCH_GROUP: Rejection =
    Rejection::new(Code::NoSuchGroup, "the queue has no group of that number or name");

const NO_MORE_NUMBERS: Rejection = Rejection::new(
    Code::ResourceExhausted,
    "the queue has made 65,535 groups, as many as it can number: use those that it has",
);

/// What a group counts since it was made, in messages unless they say otherwise.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Counters {
    /// Delivered, each time counted.
    pub takes: u64,
    /// Acknowledged, as they left or later.
    pub acks: u64,
    /// Given back by their consumer.
    pub nacks: u64,
    /// Leases that ran out.
    pub expired_leases: u64,
    /// Delivered not for the first time.
    pub redeliveries: u64,
    /// Moved to the dead-letter queue.
    pub dead_lettered: u64,
    /// Dead letters that their queue refused.
    pub dead_letters_refused: u64,
    /// Over their time to live.
    pub expired: u64,
    /// Dropped by the policy `drop-oldest`.
    pub dropped: u64,
    /// Dropped by a purge.
    pub purged: u64,
    /// Removed one by one, or moved to another queue.
    pub removed: u64,
}

impl Counters {
    /// Those of a group that is gone join what its queue has counted.
    pub fn add(&mut self, gone: &Self) {
        self.takes += gone.takes;
        self.acks += gone.acks;
        self.nacks += gone.nacks;
        self.expired_leases += gone.expired_leases;
        self.redeliveries += gone.redeliveries;
        self.dead_lettered += gone.dead_lettered;
        self.dead_letters_refused += gone.dead_letters_refused;
        self.expired += gone.expired;
        self.dropped += gone.dropped;
        self.purged += gone.purged;
        self.removed += gone.removed;
    }
}

/// One consumer group.
#[derive(Debug)]
pub(super) struct Group {
    /// The name; the first group has one only if it is not the default.
    pub name: Option<Box<str>>,
    pub incarnation: u16,
    pub paused: bool,
    pub single_active: bool,
    /// Messages under a lease.
    pub leased: u64,
    /// The first of its leases.
    pub leases: u32,
    pub waits: Rarely<Turns>,
    pub keys: Rarely<KeyStates>,
    /// Messages given back with a delay, once there were some.
    pub delayed: Option<Box<Delayed>>,
    pub counters: Counters,
    /// The band whose turn it is where bands have shares, and what is left of its share.
    pub turn: (u8, u8),
    /// Messages dropped that no delivery has told of yet.
    pub untold_drops: u32,
}

impl Group {
    /// Messages given back with a delay.
    #[inline]
    pub fn delayed(&self) -> u64 {
        self.delayed.as_ref().map_or(0, |delayed| delayed.messages())
    }

    /// Messages that it has and that are not ready: leased, delayed, or blocked by their keys.
    #[inline]
    pub fn held(&self) -> u64 {
        self.leased + self.delayed() + u64::from(self.keys.count)
    }

    pub fn new(name: Option<Box<str>>, incarnation: u16) -> Self {
        Self {
            name,
            incarnation,
            paused: false,
            single_active: false,
            leased: 0,
            leases: NIL,
            waits: Rarely::new(),
            keys: Rarely::new(),
            delayed: None,
            counters: Counters::default(),
            turn: (7, 8),
            untold_drops: 0,
        }
    }

    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(DEFAULT_GROUP)
    }
}

/// The groups of one queue: by index, the place of a deleted one is used again.
#[derive(Debug)]
pub(super) struct Groups {
    first: Option<Group>,
    more: Vec<Option<Box<Group>>>,
    /// Incarnations that were used up, by index, for places of deleted groups.
    last_incarnation: u16,
}

impl Groups {
    /// The default group.
    pub fn new() -> Self {
        Self { first: Some(Group::new(None, 0)), more: Vec::new(), last_incarnation: 0 }
    }

    /// The index of a group by its number.
    #[inline]
    pub fn find(&self, group: GroupId) -> Result<usize, Rejection> {
        let index = group.index();
        let found = self.get(index).filter(|found| found.incarnation == group.incarnation());
        found.map(|_| index).ok_or(NO_SUCH_GROUP)
    }

    /// The index of a group by its name.
    pub fn named(&self, name: &str) -> Result<usize, Rejection> {
        let mut groups = self.iter();
        groups.find(|(_, group)| group.name() == name).map(|(index, _)| index).ok_or(NO_SUCH_GROUP)
    }

    /// The number of the group at an index.
    pub fn id(&self, index: usize) -> GroupId {
        GroupId::new(self.at(index).incarnation, index as u16)
    }

    #[inline]
    pub fn get(&self, index: usize) -> Option<&Group> {
        if index == 0 { self.first.as_ref() } else { self.more.get(index - 1)?.as_deref() }
    }

    /// A group that is known to exist.
    #[inline]
    pub fn at(&self, index: usize) -> &Group {
        self.get(index).expect("a group that holds something is there")
    }

    /// A group that is known to exist.
    #[inline]
    pub fn at_mut(&mut self, index: usize) -> &mut Group {
        let group = if index == 0 {
            self.first.as_mut()
        } else {
            self.more.get_mut(index - 1).and_then(|group| group.as_deref_mut())
        };
        group.expect("a group that holds something is there")
    }

    /// The groups with their indices.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = (usize, &Group)> {
        let more = self.more.iter().map(|group| group.as_deref());
        let all = std::iter::once(self.first.as_ref()).chain(more).enumerate();
        all.filter_map(|(index, group)| Some((index, group?)))
    }

    /// Whether anybody waits in any of them who could be served.
    #[inline]
    pub fn wait(&self) -> bool {
        self.first.as_ref().is_some_and(|group| group.waits.count > 0)
            || self.more.iter().flatten().any(|group| group.waits.count > 0)
    }

    /// Whether anybody waits for messages of any of them, or is subscribed.
    pub fn are_attended(&self) -> bool {
        let mut groups = self.iter();
        groups.any(|(_, group)| group.waits.takes + group.waits.subscriptions > 0)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Places, in use or not.
    #[inline]
    pub fn places(&self) -> usize {
        1 + self.more.len()
    }

    /// Adds a group and returns its index. A number is given once.
    pub fn add(&mut self, name: &str) -> Result<usize, Rejection> {
        self.last_incarnation = self.last_incarnation.checked_add(1).ok_or(NO_MORE_NUMBERS)?;
        let name = (name != DEFAULT_GROUP).then(|| name.into());
        let group = Group::new(name, self.last_incarnation);
        if self.first.is_none() {
            self.first = Some(group);
            return Ok(0);
        }
        let free = self.more.iter().position(Option::is_none);
        let index = free.unwrap_or_else(|| {
            self.more.push(None);
            self.more.len() - 1
        });
        self.more[index] = Some(Box::new(group));
        Ok(index + 1)
    }

    /// Adds a group that has its number from another part of the queue; its place is free.
    pub fn insert(&mut self, id: GroupId, name: &str) {
        let (index, name) = (id.index(), (name != DEFAULT_GROUP).then(|| name.into()));
        debug_assert!(self.get(index).is_none(), "the place of a new group is free");
        let group = Group::new(name, id.incarnation());
        if index == 0 {
            self.first = Some(group);
            return;
        }
        if self.more.len() < index {
            self.more.resize_with(index, || None);
        }
        self.more[index - 1] = Some(Box::new(group));
    }

    /// A group of a queue that nobody has used has another number and name.
    pub fn relabel(&mut self, id: GroupId, name: &str) {
        let group = self.at_mut(id.index());
        group.incarnation = id.incarnation();
        group.name = (name != DEFAULT_GROUP).then(|| name.into());
    }

    /// How many incarnations were used up by places of deleted groups.
    pub fn last_incarnation(&self) -> u16 {
        self.last_incarnation
    }

    /// The groups to come are numbered as those of another part.
    pub fn set_last_incarnation(&mut self, last: u16) {
        self.last_incarnation = last;
    }

    /// Takes a group out.
    pub fn remove(&mut self, index: usize) -> Group {
        let group = if index == 0 {
            self.first.take()
        } else {
            self.more[index - 1].take().map(|group| *group)
        };
        group.expect("a group that is removed is there")
    }
}

impl Queue {
    /// Drops what is ready for a group or set aside. It may be `kept` for groups to come.
    pub fn purge_group(&mut self, segments: &mut Segments, group: usize, kept: bool) {
        // First, so that no key that gets free brings one of them into a band that was purged.
        let blocked = self.drain_blocked(segments, group, kept);
        self.groups.at_mut(group).counters.purged += blocked;
        for band in self.bands.urgent_first() {
            while let Some(count) = self.drop_piece(segments, (band, group), kept) {
                self.groups.at_mut(group).counters.purged += u64::from(count);
            }
        }
    }

    /// Ends a group's oldest ready messages that lie together in one segment of a band; says how
    /// many they were.
    fn drop_piece(
        &mut self,
        segments: &mut Segments,
        (band, group): (usize, usize),
        kept: bool,
    ) -> Option<u32> {
        let log = self.bands.at_mut(band);
        let claimed = log.lines.at(group).returned() > 0;
        let piece = log.next_piece(segments, group, (u32::MAX, u32::MAX), true)?;
        if kept {
            self.settle(segments, group, &piece, claimed);
        } else {
            self.drop_for(segments, group, &piece, claimed);
        }
        Some(piece.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_names_one_group_and_no_other() {
        let mut groups = Groups::new();
        for number in 1..=u16::MAX {
            let index = groups.add("g").expect("there are numbers left");
            assert_eq!(groups.id(index), GroupId::new(number, 1));
            groups.remove(index);
        }
        assert_eq!(groups.add("g").map_err(|why| why.code), Err(Code::ResourceExhausted));
        assert_eq!(groups.len(), 1);
    }
}
