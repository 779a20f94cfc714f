//! One connection's requests in flight: a slot each, and what each reply leads to.
//!
//! ```text
//! put, echo:  request -> reply -> next
//! take:       take -> [ack ->] next
//! put-take:   put -> take what was put -> [ack ->] next, or another take if fewer messages came
//!             with groups: take and acknowledge in each of them, one after the other
//!             with nacks:  take -> nack + ack -> next; what was nacked is owed by a later take
//! subscribe:  put -> next, as long as not too much is under way; deliveries come to the feed
//! ```
//! Each slot takes only as many messages as it has put before, from the same queue. So a queue
//! always holds enough for every take that reaches it, its depth stays below connections x
//! pipeline x batch (and what was nacked and is owed, less than as much again), and when every slot
//! has finished its round, nothing is left.

use ringway_client::{Outbox, Pipeline, Reply};
use ringway_protocol::frame::Frame;
use ringway_protocol::request::Producer;

use crate::load::control::Task;
use crate::load::feed::Feed;
use crate::load::ledger::Ledger;
use crate::load::settings::{Operation, Settings};
use crate::load::slot::{Slot, Step};

/// The requests in flight of one connection. A request's number is the index of its slot; above
/// them come those of the feed.
pub struct Slots {
    slots: Vec<Slot>,
    idle: Vec<u32>,
    /// Indices of the queues that this connection uses in turn.
    targets: Vec<u32>,
    turn: usize,
    /// Messages that this stage may still begin; `u64::MAX` for no end.
    budget: u64,
    /// The shard that serves the connection.
    home: usize,
    /// What the connection's puts are numbered by, where repeated ones would be recognised.
    producer: Producer,
    /// What is pushed to the connection, if anything is.
    feed: Option<Feed>,
}

impl Slots {
    /// Slots for the requests about these queues of connection number `index`, which shard `home`
    /// serves.
    pub fn new(settings: &Settings, index: usize, targets: Vec<u32>, home: usize) -> Self {
        let pipeline = settings.pipeline;
        let feed = settings.work.subscribe.then(|| Feed::new(settings, targets.len()));
        Self {
            slots: vec![Slot::default(); pipeline as usize],
            idle: (0..pipeline).rev().collect(),
            targets,
            turn: 0,
            budget: 0,
            home,
            producer: Producer { id: producer_id(index), sequence: 0 },
            feed,
        }
    }

    /// Requests that wait for a reply; acknowledgements of what was pushed are not counted.
    #[inline]
    pub fn in_flight(&self) -> usize {
        self.slots.len() - self.idle.len() + self.feed.as_ref().map_or(0, Feed::unanswered)
    }

    /// Whether replies may come.
    #[inline]
    pub fn expects(&self) -> bool {
        self.in_flight() > 0 || self.feed.is_some()
    }

    /// Whether another round may begin and a slot is free for it.
    #[inline]
    pub fn can_begin(&self) -> bool {
        let is_fed = self.feed.as_ref().is_none_or(Feed::is_ready);
        self.budget > 0 && !self.idle.is_empty() && is_fed
    }

    /// Messages that this stage may begin from here on, for each queue; `u64::MAX` for no end.
    pub fn allow(&mut self, messages: u64) {
        self.budget = messages.saturating_mul(self.targets.len().max(1) as u64);
    }

    /// Asks for what is pushed, before the first round.
    pub fn subscribe(&mut self, outbox: &mut Outbox, ledger: &Ledger) {
        if let Some(feed) = &mut self.feed {
            feed.subscribe(&self.targets, self.slots.len(), outbox, ledger);
        }
    }

    /// Begins a round in a free slot, as of `intended_ns`.
    pub fn begin(&mut self, outbox: &mut Outbox, ledger: &mut Ledger, intended_ns: u64) {
        let number = self.idle.pop().expect("the caller saw a free slot");
        self.begin_in(number, outbox, ledger, intended_ns);
    }

