//! The last client of a run: it takes from every group of every queue until nothing is left, leased
//! messages and those that are not due included.

use std::rc::Rc;

use ringway_protocol::limits::TAKE_MESSAGES_MAX;
use ringway_protocol::reply::{GROUP_COLUMNS, Groups, QUEUE_COLUMNS};
use ringway_protocol::request::{ChangeGroup, GroupFlags, GroupOperation, Take};
use ringway_protocol::{GroupId, QueueId, QueueName, Reply, Request};

use super::Outside;
use super::peer::{Arrival, Asked, Peer, Standing};
use super::queues::QueuePlan;
use crate::chance::Chance;
use crate::{Ask, Event};

/// Nanoseconds between two looks at a queue whose messages are leased, or not due.
const LOOK_AGAIN_NS: u64 = 5_000_000;

/// A client that empties the queues one after the other.
pub struct Sweeper {
    chance: Chance,
    plans: Rc<[QueuePlan]>,
    listener: usize,
    peer: Option<Peer>,
    /// The plan whose queues are being emptied.
    at: usize,
    queue: Option<QueueId>,
    /// Whether that is the queue that has the plan's other name.
    alias: bool,
    /// Whether it is the dead-letter queue of the plan that is being emptied.
    dead: bool,
    /// The groups of the queue that are still to be emptied; the last one is next.
    groups: Vec<GroupId>,
    /// Groups that are paused, with their flags.
    paused: Vec<(String, GroupFlags)>,
    next: Next,
    rests_until_ns: u64,
    taken: u64,
    /// What the queue said it still had.
    left: String,
}

/// What it asks next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Next {
    Open,
    OpenDead,
    Resume,
    Groups,
    ResumeGroup,
    Take,
    Stat,
    Count,
    Nothing,
}

impl Sweeper {
    /// A sweeper that connects to this listener.
    pub fn new(chance: Chance, plans: Rc<[QueuePlan]>, listener: usize) -> Self {
        Self {
            chance,
            plans,
            listener,
            peer: None,
            at: 0,
            queue: None,
            alias: false,
            dead: false,
            groups: Vec::new(),
            paused: Vec::new(),
            next: Next::Open,
            rests_until_ns: 0,
            taken: 0,
            left: String::new(),
        }
    }

    /// Whether every queue is empty.
    pub fn is_done(&self) -> bool {
        self.next == Next::Nothing
    }

    /// When it goes on, if it is resting.
    pub fn rests_until_ns(&self) -> u64 {
        self.rests_until_ns
    }

    /// How many messages it has taken.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// What it is doing.
    pub fn waiting(&self) -> String {
        let waits: Vec<String> = self.peer.iter().flat_map(Peer::waiting).collect();
        let (name, next, left) = (self.name(), self.next, &self.left);
        format!("sweeping {name}: {next:?}, {waits:?}, left: {left}")
    }

    /// Parts in order, and does not come back.
    pub fn leave(&mut self, outside: &mut Outside<'_>) {
        self.next = Next::Nothing;
        if let Some(mut peer) = self.peer.take() {
            peer.close(outside);
        }
    }

    /// Writes, reads, and asks when nothing is outstanding.
    pub fn step(&mut self, outside: &mut Outside<'_>) {
        if self.peer.is_none() && self.next != Next::Nothing {
            self.peer = Peer::connect(self.listener, outside);
        }
        let Some(mut peer) = self.peer.take() else { return };
        peer.write(&mut self.chance, outside);
        let mut arrivals = Vec::new();
        let standing = peer.read_much(&mut self.chance, outside, &mut arrivals);
        arrivals.iter().for_each(|arrival| self.learn(arrival, outside));
        if standing == Standing::Gone {
            return;
        }
        if peer.outstanding() == 0 && outside.network.now_ns() >= self.rests_until_ns {
            self.ask(&mut peer, outside);
        }
        self.peer = Some(peer);
    }

    /// The name of the queue that is being emptied, dead letters left out.
    fn name(&self) -> &QueueName {
        let plan = &self.plans[self.at];
        plan.alias.as_ref().filter(|_| self.alias).unwrap_or(&plan.name)
    }

    fn ask(&mut self, peer: &mut Peer, outside: &mut Outside<'_>) {
        let queue = self.queue.unwrap_or(QueueId(0));
        let dead = self.name().dead_letter().expect("the names of a run are short");
        let (asked, ask, request) = match self.next {
            Next::Nothing => return,
            Next::Open => {
                let name = self.name().as_str();
                (Asked::Open(self.at), Ask::Other, Request::Open { name })
            }
            Next::OpenDead => {
                let name = dead.as_str();
                (Asked::OpenDead(self.at), Ask::Other, Request::Open { name })
            }
            Next::Resume => {
                let (puts, takes) = (false, false);
                let ask = Ask::Pause { queue: queue.0, puts, takes };
                (Asked::Other, ask, Request::Pause { queue, puts, takes })
            }
            Next::ResumeGroup => self.resume_group(queue),
            Next::Groups | Next::Count => {
                (Asked::Groups(queue.0), Ask::Other, Request::Groups { queue })
            }
            Next::Stat => (Asked::Stat(queue.0), Ask::Other, Request::Stat { queue: Some(queue) }),
            Next::Take => self.take(queue),
        };
        peer.ask(asked, ask, 0, outside, |name, out| request.encode(name.0, name.1, out));
    }

