//! A group of consumers of the stand-in: what is ready, leased and in flight, who waits.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Instant;

use ringway_protocol::request::{Subscribe, Take};

#[derive(Clone)]
pub struct Message {
    pub sequence: u64,
    pub record: Vec<u8>,
    pub key: Option<Vec<u8>>,
    pub due: Instant,
    pub deliveries: u32,
}

/// A connection and a request on it.
#[derive(Clone, Copy)]
pub struct Asker {
    pub connection: usize,
    pub number: u32,
}

#[derive(Clone, Copy)]
pub struct Subscription {
    pub asker: Asker,
    pub subscribe: Subscribe,
    pub held: u32,
}

#[derive(Default)]
pub struct Group {
    pub ready: VecDeque<Message>,
    /// The messages of a lease, and the subscription that it belongs to.
    pub leases: HashMap<u64, (Vec<Option<Message>>, Option<usize>)>,
    pub in_flight: HashSet<Vec<u8>>,
    pub waits: VecDeque<(Asker, Take, Instant)>,
    pub subscriptions: Vec<Subscription>,
    pub turn: usize,
}

impl Group {
    /// Takes out the first ready messages whose keys are free.
    pub fn pick(&mut self, most: u32) -> Vec<Message> {
        let (mut picked, mut left) = (Vec::new(), VecDeque::new());
        while let Some(mut message) = self.ready.pop_front() {
            let is_free = message.key.as_ref().is_none_or(|key| !self.in_flight.contains(key));
            if picked.len() < most as usize && is_free {
                self.in_flight.extend(message.key.clone());
                message.deliveries += 1;
                picked.push(message);
            } else {
                left.push_back(message);
            }
        }
        self.ready = left;
        picked
    }
}
