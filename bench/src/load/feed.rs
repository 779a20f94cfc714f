//! What is pushed to one connection: a subscription to each of its queues, and the acknowledgement
//! of every delivery.
//!
//! ```text
//! numbers above the slots' own:   0 .. n  the subscribes, and all deliveries to them
//!                                 n .. 2n the acknowledgements, by queue
//! ```
//! Replies about one queue come in the order of the requests, so its acknowledgements share a
//! number.

use std::collections::VecDeque;

use ringway_client::{Outbox, Range, Reply, Request};
use ringway_protocol::frame::Frame;
use ringway_protocol::limits::{CREDIT_BYTES_MAX, CREDIT_MESSAGES_MAX};
use ringway_protocol::reply::Delivery;
use ringway_protocol::request::Subscribe;

use crate::load::ledger::Ledger;
use crate::load::settings::Settings;
use crate::load::tally::Measured;

/// The subscriptions of one connection.
pub(super) struct Feed {
    credit_messages: u32,
    credit_bytes: u32,
    /// Of each queue, the acknowledgements in flight: messages, and when it was sent.
    settling: Vec<VecDeque<(u32, u64)>>,
    /// The number of the first subscribe.
    base: u32,
    /// Subscribes without an answer.
    unanswered: usize,
    /// Whether a subscription was refused or has ended: what is put from now on may never come.
    ended: bool,
}

impl Feed {
    /// Subscriptions to so many queues, each with a credit of what the connection has under way.
    pub(super) fn new(settings: &Settings, queues: usize) -> Self {
        let messages = settings.pipeline.saturating_mul(settings.batch).min(CREDIT_MESSAGES_MAX);
        let bytes = settings.record_bytes().saturating_mul(u64::from(messages));
        Self {
            credit_messages: messages,
            credit_bytes: bytes.clamp(1, u64::from(CREDIT_BYTES_MAX)) as u32,
            settling: vec![VecDeque::new(); queues],
            base: 0,
            unanswered: queues,
            ended: false,
        }
    }

    /// Subscribes without an answer.
    #[inline]
    pub(super) fn unanswered(&self) -> usize {
        self.unanswered
    }

    /// Whether everything that is put will be pushed to somebody.
    #[inline]
    pub(super) fn is_ready(&self) -> bool {
        self.unanswered == 0 && !self.ended
    }

    /// Asks for everything that comes to `targets`, with numbers from `base` on.
    pub(super) fn subscribe(
        &mut self,
        targets: &[u32],
        base: usize,
        outbox: &mut Outbox,
        ledger: &Ledger,
    ) {
        self.base = base as u32;
        for (number, index) in (self.base..).zip(targets) {
            let target = &ledger.targets[*index as usize];
            let subscribe = Subscribe {
                queue: target.queue,
                group: target.groups[0].0,
                messages: self.credit_messages,
                bytes: self.credit_bytes,
                batch_max: ledger.batch,
                lease_ms: 0,
                rate: 0,
            };
            outbox.request(&Request::Subscribe(subscribe), number);
        }
    }

    /// Gives a reply its meaning; `number` counts from the first subscribe.
    pub(super) fn on_reply(
        &mut self,
        number: usize,
        targets: &[u32],
        frame: Frame<'_>,
        outbox: &mut Outbox,
        ledger: &mut Ledger,
    ) {
        let queues = self.settling.len();
        let Some(index) = targets.get(number % queues.max(1)).filter(|_| number < 2 * queues)
        else {
            return ledger.tally.fail(1, "a reply came that no request waited for");
        };
        ledger.progress += 1;
        match (number < queues, Reply::decode(frame)) {
            (true, Ok(Reply::Subscribed { .. })) => self.answered(),
            (true, Ok(Reply::Delivery(delivery))) => {
                self.on_delivery(number, *index, &delivery, outbox, ledger);
            }
            (false, Ok(Reply::Settled(settlement, _))) => {
                self.on_ack(number - queues, *index, settlement.settled, ledger);
            }
            (is_feed, Ok(Reply::Refused { code, sentence })) => {
                ledger.tally.refuse(code, sentence, 1);
                if is_feed {
                    self.ended = true;
                    self.answered();
                }
            }
            _ => ledger.tally.fail(1, "a reply did not fit its request"),
        }
    }

    fn answered(&mut self) {
        self.unanswered = self.unanswered.saturating_sub(1);
    }

    #[inline]
    fn on_delivery(
        &mut self,
        number: usize,
        index: u32,
        delivery: &Delivery<'_>,
        outbox: &mut Outbox,
        ledger: &mut Ledger,
    ) {
        let count = delivery.count();
        if count == 0 || count > ledger.batch {
            return ledger.tally.fail(1, "a push was empty or longer than was asked for");
        }
        ledger.tally.requests += 1;
        ledger.push_came(index, count);
        let account = &mut ledger.accounts_of(index)[0];
        delivery.runs().for_each(|run| account.taken.add_run(run.first_sequence, run.count));
        let again = delivery.runs().filter(|run| run.deliveries > 1);
        ledger.tally.redelivered += again.map(|run| u64::from(run.count)).sum::<u64>();
        self.settling[number].push_back((count, ledger.now_ns));
        let queue = ledger.targets[index as usize].queue;
        let ack = self.base + (self.settling.len() + number) as u32;
        outbox.ack(queue, delivery.lease, &[Range { first: 0, count }], ack);
    }

    #[inline]
    fn on_ack(&mut self, number: usize, index: u32, settled: u32, ledger: &mut Ledger) {
        let Some((count, sent_ns)) = self.settling[number].pop_front() else {
            return ledger.tally.fail(1, "a reply came that no request waited for");
        };
        ledger.tally.reply(Measured::Ack, sent_ns, ledger.now_ns);
        ledger.tally.done(ledger.targets[index as usize].queue.shard(), settled);
        ledger.came_through(u64::from(count));
        if settled != count {
            let missing = u64::from(count.saturating_sub(settled)).max(1);
            ledger.tally.fail(missing, "an acknowledgement came after its lease had ended");
        }
    }
}
