//! One slot: a request in flight, and the round that it belongs to.

use ringway_client::{Code, Outbox, Range, Request};
use ringway_protocol::reply::{Delivery, PutOutcome, Receipt};

use crate::load::control::Task;
use crate::load::ledger::Ledger;
use crate::load::settings::Operation;
use crate::load::tally::Measured;

/// The request that a slot waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Step {
    #[default]
    Idle,
    Put,
    Take,
    /// What is given back; the acknowledgement of the rest, if any, was sent behind it.
    Nack,
    Ack,
    Echo,
}

/// A request in flight. Counts are of messages.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slot {
    /// When the request was sent, or should have been.
    pub(super) sent_ns: u64,
    /// When its round began, or should have.
    pub(super) began_ns: u64,
    /// Index of the queue.
    pub(super) target: u32,
    /// Index of the group that is taken from.
    pub(super) group: u32,
    /// Of the request in flight; of a nack, of the acknowledgement behind it.
    pub(super) weight: u32,
    /// Of the nack in flight.
    pub(super) returned: u32,
    /// Of this round, still to be taken.
    pub(super) owed: u32,
    /// Given back by this slot, and to be taken again some time.
    pub(super) debt: u32,
    /// Put by this round, and so to be taken from each group.
    pub(super) put: u32,
    pub(super) step: Step,
}

impl Slot {
    /// Sends a take of what is owed.
    #[inline]
    pub(super) fn send_take(&mut self, number: u32, outbox: &mut Outbox, ledger: &Ledger) {
        let target = &ledger.targets[self.target as usize];
        let (group, take) = &target.groups[self.group as usize];
        (self.step, self.weight) = (Step::Take, self.owed);
        if self.owed == ledger.batch {
            outbox.template(take, number);
        } else {
            outbox.request(&Request::Take(ledger.take(target.queue, *group, self.owed)), number);
        }
    }

    #[inline]
    pub(super) fn on_put(&mut self, ledger: &mut Ledger, receipt: &Receipt<'_>) {
        ledger.tally.reply(Measured::Put, self.sent_ns, ledger.now_ns);
        ledger.tally.acknowledged(receipt.level);
        for run in receipt.runs() {
            for account in ledger.accounts_of(self.target) {
                account.put.add_run(run.first_sequence, run.count);
            }
            if run.outcome == PutOutcome::Duplicate {
                let sentence = "a put that came once was taken for a repeated one";
                ledger.tally.fail(u64::from(run.count), sentence);
            }
        }
        if receipt.count != self.weight {
            ledger.tally.fail(1, "a put was acknowledged for another number of messages");
        }
        match (ledger.task, ledger.operation) {
            (Task::Run, Operation::PutTake) if ledger.pushed.is_some() => {}
            (Task::Run, Operation::PutTake) => {
                (self.owed, self.put, self.group) = (receipt.count, receipt.count, 0);
            }
            (Task::Run, _) => {
                let shard = ledger.targets[self.target as usize].queue.shard();
                ledger.tally.done(shard, receipt.count);
            }
            _ => {}
        }
    }

    /// Returns whether it was settled with a request, for which the slot now waits.
    #[inline]
    pub(super) fn on_delivery(
        &mut self,
        number: u32,
        outbox: &mut Outbox,
        ledger: &mut Ledger,
        delivery: &Delivery<'_>,
    ) -> bool {
        ledger.tally.reply(Measured::Take, self.sent_ns, ledger.now_ns);
        let count = delivery.count();
        if count > self.owed {
            ledger.tally.fail(1, "a take returned more messages than were asked for");
        }
        self.owed = self.owed.saturating_sub(count);
        if count == 0 {
            ledger.progress -= 1;
            return false;
        }
        let again = delivery.runs().filter(|run| run.deliveries > 1);
        ledger.tally.redelivered += again.map(|run| u64::from(run.count)).sum::<u64>();
        let queue = ledger.targets[self.target as usize].queue;
        (self.weight, self.returned, self.sent_ns) = (count, 0, ledger.now_ns);
        if ledger.nacks.is_some() {
            self.give_back(number, outbox, ledger, delivery);
            return true;
        }
        let account = &mut ledger.accounts_of(self.target)[self.group as usize];
        delivery.runs().for_each(|run| account.taken.add_run(run.first_sequence, run.count));
        if !ledger.leased {
            self.note_done(ledger, count);
            return false;
        }
        self.step = Step::Ack;
        outbox.ack(queue, delivery.lease, &[Range { first: 0, count }], number);
        true
    }

