//! A client that does a queue's daily work: it puts, takes and settles, loses its connection and
//! comes back.

mod ask;

use std::collections::VecDeque;
use std::rc::Rc;

use ringway_protocol::{Code, QueueId, Reply};

use super::Outside;
use super::peer::{Arrival, Asked, Peer, Standing};
use super::queues::QueuePlan;
use super::vandal::junk;
use crate::chance::{Chance, Rate};

/// Puts of unknown outcome that a client remembers to try again.
const UNSURE_MAX: usize = 16;
/// Leases that a client keeps in mind.
const LEASES_MAX: usize = 16;

/// Bytes that a client wants to write before it asks for no more.
const UNWRITTEN_BYTES_MAX: usize = 256 << 10;

/// How a client behaves; drawn once for each.
#[derive(Clone, Debug)]
struct Conduct {
    requests_in_flight_max: usize,
    batch_max: usize,
    filler_bytes_max: usize,
    /// How eagerly it asks, reads.
    asks: Rate,
    /// How often it does what a client should not.
    closes: Rate,
    aborts: Rate,
    spoils: Rate,
    stops_reading: Rate,
    /// Whether it connects to a shard's own listener; any shard if there are several.
    shard_aware: bool,
}

/// A client.
pub struct Worker {
    chance: Chance,
    conduct: Conduct,
    plans: Rc<[QueuePlan]>,
    /// How many shards listen; the shared listener comes after theirs.
    shards: usize,
    peer: Option<Peer>,
    queues: Vec<Option<QueueId>>,
    leases: VecDeque<Held>,
    unsure: VecDeque<(usize, Vec<u64>)>,
    rests_until_ns: u64,
    reads_from_ns: u64,
    calm: bool,
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
        // Through a narrow place little gets in the steps of a run.
        let batches: &[usize] = if narrowest < 1000 { &[1, 3, 8] } else { &[1, 4, 64, 256] };
        let fillers: &[usize] = if narrowest < 1000 { &[8, 100] } else { &[8, 100, 2000, 60_000] };
        let mut rate = |largest: usize| {
            if chance.once_in(2) { Rate::NEVER } else { Rate(chance.magnitude(largest) as u32) }
        };
        let (closes, aborts, stops_reading) = (rate(4_000), rate(4_000), rate(20_000));
        let spoils = rate(3_000);
        let conduct = Conduct {
            // More than the server takes on at once, now and then.
            requests_in_flight_max: chance.pick(&[1, 4, 16, 64, 1500]),
            batch_max: chance.pick(batches),
            filler_bytes_max: chance.pick(fillers),
            asks: Rate(chance.between(50_000, 700_000) as u32),
            closes,
            aborts,
            spoils,
            stops_reading,
            shard_aware: chance.once_in(2),
        };
        Self {
            queues: vec![None; plans.len()],
            chance,
            conduct,
            plans,
            shards,
            peer: None,
            leases: VecDeque::new(),
            unsure: VecDeque::new(),
            rests_until_ns: 0,
            reads_from_ns: 0,
            calm: false,
        }
    }

    /// From now on it only waits for what it has asked.
    pub fn calm(&mut self, outside: &mut Outside<'_>) {
        self.calm = true;
        self.reads_from_ns = 0;
        if let Some(mut peer) = self.peer.take_if(|peer| peer.spoiled) {
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
        arrivals.iter().for_each(|arrival| self.learn(arrival));
        match standing {
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

    /// The connection has gone: what was put without an answer may be put again.
    fn lost(&mut self, peer: &Peer, outside: &mut Outside<'_>) {
        for unsure in peer.unsure_puts() {
            if self.unsure.len() < UNSURE_MAX && self.chance.once_in(2) {
                self.unsure.push_back(unsure);
            }
        }
        self.rest(outside);
    }

    fn rest(&mut self, outside: &mut Outside<'_>) {
        self.rests_until_ns = outside.network.now_ns() + self.chance.between(0, 3_000_000);
    }

    fn learn(&mut self, arrival: &Arrival) {
        let refused = match arrival.reply() {
            Reply::Refused { code, .. } => Some(code),
            _ => None,
        };
        match (&arrival.asked, arrival.reply()) {
            (Asked::Declare(index), Reply::Declared { queue, .. }) => {
                self.queues[*index] = Some(queue);
            }
            (Asked::Put(index, _), _) if refused == Some(Code::NoSuchQueue) => {
                self.queues[*index] = None;
            }
            (Asked::Take(queue), _) if refused == Some(Code::NoSuchQueue) => {
                let gone = |known: &&mut Option<QueueId>| **known == Some(QueueId(*queue));
                self.queues.iter_mut().filter(gone).for_each(|known| *known = None);
            }
            (Asked::Take(queue), Reply::Delivery(delivery)) if delivery.lease.0 != 0 => {
                let (queue, lease) = (QueueId(*queue), delivery.lease.0);
                self.leases.push_back(Held { queue, lease, count: delivery.count() });
                if self.leases.len() > LEASES_MAX {
                    self.leases.pop_front();
                }
            }
            _ => {}
        }
    }
}
