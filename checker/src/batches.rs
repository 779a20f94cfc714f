//! Puts: attempts to store messages, and what their replies say.

use super::event::{Batch, Place, Stretch};
use super::state::{Outcome, Put, SCHEDULED, Unseen, band};
use super::switch::During;
use super::{Checker, Verdict};

impl Checker {
    pub(super) fn put_asked(
        &mut self,
        (connection, order): (u64, u64),
        asked_ns: u64,
        batch: Batch,
    ) -> usize {
        let Batch { queue, messages, producer } = batch;
        let put = self.puts.len();
        for message in &messages {
            self.messages.entry(*message).or_default().sent = true;
            self.queue(queue).holdings.entry(*message).or_default().puts.push(put);
        }
        let (answered_ns, outcome) = (None, Outcome::Unknown);
        self.puts.push(Put {
            connection,
            queue,
            messages,
            producer,
            asked_ns,
            order,
            answered_ns,
            outcome,
        });
        put
    }

    /// A publish is a put to each queue that may be bound.
    pub(super) fn publish_asked(
        &mut self,
        from: (u64, u64),
        asked_ns: u64,
        topic: u64,
        messages: &[u64],
    ) -> Vec<usize> {
        for message in messages {
            self.messages.entry(*message).or_default().sent = true;
        }
        let batch = |queue| Batch { queue, messages: messages.to_vec(), producer: None };
        let during = published(from, asked_ns, asked_ns);
        let puts = self.may_be_bound(topic, during).into_iter().map(batch);
        puts.map(|batch| self.put_asked(from, asked_ns, batch)).collect()
    }

    /// Queues that may have been bound to a topic at some time between two moments.
    fn may_be_bound(&self, topic: u64, during: During) -> Vec<u64> {
        let bindings = self.topics.get(&topic).into_iter().flatten();
        let bound = bindings.filter(|(_, binding)| binding.may_be_on(during));
        bound.map(|(queue, _)| *queue).collect()
    }

    pub(super) fn published(
        &mut self,
        from: (u64, u64),
        (topic, messages): (u64, &[u64]),
        (asked_ns, at_ns): (u64, u64),
        puts: &[usize],
        (matched, stored): (u32, u32),
    ) {
        let during = published(from, asked_ns, at_ns);
        // By now more may be known of those that seemed to be bound.
        let bound = self.may_be_bound(topic, during);
        let is_bound = |put: &usize| bound.contains(&self.puts[*put].queue);
        let (puts, others): (Vec<usize>, Vec<usize>) = puts.iter().partition(|put| is_bound(put));
        for put in others {
            self.puts[put].outcome = Outcome::Refused;
        }
        let all = self.published_late(from, (topic, messages), during, &puts);
        let sure = |queue: &u64| {
            let binding = self.topics.get(&topic).and_then(|bindings| bindings.get(queue));
            self.queues[queue].deletions == 0
                && binding.is_some_and(|binding| binding.surely(true, 0, during))
        };
        let sure: Vec<usize> =
            all.iter().copied().filter(|put| sure(&self.puts[*put].queue)).collect();
        if (matched as usize) < sure.len() || matched as usize > all.len() {
            let sentence = format!(
                "what was published to topic {topic} reached {matched} queues, of {} bound",
                sure.len()
            );
            let few = (matched as usize) < sure.len();
            self.violation(if few { Verdict::Lost } else { Verdict::Phantom }, sentence);
        }
        for put in &all {
            self.puts[*put].answered_ns = Some(at_ns);
        }
        if stored == matched {
            for put in sure {
                self.puts[put].outcome = Outcome::Somewhere;
                self.expect_somewhere(put);
            }
        }
        if stored == 0 {
            all.iter().for_each(|put| self.put_refused(*put));
        }
    }

    /// Queues that were bound meanwhile may have got it too: all of its puts.
    fn published_late(
        &mut self,
        from: (u64, u64),
        (topic, messages): (u64, &[u64]),
        during: During,
        puts: &[usize],
    ) -> Vec<usize> {
        let mut late = self.may_be_bound(topic, during);
        late.retain(|queue| puts.iter().all(|put| self.puts[*put].queue != *queue));
        let mut all = puts.to_vec();
        for queue in late {
            let batch = Batch { queue, messages: messages.to_vec(), producer: None };
            all.push(self.put_asked(from, during.from_ns, batch));
        }
        all
    }