    /// Gives back a share of a delivery and acknowledges the rest; its books are of the latter.
    fn give_back(
        &mut self,
        number: u32,
        outbox: &mut Outbox,
        ledger: &mut Ledger,
        delivery: &Delivery<'_>,
    ) {
        let index = (self.target * ledger.groups + self.group) as usize;
        let Ledger { nacks: Some(nacks), accounts, targets, .. } = ledger else {
            unreachable!("the caller saw that some are given back")
        };
        nacks.divide(delivery.runs(), |first, count| accounts[index].taken.add_run(first, count));
        let queue = targets[self.target as usize].queue;
        self.returned = nacks.count();
        self.weight -= self.returned;
        self.step = if self.returned > 0 { Step::Nack } else { Step::Ack };
        // Both bear the slot's number: replies about one queue come in the order of the requests.
        if self.returned > 0 {
            outbox.nack(queue, delivery.lease, &nacks.nacks, number);
        }
        if self.weight > 0 {
            outbox.ack(queue, delivery.lease, &nacks.acks, number);
        }
    }

    /// Returns whether an acknowledgement is still in flight.
    pub(super) fn on_nack(&mut self, ledger: &mut Ledger, settled: u32) -> bool {
        ledger.tally.reply(Measured::Nack, self.sent_ns, ledger.now_ns);
        ledger.tally.nacked += u64::from(settled);
        if settled != self.returned {
            let missing = u64::from(self.returned.saturating_sub(settled)).max(1);
            ledger.tally.fail(missing, "messages were given back after their lease had ended");
        }
        self.debt += settled;
        self.returned = 0;
        if self.weight > 0 {
            self.step = Step::Ack;
        }
        self.weight > 0
    }

    #[inline]
    pub(super) fn on_ack(&mut self, ledger: &mut Ledger, settled: u32) {
        ledger.tally.reply(Measured::Ack, self.sent_ns, ledger.now_ns);
        self.note_done(ledger, settled);
        if settled != self.weight {
            let missing = u64::from(self.weight.saturating_sub(settled)).max(1);
            ledger.tally.fail(missing, "an acknowledgement came after its lease had ended");
        }
    }

    /// A message is done when the last group is done with it.
    #[inline]
    fn note_done(&self, ledger: &mut Ledger, count: u32) {
        if self.group + 1 == ledger.groups {
            ledger.tally.done(ledger.targets[self.target as usize].queue.shard(), count);
        }
    }

    /// Whether the round goes on with another take, of `owed` messages then.
    ///
    /// What was given back is taken again in whole batches, as a consumer would, in this round or a
    /// later one. When none `follows`, or another group's turn comes, it is taken as it is.
    #[inline]
    pub(super) fn goes_on(&mut self, ledger: &mut Ledger, follows: bool) -> bool {
        if self.owed > 0 {
            return true;
        }
        let has_next_group = self.put > 0 && self.group + 1 < ledger.groups;
        if self.debt >= ledger.batch || self.debt > 0 && (ledger.groups > 1 || !follows) {
            self.owed = self.debt.min(ledger.batch);
            self.debt -= self.owed;
            return true;
        }
        if has_next_group {
            (self.group, self.owed) = (self.group + 1, self.put);
            return true;
        }
        // A round of several requests is measured as a whole too.
        if self.put > 0 && ledger.tally.recording {
            ledger.tally.latencies.note(Measured::Operation, self.began_ns, ledger.now_ns);
        }
        self.put = 0;
        false
    }

    pub(super) fn on_echo(&mut self, ledger: &mut Ledger, body: &[u8], home: usize) {
        ledger.tally.reply(Measured::Echo, self.sent_ns, ledger.now_ns);
        if body.len() == ledger.size {
            ledger.tally.done(home, 1);
        } else {
            ledger.tally.fail(1, "an echo came back with another length");
        }
    }

    /// A refused round is given up.
    #[cold]
    pub(super) fn on_refusal(&mut self, ledger: &mut Ledger, code: Code, sentence: &str) {
        ledger.tally.refuse(code, sentence, self.weight.max(self.returned));
        if self.step == Step::Put {
            ledger.put_refused(self.target, self.began_ns, self.weight);
        }
        (self.owed, self.put, self.debt) = (0, 0, 0);
    }

    /// Messages that are lost with the connection.
    pub(super) fn lost(&self) -> u64 {
        u64::from((self.weight + self.returned).max(self.owed + self.debt))
    }
}
