//! One connection's requests in flight: a slot each, and what each reply leads to.
//!
//! ```text
//! put, echo:  request -> reply -> next
//! take:       take -> [ack ->] next
//! put-take:   put -> take what was put -> [ack ->] next, or another take if fewer messages came
//! ```
//! Each slot takes only as many messages as it has put before, from the same queue. So a queue
//! always holds enough for every take that reaches it, its depth stays below connections x
//! pipeline x batch, and when every slot has finished its round, nothing is left.

use ringway_client::{Code, Outbox, Pipeline, Range, Reply, Request};
use ringway_protocol::frame::Frame;
use ringway_protocol::reply::{Delivery, Receipt};

use crate::load::control::Task;
use crate::load::ledger::Ledger;
use crate::load::settings::Operation;
use crate::load::tally::Measured;

/// The request that a slot waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Idle,
    Put,
    Take,
    Ack,
    Echo,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// When the request was sent, or should have been.
    sent_ns: u64,
    /// When its round began, or should have.
    began_ns: u64,
    /// Index of the queue.
    target: u32,
    /// Messages of the request in flight.
    weight: u32,
    /// Messages of this round that are still to be taken.
    owed: u32,
    step: Step,
}

/// The requests in flight of one connection. A request's number is the index of its slot.
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
}

impl Slots {
    /// Slots for `pipeline` requests about these queues, on a connection served by shard `home`.
    pub fn new(pipeline: u32, targets: Vec<u32>, home: usize) -> Self {
        let slot =
            Slot { sent_ns: 0, began_ns: 0, target: 0, weight: 0, owed: 0, step: Step::Idle };
        Self {
            slots: vec![slot; pipeline as usize],
            idle: (0..pipeline).rev().collect(),
            targets,
            turn: 0,
            budget: 0,
            home,
        }
    }

    /// Requests in flight.
    #[inline]
    pub fn in_flight(&self) -> usize {
        self.slots.len() - self.idle.len()
    }

    /// Whether another round may begin and a slot is free for it.
    #[inline]
    pub fn can_begin(&self) -> bool {
        self.budget > 0 && !self.idle.is_empty()
    }

    /// Messages that this stage may begin from here on, for each queue; `u64::MAX` for no end.
    pub fn allow(&mut self, messages: u64) {
        self.budget = messages.saturating_mul(self.targets.len().max(1) as u64);
    }

    /// Begins a round in a free slot, as of `intended_ns`.
    pub fn begin(&mut self, outbox: &mut Outbox, ledger: &Ledger, intended_ns: u64) {
        let number = self.idle.pop().expect("the caller saw a free slot");
        self.begin_in(number, outbox, ledger, intended_ns);
    }

    #[inline]
    fn begin_in(&mut self, number: u32, outbox: &mut Outbox, ledger: &Ledger, intended_ns: u64) {
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
            step,
        };
        match step {
            Step::Put => outbox.template(&ledger.targets[index as usize].put, number),
            Step::Echo => outbox.template(&ledger.echo, number),
            _ => slot.send_take(number, outbox, ledger),
        }
    }

    /// Gives a reply its meaning and appends the request that follows.
    #[inline]
    pub fn on_reply(&mut self, frame: Frame<'_>, outbox: &mut Outbox, ledger: &mut Ledger) {
        let number = frame.header.request;
        let Some(slot) = self.slots.get_mut(number as usize).filter(|slot| slot.step != Step::Idle)
        else {
            return ledger.tally.fail(1, "a reply came that no request waited for");
        };
        ledger.progress += 1;
        let more = match (slot.step, Reply::decode(frame)) {
            (Step::Put, Ok(Reply::Put(Receipt { first_sequence, count, level, .. }))) => {
                slot.on_put(ledger, first_sequence, count);
                ledger.tally.acknowledged(level);
                slot.owed > 0
            }
            (Step::Take, Ok(Reply::Delivery(delivery))) => {
                if slot.on_delivery(number, outbox, ledger, &delivery) {
                    return;
                }
                slot.owed > 0
            }
            (Step::Ack, Ok(Reply::Settled(settlement, _))) => {
                slot.on_ack(ledger, settlement.settled);
                slot.owed > 0
            }
            (Step::Echo, Ok(Reply::Echo(body))) => {
                slot.on_echo(ledger, body, self.home);
                false
            }
            (_, Ok(Reply::Refused { code, sentence })) => slot.on_refusal(ledger, code, sentence),
            _ => {
                ledger.tally.fail(u64::from(slot.weight), "a reply did not fit its request");
                false
            }
        };
        if more {
            slot.sent_ns = ledger.now_ns;
            slot.send_take(number, outbox, ledger);
        } else if ledger.restart && self.budget > 0 {
            self.begin_in(number, outbox, ledger, ledger.now_ns);
        } else {
            slot.step = Step::Idle;
            self.idle.push(number);
        }
    }

    /// The connection is lost: what was in flight has failed. Returns how many messages that were.
    pub fn abandon(&mut self) -> u64 {
        let mut messages = 0;
        for (number, slot) in self.slots.iter_mut().enumerate() {
            if slot.step != Step::Idle {
                messages += u64::from(slot.weight.max(slot.owed));
                slot.step = Step::Idle;
                self.idle.push(number as u32);
            }
        }
        self.budget = 0;
        messages
    }
}

