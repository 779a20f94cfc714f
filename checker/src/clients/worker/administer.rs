//! What a worker does to queues themselves: it binds, pauses, alters, renames, prunes and removes
//! them, and looks at what they hold.

use ringway_protocol::pattern::Pattern;
use ringway_protocol::request::{
    Binding, Browse, ChangeGroup, GroupFlags, GroupOperation, MessageState, encode_remove,
};
use ringway_protocol::{QueueId, Request};

use super::{Known, Worker};
use crate::Ask;
use crate::clients::Outside;
use crate::clients::peer::{Asked, Peer};

/// Messages that a page shows at most, and that are removed at once.
const PAGE_MAX: usize = 20;
const REMOVED_MAX: u64 = 4;
/// Once in how many times a client does what another one keeps doing.
const MEDDLES: u32 = 12;
/// Once in how many times somebody may as well look.
const LOOKS: u32 = 2;
/// How many messages' places it remembers.
const STORED_MAX: usize = 64;

/// What can be done to a queue.
#[derive(Clone, Copy)]
enum Act {
    Pause,
    PauseGroup(usize),
    EndGroup,
    Alter,
    Rename,
    Prune,
    Unbind,
    Browse,
}

impl Worker {
    /// Does one of those things that may be done to a queue; says whether there was one.
    pub(super) fn administer(
        &mut self,
        index: usize,
        known: &Known,
        peer: &mut Peer,
        outside: &mut Outside<'_>,
    ) -> bool {
        let (plans, queue) = (self.plans.clone(), known.queue);
        let plan = &plans[index];
        let changes = plan.changes;
        let group = known.groups.iter().position(Option::is_some);
        let there = group.map_or(Act::Pause, Act::PauseGroup);
        let keeps = self.keeps(queue, outside);
        let acts = [
            (changes.paused && keeps, Act::Pause),
            (changes.paused && keeps && group.is_some(), there),
            (changes.replayed && group.is_some(), Act::EndGroup),
            (changes.altered || changes.grows, Act::Alter),
            (plan.alias.is_some(), Act::Rename),
            (changes.pruned, Act::Prune),
            (keeps && known.bound, Act::Unbind),
            (self.chance.once_in(LOOKS), Act::Browse),
        ];
        let acts: Vec<Act> = acts.iter().filter(|(may, _)| *may).map(|(_, act)| *act).collect();
        if acts.is_empty() {
            return false;
        }
        match self.chance.pick(&acts) {
            Act::Pause => self.pause(queue, peer, outside),
            Act::PauseGroup(nth) => self.pause_group((index, nth), queue, peer, outside),
            Act::EndGroup => self.end_group(index, queue, peer, outside),
            Act::Alter => self.alter(index, queue, peer, outside),
            Act::Rename => self.rename(index, queue, peer, outside),
            Act::Prune => return self.prune(queue, peer, outside),
            Act::Unbind => self.bind(index, queue, false, peer, outside),
            Act::Browse => self.browse(index, known, peer, outside),
        }
        true
    }

    /// Whether it may pause a queue, and bind it.
    pub(super) fn keeps(&mut self, queue: QueueId, outside: &mut Outside<'_>) -> bool {
        outside.keeps(self.producer, queue.0) || self.chance.once_in(MEDDLES)
    }

