//! A client that does a queue's daily work: it puts, takes and settles, loses its connection and
//! comes back.

mod administer;
mod ask;
mod conduct;
mod learn;
mod pushing;
mod putting;
mod settling;

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use ringway_protocol::request::Browse;
use ringway_protocol::{GroupId, QueueId};

use super::Outside;
use super::peer::{Peer, Sending, Standing};
use super::queues::QueuePlan;
use super::vandal::junk;
use crate::chance::Chance;
use conduct::Conduct;
use pushing::Subscribed;

/// Puts of unknown outcome that a client remembers to try again.
const UNSURE_MAX: usize = 16;

/// Bytes that a client wants to write before it asks for no more.
const UNWRITTEN_BYTES_MAX: usize = 256 << 10;

/// A client.
pub struct Worker {
    chance: Chance,
    conduct: Conduct,
    plans: Rc<[QueuePlan]>,
    /// How many shards listen; the shared listener comes after theirs.
    shards: usize,
    peer: Option<Peer>,
    /// What it knows of each plan's queue.
    queues: Vec<Option<Known>>,
    leases: VecDeque<Held>,
    /// Those of its connection that it knows, and how many it has asked for.
    subscriptions: Vec<Subscribed>,
    subscribes_asked: u32,
    unsure: VecDeque<(usize, Sending)>,
    /// Its name as a producer, and its next number for each plan.
    producer: u64,
    numbers: HashMap<usize, u64>,
    /// Where messages of queues stand that are pruned.
    stored: VecDeque<(QueueId, u64)>,
    /// The page that it looks at next.
    browsing: Option<Browse>,
    /// Whether its connection may be the single active consumer of some group, as long as it lives.
    active: bool,
    rests_until_ns: u64,
    reads_from_ns: u64,
    calm: bool,
}

/// A queue that was found.
#[derive(Clone, Debug)]
struct Known {
    queue: QueueId,
    /// Its groups beside the first, as far as they are known.
    groups: Vec<Option<GroupId>>,
    /// Whether this client has asked to bind it, and not to end that.
    bound: bool,
    /// Its dead-letter queue.
    dead: Option<QueueId>,
}

/// Messages under a lease.
#[derive(Clone, Copy, Debug)]
struct Held {
    queue: QueueId,
    lease: u64,
    count: u32,
}

impl Worker {
    /// A client of so many shards, over a way whose narrowest place holds so many bytes.
    pub fn new(
        mut chance: Chance,
        plans: Rc<[QueuePlan]>,
        (shards, narrowest): (usize, usize),
    ) -> Self {
        Self {
            conduct: Conduct::draw(&mut chance, narrowest),
            producer: chance.between(1, u64::MAX),
            queues: vec![None; plans.len()],
            chance,
            plans,
            shards,
            peer: None,
            leases: VecDeque::new(),
            subscriptions: Vec::new(),
            subscribes_asked: 0,
            unsure: VecDeque::new(),
            numbers: HashMap::new(),
            stored: VecDeque::new(),
            browsing: None,
            active: false,
            rests_until_ns: 0,
            reads_from_ns: 0,
            calm: false,
        }
    }

    /// From now on it only waits for what it has asked.
    pub fn calm(&mut self, outside: &mut Outside<'_>) {
        self.calm = true;
        self.reads_from_ns = 0;
        // What is pushed would never be settled: it goes back with the connection.
        if let Some(mut peer) = self.peer.take_if(|peer| peer.spoiled || peer.is_subscribed()) {
            peer.abort(outside);
        }
    }

    /// Whether everything that it asked was answered.
    pub fn is_done(&self) -> bool {
        self.peer.as_ref().is_none_or(|peer| peer.outstanding() == 0)
    }

    /// What it still waits for.
    pub fn waiting(&self) -> Vec<String> {
        self.peer.iter().flat_map(Peer::waiting).collect()
    }