    #[inline]
    fn begin_in(
        &mut self,
        number: u32,
        outbox: &mut Outbox,
        ledger: &mut Ledger,
        intended_ns: u64,
    ) {
        let weight = u64::from(ledger.round()).min(self.budget) as u32;
        if self.budget != u64::MAX {
            self.budget -= u64::from(weight);
        }
        let index = self.targets.get(self.turn).copied().unwrap_or(0);
        self.turn = if self.turn + 1 < self.targets.len() { self.turn + 1 } else { 0 };
        let step = match (ledger.task, ledger.operation) {
            (Task::Fill(_), _) | (_, Operation::Put | Operation::PutTake) => Step::Put,
            (_, Operation::Take) => Step::Take,
            (_, Operation::Echo) => Step::Echo,
        };
        let slot = &mut self.slots[number as usize];
        *slot = Slot {
            sent_ns: intended_ns,
            began_ns: intended_ns,
            target: index,
            weight,
            owed: if step == Step::Take { weight } else { 0 },
            debt: slot.debt,
            step,
            ..Slot::default()
        };
        match step {
            Step::Put => {
                let target = &mut ledger.targets[index as usize];
                target.send_put(&mut self.producer, outbox, number);
                ledger.put_sent(index, intended_ns, weight);
            }
            Step::Echo => outbox.template(&ledger.echo, number),
            _ => slot.send_take(number, outbox, ledger),
        }
    }

    /// Gives a reply its meaning and appends the request that follows.
    #[inline]
    pub fn on_reply(&mut self, frame: Frame<'_>, outbox: &mut Outbox, ledger: &mut Ledger) {
        let number = frame.header.request;
        let Some(slot) = self.slots.get_mut(number as usize) else {
            return self.on_feed(frame, outbox, ledger);
        };
        if slot.step == Step::Idle {
            return ledger.tally.fail(1, "a reply came that no request waited for");
        }
        ledger.progress += 1;
        let follows = ledger.restart && self.budget > 0;
        let waits = match (slot.step, Reply::decode(frame)) {
            (Step::Put, Ok(Reply::Put(receipt))) => {
                slot.on_put(ledger, &receipt);
                false
            }
            (Step::Take, Ok(Reply::Delivery(delivery))) => {
                slot.on_delivery(number, outbox, ledger, &delivery)
            }
            (Step::Ack, Ok(Reply::Settled(settlement, _))) => {
                slot.on_ack(ledger, settlement.settled);
                false
            }
            (Step::Nack, Ok(Reply::Settled(settlement, _))) => {
                slot.on_nack(ledger, settlement.settled)
            }
            (Step::Echo, Ok(Reply::Echo(body))) => {
                slot.on_echo(ledger, body, self.home);
                false
            }
            (_, Ok(Reply::Refused { code, sentence })) => {
                slot.on_refusal(ledger, code, sentence);
                false
            }
            _ => {
                ledger.tally.fail(u64::from(slot.weight), "a reply did not fit its request");
                (slot.owed, slot.debt, slot.put) = (0, 0, 0);
                false
            }
        };
        if waits {
            return;
        }
        if slot.goes_on(ledger, follows) {
            slot.sent_ns = ledger.now_ns;
            slot.send_take(number, outbox, ledger);
        } else if follows && ledger.has_room() {
            self.begin_in(number, outbox, ledger, ledger.now_ns);
        } else {
            slot.step = Step::Idle;
            self.idle.push(number);
        }
    }

    /// What is not about a slot is about what is pushed; that makes room for rounds.
    fn on_feed(&mut self, frame: Frame<'_>, outbox: &mut Outbox, ledger: &mut Ledger) {
        let number = frame.header.request as usize - self.slots.len();
        match &mut self.feed {
            Some(feed) => feed.on_reply(number, &self.targets, frame, outbox, ledger),
            None => ledger.tally.fail(1, "a reply came that no request waited for"),
        }
        while ledger.restart && self.can_begin() && ledger.has_room() {
            let now_ns = ledger.now_ns;
            self.begin(outbox, ledger, now_ns);
        }
    }

    /// The connection is lost: what was in flight has failed. Returns how many messages that were.
    pub fn abandon(&mut self) -> u64 {
        let mut messages = 0;
        for (number, slot) in self.slots.iter_mut().enumerate() {
            if slot.step != Step::Idle {
                messages += slot.lost();
                slot.step = Step::Idle;
                self.idle.push(number as u32);
            }
        }
        (self.budget, self.feed) = (0, None);
        messages
    }
}

/// Told from the other connections of the run by its number, and from other runs by the process
/// and the time.
fn producer_id(index: usize) -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one((std::process::id(), index))
}

/// A connection and its requests in flight.
pub struct Flow {
    /// The connection; `None` once it is lost.
    pub pipeline: Option<Pipeline>,
    /// Its requests.
    pub slots: Slots,
    /// Whether there may be something to read, as far as the kernel has said.
    pub ready: bool,
}