    /// Asks for something that is counted once it is done.
    fn order(
        &mut self,
        name: &'static str,
        (ask, request): (Ask, Request<'_>),
        peer: &mut Peer,
        outside: &mut Outside<'_>,
    ) {
        peer.ask(Asked::Counted(name), ask, 0, outside, |name, out| {
            request.encode(name.0, name.1, out);
        });
    }

    /// Stops puts or takes, or lets them go on.
    fn pause(&mut self, queue: QueueId, peer: &mut Peer, outside: &mut Outside<'_>) {
        let (puts, takes) = (self.chance.once_in(2), self.chance.once_in(2));
        let name = if puts || takes { "queues paused" } else { "queues resumed" };
        let ask = Ask::Pause { queue: queue.0, puts, takes };
        self.order(name, (ask, Request::Pause { queue, puts, takes }), peer, outside);
    }

    fn pause_group(
        &mut self,
        (index, nth): (usize, usize),
        queue: QueueId,
        peer: &mut Peer,
        outside: &mut Outside<'_>,
    ) {
        let (plans, paused) = (self.plans.clone(), self.chance.once_in(2));
        let plan = &plans[index].groups[nth];
        let flags = GroupFlags { paused, single_active: plan.single_active };
        let operation = GroupOperation::Alter { flags };
        let request = Request::Group(ChangeGroup { queue, name: &plan.name, operation });
        let ask = Ask::PauseGroup { queue: queue.0, name: nth as u64, paused };
        let name = if paused { "groups paused" } else { "groups resumed" };
        self.order(name, (ask, request), peer, outside);
    }

    fn alter(&mut self, index: usize, queue: QueueId, peer: &mut Peer, outside: &mut Outside<'_>) {
        let plan = &self.plans[index];
        let name = if plan.changes.grows { "queues spread further" } else { "queues altered" };
        let options = plan.altered(&mut self.chance);
        self.order(name, (Ask::Other, Request::Alter { queue, options }), peer, outside);
    }

    fn rename(&mut self, index: usize, queue: QueueId, peer: &mut Peer, outside: &mut Outside<'_>) {
        let plans = self.plans.clone();
        let plan = &plans[index];
        let alias = plan.alias.as_ref().filter(|_| self.chance.once_in(2));
        let name = alias.unwrap_or(&plan.name).as_str();
        let request = Request::Rename { queue, name };
        self.order("queues renamed", (Ask::Other, request), peer, outside);
    }

    /// Remembers where messages of a queue stand that is pruned.
    pub(super) fn remember(&mut self, queue: QueueId, sequence: u64) {
        if self.stored.len() == STORED_MAX {
            self.stored.pop_front();
        }
        self.stored.push_back((queue, sequence));
    }

    /// Removes a few messages by their sequences.
    fn prune(&mut self, queue: QueueId, peer: &mut Peer, outside: &mut Outside<'_>) -> bool {
        let count = self.chance.between(1, REMOVED_MAX) as usize;
        let own = self.stored.iter().rev().filter(|(of, _)| *of == queue);
        let sequences: Vec<u64> = own.map(|(_, sequence)| *sequence).take(count).collect();
        if sequences.is_empty() {
            return false;
        }
        self.stored.retain(|(_, sequence)| !sequences.contains(sequence));
        let ask = Ask::Remove { queue: queue.0, sequences: sequences.clone() };
        peer.ask(Asked::Other, ask, 0, outside, |name, out| {
            encode_remove(queue, &sequences, name, out);
        });
        true
    }

    /// Looks at the next page, or at the first one of any state.
    fn browse(&mut self, index: usize, known: &Known, peer: &mut Peer, outside: &mut Outside<'_>) {
        let (queue, group) = (known.queue, self.any_group(index, known));
        let state = self.chance.pick(&MessageState::ALL);
        let limit = self.chance.magnitude(PAGE_MAX) as u32;
        let first = Browse { queue, group, state, cursor: 0, limit, bytes_max: 0 };
        let browse = self.browsing.take().unwrap_or(first);
        let ask = Ask::Browse { queue: browse.queue.0 };
        peer.ask(Asked::Browse(browse), ask, 0, outside, |name, out| {
            Request::Browse(browse).encode(name.0, name.1, out);
        });
    }

    /// Binds a queue to its topic, or ends that.
    pub(super) fn bind(
        &mut self,
        index: usize,
        queue: QueueId,
        binds: bool,
        peer: &mut Peer,
        outside: &mut Outside<'_>,
    ) {
        self.queues[index].as_mut().expect("it was found").bound = binds;
        let plan = &self.plans[index];
        let topic = plan.topic.expect("only queues with one are bound");
        let (_, pattern) = plan.scene.topic(topic);
        let pattern = Pattern::new(&pattern).expect("made of names and a star");
        let (binding, id) = (Binding { queue, pattern }, queue.0);
        let (asked, ask, request) = if binds {
            (Asked::Bind(index), Ask::Bind { queue: id, topic }, Request::Bind(binding))
        } else {
            let asked = Asked::Counted("bindings taken back");
            (asked, Ask::Unbind { queue: id, topic }, Request::Unbind(binding))
        };
        peer.ask(asked, ask, 0, outside, |name, out| request.encode(name.0, name.1, out));
    }

    /// Purges or deletes a queue, or removes one of its groups.
    pub(super) fn remove(
        &mut self,
        index: usize,
        queue: QueueId,
        peer: &mut Peer,
        outside: &mut Outside<'_>,
    ) {
        let (ask, request) = match self.chance.below(3) {
            0 => (Ask::Delete { queue: queue.0 }, Request::Delete { queue }),
            1 => return self.end_group(index, queue, peer, outside),
            _ => (Ask::Other, Request::Purge { queue }),
        };
        peer.ask(Asked::Other, ask, 0, outside, |name, out| {
            request.encode(name.0, name.1, out);
        });
    }

    /// Removes a group, which it will make again.
    fn end_group(
        &mut self,
        index: usize,
        queue: QueueId,
        peer: &mut Peer,
        outside: &mut Outside<'_>,
    ) {
        let (known, plans) = (self.queues[index].as_mut().expect("it was found"), &self.plans);
        let Some(nth) = known.groups.iter().position(Option::is_some) else { return };
        known.groups[nth] = None;
        let (name, operation) = (plans[index].groups[nth].name.as_str(), GroupOperation::Delete);
        let ask = Ask::EndGroup { queue: queue.0, name: nth as u64 };
        let request = Request::Group(ChangeGroup { queue, name, operation });
        peer.ask(Asked::Other, ask, 0, outside, |name, out| {
            request.encode(name.0, name.1, out);
        });
    }
}