    /// What was published without a reply may have reached whatever was bound by the end.
    pub(super) fn publish_unseen(&mut self) {
        for unseen in std::mem::take(&mut self.unseen_publishes) {
            let Unseen { from, topic, messages, asked_ns, puts } = unseen;
            let during = published(from, asked_ns, u64::MAX);
            self.published_late(from, (topic, &messages), during, &puts);
        }
    }

    fn expect_somewhere(&mut self, put: usize) {
        let Put { queue, ref messages, .. } = self.puts[put];
        for message in messages.clone() {
            self.queue(queue).holdings.entry(message).or_default().unplaced += 1;
        }
    }

    /// A part of a spread queue may have stored what was its own, whatever another one refused.
    pub(super) fn put_refused(&mut self, put: usize) {
        let queue = self.puts[put].queue;
        if !self.queue(queue).facts.is_spread() {
            self.puts[put].outcome = Outcome::Refused;
        }
    }

    /// A reply named the copies of a put.
    pub(super) fn put_answered(&mut self, put: usize, at_ns: u64, stretches: Vec<Stretch>) {
        self.puts[put].answered_ns = Some(at_ns);
        let (queue, messages) = (self.puts[put].queue, self.puts[put].messages.clone());
        let count: u64 = stretches.iter().map(|stretch| u64::from(stretch.count)).sum();
        if count != messages.len() as u64 {
            let sentence = format!("a put of {} was answered for {count}", messages.len());
            self.violation(Verdict::Reply, sentence);
        }
        for ((sequence, place), message) in places(&stretches).zip(messages) {
            match place {
                Place::Here => {
                    let Some(copy) = self.copy(queue, sequence, message) else { continue };
                    self.copies[copy].put = Some(put);
                    if std::mem::replace(&mut self.copies[copy].acknowledged, true) {
                        let sentence = format!("sequence {sequence} was given to two puts");
                        self.violation(Verdict::Order, sentence);
                    }
                }
                Place::Later => self.scheduled(queue, sequence, message, false),
                Place::Before => self.repeated(put, sequence, message),
            }
        }
        self.puts[put].outcome = Outcome::Stored(stretches);
    }

    fn scheduled(&mut self, queue: u64, sequence: u64, message: u64, again: bool) {
        if band(sequence) != SCHEDULED {
            let sentence = format!("message {message} is scheduled as sequence {sequence:#x}");
            self.violation(Verdict::Order, sentence);
        }
        let holding = self.queue(queue).holdings.entry(message).or_default();
        let known = holding.scheduled.contains(&sequence);
        if !known {
            holding.scheduled.push(sequence);
            holding.unplaced += 1;
        } else if !again {
            let sentence = format!("sequence {sequence:#x} was given to two puts");
            self.violation(Verdict::Order, sentence);
        }
    }

    /// A put was known to be a repeat: it is answered as the first one was.
    fn repeated(&mut self, put: usize, sequence: u64, message: u64) {
        let queue = self.puts[put].queue;
        let holding = &self.queue(queue).holdings[&message];
        let earlier: Vec<usize> = holding.puts.iter().copied().filter(|at| *at != put).collect();
        if earlier.iter().all(|put| self.puts[*put].outcome == Outcome::Refused) {
            let sentence = format!("message {message} was called a repeat, and was never put");
            return self.violation(Verdict::Lost, sentence);
        }
        if band(sequence) == SCHEDULED {
            return self.scheduled(queue, sequence, message, true);
        }
        if let Some(copy) = self.copy(queue, sequence, message) {
            self.copies[copy].acknowledged = true;
        }
    }
}

/// When a publish was under way.
fn published((connection, order): (u64, u64), asked_ns: u64, to_ns: u64) -> During {
    During { connection, order: Some(order), asked_ns, from_ns: asked_ns, to_ns }
}

/// Each message's sequence and place.
pub(super) fn places(stretches: &[Stretch]) -> impl Iterator<Item = (u64, Place)> + '_ {
    stretches.iter().flat_map(|stretch| {
        let end = stretch.first_sequence + u64::from(stretch.count);
        (stretch.first_sequence..end).map(|sequence| (sequence, stretch.place))
    })
}