    fn resume_group(&self, queue: QueueId) -> (Asked, Ask, Request<'_>) {
        let (name, flags) = self.paused.last().expect("some group is paused");
        let operation = GroupOperation::Alter { flags: GroupFlags { paused: false, ..*flags } };
        let groups = &self.plans[self.at].groups;
        let number = groups.iter().position(|group| group.name == *name).unwrap_or(groups.len());
        let ask = Ask::PauseGroup { queue: queue.0, name: number as u64, paused: false };
        (Asked::Other, ask, Request::Group(ChangeGroup { queue, name, operation }))
    }

    fn take(&self, queue: QueueId) -> (Asked, Ask, Request<'static>) {
        let group = *self.groups.last().expect("a take is from some group");
        let messages_max = TAKE_MESSAGES_MAX;
        let (id, number, waits) = (queue.0, group.0, false);
        let ask = Ask::Take { queue: id, group: number, messages_max, for_good: true, waits };
        let (bytes_max, wait_ms, lease_ms, acknowledged) = (0, 0, 0, true);
        let take = Take { queue, messages_max, bytes_max, wait_ms, lease_ms, group, acknowledged };
        (Asked::Take(self.at, (id, group)), ask, Request::Take(take))
    }

    fn learn(&mut self, arrival: &Arrival, outside: &mut Outside<'_>) {
        match (&arrival.asked, arrival.reply()) {
            (Asked::Open(_), Reply::Opened { queue }) => {
                let facts = self.plans[self.at].facts();
                outside.queue_found(self.at, queue.0, facts);
                let paused = self.plans[self.at].changes.paused;
                self.next = if paused { Next::Resume } else { Next::Groups };
                self.queue = Some(queue);
            }
            (Asked::Open(_), Reply::Refused { .. }) => self.next = Next::OpenDead,
            (_, Reply::Done) => self.next = Next::Groups,
            (Asked::OpenDead(_), Reply::Opened { queue: dead }) => {
                outside.dead_found(self.at, dead.0);
                (self.queue, self.next, self.dead) = (Some(dead), Next::Groups, true);
            }
            (Asked::OpenDead(_), Reply::Refused { .. }) => self.next_plan(),
            (Asked::Groups(queue), Reply::Groups(groups)) if self.next == Next::Count => {
                count(*queue, &groups, outside);
                if self.dead {
                    self.next_plan();
                } else {
                    self.next = Next::OpenDead;
                }
            }
            (Asked::Groups(_), Reply::Groups(groups)) => {
                self.groups = groups.iter().map(|entry| entry.group).collect();
                let paused = groups.iter().filter(|entry| entry.flags.paused);
                let paused = paused.map(|entry| (entry.name.to_owned(), entry.flags));
                self.paused = paused.collect();
                self.next = if self.paused.is_empty() { Next::Take } else { Next::ResumeGroup };
            }
            (_, Reply::Group { .. }) => {
                self.paused.pop();
                self.next = if self.paused.is_empty() { Next::Take } else { Next::ResumeGroup };
            }
            (Asked::Take(..), Reply::Delivery(delivery)) => {
                self.taken += u64::from(delivery.count());
                let letters = if self.dead { u64::from(delivery.count()) } else { 0 };
                outside.network.count_many("dead letters", letters);
                if delivery.count() == 0 {
                    self.groups.pop();
                }
                self.next = if self.groups.is_empty() { Next::Stat } else { Next::Take };
            }
            (Asked::Stat(_), Reply::Figures(figures)) => {
                let row = figures.rows().next().unwrap_or_default();
                self.judge_figures(&row, outside);
            }
            _ => {}
        }
    }

    fn judge_figures(&mut self, row: &[u64], outside: &mut Outside<'_>) {
        let figure = |name: &str| {
            let column = QUEUE_COLUMNS.iter().position(|column| *column == name);
            column.and_then(|column| row.get(column).copied()).unwrap_or(u64::MAX)
        };
        let left = ["ready", "leased", "blocked", "delayed", "scheduled", "messages"];
        let left: Vec<_> = left.iter().filter(|name| figure(name) > 0).collect();
        if !left.is_empty() {
            let figures = left.iter().map(|name| format!("{} {name}", figure(name)));
            self.left = figures.collect::<Vec<_>>().join(", ");
            self.next = Next::Groups;
            self.rests_until_ns = outside.network.now_ns() + LOOK_AGAIN_NS;
            return;
        }
        if figure("live_bytes") > 0 {
            let sentence = format!("an empty queue has live bytes: {row:?}");
            outside.checker.record(Event::Unreadable { connection: 0, sentence });
        }
        self.next = Next::Count;
    }

    fn next_plan(&mut self) {
        (self.queue, self.dead, self.next) = (None, false, Next::Open);
        if !self.alias && self.plans[self.at].alias.is_some() {
            self.alias = true;
        } else if self.at + 1 < self.plans.len() {
            (self.at, self.alias) = (self.at + 1, false);
        } else {
            self.next = Next::Nothing;
        }
    }
}

/// What each group says of messages that went without being taken.
fn count(queue: u64, groups: &Groups<'_>, outside: &mut Outside<'_>) {
    for entry in groups.iter() {
        let figure = |name: &str| {
            let column = GROUP_COLUMNS.iter().position(|column| *column == name);
            let column = column.expect("a column of a group's figures");
            entry.figures().nth(column).unwrap_or_default()
        };
        let dropped = ["dropped", "purged", "removed"].map(figure).iter().sum();
        let (group, expired) = (entry.group.0, figure("expired"));
        outside.network.count_many("messages expired", expired);
        outside.network.count_many("messages dropped, purged or removed", dropped);
        outside.checker.record(Event::Gone { queue, group, dropped, expired });
    }
}