    /// Parts in order.
    pub fn leave(&mut self, outside: &mut Outside<'_>) {
        if let Some(mut peer) = self.peer.take() {
            peer.close(outside);
        }
    }

    /// Does one thing or another.
    pub fn step(&mut self, outside: &mut Outside<'_>) {
        let now_ns = outside.network.now_ns();
        let Some(mut peer) = self.peer.take() else {
            if !self.calm && now_ns >= self.rests_until_ns {
                self.connect(outside);
            }
            return;
        };
        if !self.calm && self.misbehaves(&mut peer, outside) {
            return;
        }
        peer.write(&mut self.chance, outside);
        let mut arrivals = Vec::new();
        let standing = if now_ns < self.reads_from_ns {
            Standing::Alive
        } else if self.calm {
            peer.read_much(&mut self.chance, outside, &mut arrivals)
        } else {
            peer.read(&mut self.chance, outside, &mut arrivals)
        };
        arrivals.iter().for_each(|arrival| self.learn(arrival, outside));
        match standing {
            // It was subscribed after everybody had calmed down.
            Standing::Alive if self.calm && peer.is_subscribed() => peer.abort(outside),
            // Nobody else would get anything.
            Standing::Alive if self.calm && self.active && peer.outstanding() == 0 => {
                peer.close(outside);
            }
            Standing::Alive => {
                if !self.calm
                    && peer.unwritten() < UNWRITTEN_BYTES_MAX
                    && peer.outstanding() < self.conduct.requests_in_flight_max
                    && self.chance.happens(self.conduct.asks)
                {
                    let most = self.conduct.requests_in_flight_max;
                    // A deep pipeline is filled in bursts: steps are few.
                    let burst = if most > 100 { self.chance.magnitude(most / 4) } else { 1 };
                    (0..burst).for_each(|_| self.ask(&mut peer, outside));
                }
                self.peer = Some(peer);
            }
            Standing::Gone => self.lost(&peer, outside),
        }
    }

    fn connect(&mut self, outside: &mut Outside<'_>) {
        let shared = self.shards;
        let listener =
            if self.conduct.shard_aware { self.chance.below(self.shards) } else { shared };
        self.peer = Peer::connect(listener, outside);
        if self.peer.is_none() {
            self.rest(outside);
        }
    }

    /// Parts, in order or not, or stops reading for a while. Says whether the connection is gone.
    fn misbehaves(&mut self, peer: &mut Peer, outside: &mut Outside<'_>) -> bool {
        let Conduct { closes, aborts, spoils, stops_reading, .. } = self.conduct;
        if self.chance.happens(spoils) {
            peer.spoil(&junk(&mut self.chance), outside);
        }
        if self.chance.happens(stops_reading) {
            let pause_ns = self.chance.between(1, 20_000_000);
            self.reads_from_ns = outside.network.now_ns() + pause_ns;
        }
        let aborts = self.chance.happens(aborts);
        if !aborts && !self.chance.happens(closes) {
            return false;
        }
        if aborts {
            peer.abort(outside);
        } else {
            peer.close(outside);
        }
        self.lost(peer, outside);
        true
    }

    /// The connection has gone: what was put without an answer may be put again. Sometimes the
    /// client goes with it, and knows nothing of its leases when it is back.
    fn lost(&mut self, peer: &Peer, outside: &mut Outside<'_>) {
        for unsure in peer.unsure_puts() {
            if self.unsure.len() < UNSURE_MAX && self.chance.once_in(2) {
                self.unsure.push_back(unsure);
            }
        }
        if self.chance.once_in(4) {
            self.leases.clear();
        }
        self.subscriptions.clear();
        (self.subscribes_asked, self.active) = (0, false);
        self.queues.iter_mut().flatten().for_each(|known| known.bound = false);
        self.rest(outside);
    }

    fn rest(&mut self, outside: &mut Outside<'_>) {
        self.rests_until_ns = outside.network.now_ns() + self.chance.between(0, 3_000_000);
    }
}
