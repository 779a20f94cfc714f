//! The last client of a run: it takes from every queue until nothing is left, leased messages
//! included.

use std::rc::Rc;

use ringway_protocol::limits::TAKE_MESSAGES_MAX;
use ringway_protocol::reply::QUEUE_COLUMNS;
use ringway_protocol::request::Take;
use ringway_protocol::{GroupId, QueueId, Reply, Request};

use super::Outside;
use super::peer::{Arrival, Asked, Peer, Standing};
use super::queues::QueuePlan;
use crate::chance::Chance;
use crate::checker::{Ask, Event};

/// Nanoseconds between two looks at a queue with leased messages.
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
    /// Whether it is the dead-letter queue of the plan that is being emptied.
    dead: bool,
    next: Next,
    rests_until_ns: u64,
}

/// What it asks next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Next {
    Declare,
    OpenDead,
    Take,
    Stat,
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
            dead: false,
            next: Next::Declare,
            rests_until_ns: 0,
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

    /// What it is doing.
    pub fn waiting(&self) -> String {
        let waits: Vec<String> = self.peer.iter().flat_map(Peer::waiting).collect();
        format!("sweeping {}: {:?}, {waits:?}", self.plans[self.at].name, self.next)
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

    fn ask(&mut self, peer: &mut Peer, outside: &mut Outside<'_>) {
        let plan = &self.plans[self.at];
        let queue = self.queue.unwrap_or(QueueId(0));
        let dead = plan.name.dead_letter().expect("the names of a run are short");
        let (asked, ask, request) = match self.next {
            Next::Nothing => return,
            Next::Declare => {
                let (name, options) = (plan.name.as_str(), Some(plan.options));
                (Asked::Declare(self.at), Ask::Other, Request::Declare { name, options })
            }
            Next::OpenDead => {
                let name = dead.as_str();
                (Asked::OpenDead(self.at), Ask::Other, Request::Open { name })
            }
            Next::Stat => (Asked::Stat(queue.0), Ask::Other, Request::Stat { queue: Some(queue) }),
            Next::Take => {
                let messages_max = TAKE_MESSAGES_MAX;
                let ask = Ask::Take { queue: queue.0, messages_max, for_good: true };
                let (bytes_max, wait_ms, lease_ms) = (0, 0, 0);
                let (group, acknowledged) = (GroupId::DEFAULT, true);
                let take =
                    Take { queue, messages_max, bytes_max, wait_ms, lease_ms, group, acknowledged };
                (Asked::Take(queue.0), ask, Request::Take(take))
            }
        };
        peer.ask(asked, ask, 0, outside, |name, out| request.encode(name.0, name.1, out));
    }

    fn learn(&mut self, arrival: &Arrival, outside: &mut Outside<'_>) {
        match (&arrival.asked, arrival.reply()) {
            (Asked::Declare(_), Reply::Declared { queue, .. }) => {
                (self.queue, self.next) = (Some(queue), Next::Take);
            }
            (Asked::OpenDead(_), Reply::Opened { queue: dead }) => {
                let queue = self.queue.expect("the queue comes before its dead letters").0;
                outside.checker.record(Event::DeadLetters { queue, dead: dead.0 });
                (self.queue, self.next, self.dead) = (Some(dead), Next::Take, true);
            }
            (Asked::OpenDead(_), Reply::Refused { .. }) => self.next_plan(),
            (Asked::Take(_), Reply::Delivery(delivery)) => {
                self.next = if delivery.count() == 0 { Next::Stat } else { Next::Take };
            }
            (Asked::Stat(queue), Reply::Figures(figures)) => {
                let row = figures.rows().next().unwrap_or_default();
                self.judge_figures(*queue, &row, outside);
            }
            _ => {}
        }
    }

    fn judge_figures(&mut self, queue: u64, row: &[u64], outside: &mut Outside<'_>) {
        let figure = |name: &str| {
            let column = QUEUE_COLUMNS.iter().position(|column| *column == name);
            column.and_then(|column| row.get(column).copied()).unwrap_or(u64::MAX)
        };
        if figure("ready") > 0 || figure("leased") > 0 {
            self.next = Next::Take;
            self.rests_until_ns = outside.network.now_ns() + LOOK_AGAIN_NS;
            return;
        }
        assert!(figure("live_bytes") == 0, "an empty queue has live bytes: {row:?}");
        if figure("dropped") > 0 {
            outside.checker.record(Event::Dropped { queue, count: figure("dropped") });
        }
        if self.dead {
            self.next_plan();
        } else {
            self.next = Next::OpenDead;
        }
    }

    fn next_plan(&mut self) {
        (self.queue, self.dead) = (None, false);
        if self.at + 1 < self.plans.len() {
            self.at += 1;
            self.next = Next::Declare;
        } else {
            self.next = Next::Nothing;
        }
    }
}
