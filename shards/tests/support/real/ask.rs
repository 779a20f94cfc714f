//! Subscriptions of the real store, and its answers to those who wait.

use ringway_protocol::SubscriptionId;
use ringway_protocol::limits::{CREDIT_MESSAGES_MAX, TAKE_MESSAGES_MAX};
use ringway_protocol::options::LEASE_MS_MAX;
use ringway_protocol::request::{Credit, Subscribe};
use ringway_protocol::{Code, Rejection};
use ringway_shards::path::origin::Origin;
use ringway_shards::path::queue::Asked as Question;

use super::{Asked, Real, Result};
use crate::support::outcome::Outcome;
use crate::support::words::{Words, back};

impl Real {
    /// `subscribe QUEUE credit=MESSAGES [bytes=] [batch=] [lease=] [rate=] [group=] [by=]`
    pub(super) fn subscribe(&mut self, words: &Words<'_>) -> Result<Outcome> {
        let queue = self.queue(words.word(0));
        let subscribe = Subscribe {
            queue,
            group: self.group(queue, words.group()),
            messages: words.number("credit", 100) as u32,
            bytes: words.number("bytes", 0) as u32,
            batch_max: words.number("batch", 0) as u32,
            lease_ms: words.ms("lease", 0) as u32,
            rate: words.number("rate", 0) as u32,
        };
        // What the wire refuses never comes to the store.
        if !(1..=CREDIT_MESSAGES_MAX).contains(&subscribe.messages)
            || subscribe.batch_max > TAKE_MESSAGES_MAX
            || subscribe.lease_ms > LEASE_MS_MAX
        {
            return Err(Rejection::new(Code::InvalidOption, "out of range"));
        }
        let (who, now) = (words.asker(), self.now());
        let id = self.store.subscribe(&subscribe, self.origin(who), now)?;
        self.subscriptions.push((id, self.asked.len()));
        let number = self.subscriptions.len();
        self.asked.push(Asked { who, subscription: Some(number) });
        Ok(Outcome::said(format!("subscription {number}")))
    }

    /// The subscription that a word names, and who asked for it.
    fn subscription(&self, word: &str) -> (SubscriptionId, Origin) {
        let index = back(word, self.subscriptions.len());
        index.map_or((SubscriptionId::new(7, 3, 99), self.origin('x')), |index| {
            let (id, asker) = self.subscriptions[index];
            (id, self.origin_of(asker))
        })
    }

    pub(super) fn credit(&mut self, words: &Words<'_>) -> Result<Outcome> {
        let (subscription, origin) = self.subscription(words.word(1));
        let credit = Credit {
            queue: self.queue(words.word(0)),
            subscription,
            messages: words.word(2).parse().expect("a number of messages"),
            bytes: words.number("bytes", 0) as u32,
        };
        self.store.credit(&credit, origin)?;
        Ok(Outcome::ok())
    }

    pub(super) fn unsubscribe(&mut self, words: &Words<'_>) -> Result<Outcome> {
        let (subscription, origin) = self.subscription(words.word(1));
        let (queue, now) = (self.queue(words.word(0)), self.now());
        let (messages, _) = self.store.unsubscribe(queue, subscription, origin, now)?;
        Ok(Outcome::said(messages))
    }

    /// Every answer that can be given now.
    pub(super) fn answers(&mut self) -> Outcome {
        let mut answers = Vec::new();
        let now = self.now();
        while let Some(answer) = self.store.next_answer(now, &mut self.taken, &mut self.stored) {
            let asker = answer.origin.request as usize;
            let Asked { who, subscription } = &self.asked[asker];
            let called = match subscription {
                None => who.to_string(),
                Some(number) => format!("{who}/{number}"),
            };
            assert_eq!(answer.origin, self.origin_of(asker), "an answer goes to who asked");
            let outcome = match (answer.outcome, answer.asked) {
                (Err(why), _) => Outcome::Refused(format!("{:?}", why.code)),
                (Ok(()), Question::Put) => Outcome::Put(self.stored_runs()),
                (Ok(()), _) => Outcome::Delivery(self.delivery(false)),
            };
            answers.push((called, asker, outcome));
        }
        Outcome::Answers(answers)
    }
}
