//! A plane whose shards work only when a test lets them.

use std::cell::RefCell;
use std::rc::Rc;

use ringway_checker::chance::Chance;
use ringway_checker::clients::peer::{Arrival, Asked, Peer, Standing};
use ringway_checker::clients::{Found, Outside};
use ringway_checker::{Ask, Checker};
use ringway_protocol::name::shard_of;
use ringway_protocol::{QueueId, Reply, Request};
use ringway_simulator::faults::Faults;
use ringway_simulator::network::Network;
use ringway_simulator::shards_under_test::ShardsUnderTest;
use ringway_simulator::trace::Trace;

/// Two shards and the clients that are connected to them.
pub struct Plane {
    pub network: Rc<RefCell<Network>>,
    pub shards: ShardsUnderTest,
    checker: Checker,
    chance: Chance,
    pub peers: Vec<Peer>,
    /// Those of them whose connection has ended.
    ended: Vec<usize>,
    connections: u64,
    messages: u64,
    found: Found,
}

impl Plane {
    pub fn new() -> Self {
        let faults = Faults { pipe_bytes: 256 << 10, ..Faults::none() };
        let network = Network::new((2, 3), faults, Chance::new(1), Trace::new(false));
        let network = Rc::new(RefCell::new(network));
        let shards = ShardsUnderTest::new(&network, 2);
        let (checker, chance) = (Checker::new(), Chance::new(2));
        let (peers, ended, found) = (vec![], vec![], Found::default());
        Self { network, shards, checker, chance, peers, ended, connections: 0, messages: 0, found }
    }

    pub fn with<T>(
        &mut self,
        act: impl FnOnce(&mut Vec<Peer>, &mut Chance, &mut Outside<'_>) -> T,
    ) -> T {
        let Self { network, checker, connections, messages, found, .. } = self;
        let mut network = network.borrow_mut();
        let network = &mut *network;
        let mut outside = Outside { network, checker, connections, messages, found };
        act(&mut self.peers, &mut self.chance, &mut outside)
    }

    /// Lets these shards work for a while, and the clients write and read; returns what arrived at
    /// each client.
    pub fn run(&mut self, shards: &[usize]) -> Vec<Vec<Arrival>> {
        let mut ended = std::mem::take(&mut self.ended);
        let mut arrivals: Vec<Vec<Arrival>> = self.peers.iter().map(|_| Vec::new()).collect();
        for _ in 0..2000 {
            self.network.borrow_mut().advance(2_000);
            for shard in shards {
                self.network.borrow_mut().progress_all(*shard);
                self.shards.turn(*shard);
            }
            self.with(|peers, chance, outside| {
                for (index, (peer, arrivals)) in peers.iter_mut().zip(&mut arrivals).enumerate() {
                    if ended.contains(&index) {
                        continue;
                    }
                    peer.write(chance, outside);
                    if peer.read(chance, outside, arrivals) == Standing::Gone {
                        ended.push(index);
                    }
                }
            });
        }
        self.ended = ended;
        arrivals
    }

    pub fn ask(&mut self, peer: usize, asked: Asked, ask: Ask, request: &Request<'_>) {
        self.with(|peers, _, outside| {
            peers[peer]
                .ask(asked, ask, 0, outside, |name, out| request.encode(name.0, name.1, out));
        });
    }
}

/// Declares a queue of a shard.
pub fn declare_on(plane: &mut Plane, shard: usize) -> QueueId {
    let names = (0..).map(|number| format!("of-{shard}/{number}"));
    let name = names.into_iter().find(|name| shard_of(name, 2) == shard).expect("half of them");
    let declare = Request::Declare { name: &name, options: None };
    plane.ask(0, Asked::Declare(shard), Ask::Other, &declare);
    let arrivals = plane.run(&[0, 1]);
    let queue = arrivals[0].iter().find_map(|arrival| match arrival.reply() {
        Reply::Declared { queue, .. } => Some(queue),
        _ => None,
    });
    queue.expect("both shards worked")
}