impl Slot {
    fn send_take(&mut self, number: u32, outbox: &mut Outbox, ledger: &Ledger) {
        let target = &ledger.targets[self.target as usize];
        (self.step, self.weight) = (Step::Take, self.owed);
        if self.owed == ledger.batch {
            outbox.template(&target.take, number);
        } else {
            outbox.request(&Request::Take(ledger.take(target.queue, self.owed)), number);
        }
    }

    #[inline]
    fn on_put(&mut self, ledger: &mut Ledger, first_sequence: u64, count: u32) {
        ledger.tally.reply(Measured::Put, self.sent_ns, ledger.now_ns);
        ledger.accounts[self.target as usize].put.add_run(first_sequence, count);
        if count != self.weight {
            ledger.tally.fail(1, "a put was acknowledged for another number of messages");
        }
        match (ledger.task, ledger.operation) {
            (Task::Run, Operation::PutTake) => self.owed = count,
            (Task::Run, _) => {
                ledger.tally.done(ledger.targets[self.target as usize].queue.shard(), count);
            }
            _ => {}
        }
    }

    /// Returns whether an acknowledgement was sent, for which the slot now waits.
    #[inline]
    fn on_delivery(
        &mut self,
        number: u32,
        outbox: &mut Outbox,
        ledger: &mut Ledger,
        delivery: &Delivery<'_>,
    ) -> bool {
        ledger.tally.reply(Measured::Take, self.sent_ns, ledger.now_ns);
        let account = &mut ledger.accounts[self.target as usize];
        for run in delivery.runs() {
            account.taken.add_run(run.first_sequence, run.count);
            if run.deliveries > 1 {
                ledger.tally.redelivered += u64::from(run.count);
            }
        }
        let count = delivery.count();
        if count > self.owed {
            ledger.tally.fail(1, "a take returned more messages than were asked for");
        }
        self.owed = self.owed.saturating_sub(count);
        let queue = ledger.targets[self.target as usize].queue;
        if count == 0 {
            ledger.progress -= 1;
            return false;
        }
        if !ledger.leased {
            ledger.tally.done(queue.shard(), count);
            self.note_round(ledger);
            return false;
        }
        (self.step, self.weight, self.sent_ns) = (Step::Ack, count, ledger.now_ns);
        outbox.ack(queue, delivery.lease, &[Range { first: 0, count }], number);
        true
    }

    #[inline]
    fn on_ack(&mut self, ledger: &mut Ledger, settled: u32) {
        ledger.tally.reply(Measured::Ack, self.sent_ns, ledger.now_ns);
        ledger.tally.done(ledger.targets[self.target as usize].queue.shard(), settled);
        if settled != self.weight {
            let missing = u64::from(self.weight.saturating_sub(settled)).max(1);
            ledger.tally.fail(missing, "an acknowledgement came after its lease had ended");
        }
        self.note_round(ledger);
    }

    /// A round of several requests is measured as a whole too.
    #[inline]
    fn note_round(&self, ledger: &mut Ledger) {
        let tally = &mut ledger.tally;
        if self.owed == 0 && ledger.operation == Operation::PutTake && tally.recording {
            tally.latencies.note(Measured::Operation, self.began_ns, ledger.now_ns);
        }
    }

    fn on_echo(&mut self, ledger: &mut Ledger, body: &[u8], home: usize) {
        ledger.tally.reply(Measured::Echo, self.sent_ns, ledger.now_ns);
        if body.len() == ledger.size {
            ledger.tally.done(home, 1);
        } else {
            ledger.tally.fail(1, "an echo came back with another length");
        }
    }

    /// Returns false: a refused round is given up.
    #[cold]
    fn on_refusal(&mut self, ledger: &mut Ledger, code: Code, sentence: &str) -> bool {
        ledger.tally.refuse(code, sentence, self.weight);
        false
    }
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
