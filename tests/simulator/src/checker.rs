//! The checker: reads what clients asked and what they saw, and says what must not have happened.
//!
//! It knows nothing of the simulator: a load driver that records [`Event`]s of real connections can
//! use it as well. Its time and memory grow with the length of the history, whatever the history is
//! like.
//!
//! A **copy** is one stored message: a queue and a sequence. How often a copy was delivered is in
//! each delivery, so the deliveries of one copy are ordered by that count and not by when clients
//! happened to read them.

mod copies;
mod event;
mod judge;
mod text;

use std::collections::HashMap;

pub use copies::Violations;
pub use event::{Answer, Ask, Delivered, Event, Moment, RangeOutcome, RequestName, Taken};
pub use text::{history, verdicts};

/// What must not have happened.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Verdict {
    /// Acknowledged, and neither delivered nor in the queue at the end; or leased, not settled, and
    /// not seen again.
    Lost,
    /// Delivered, and never sent so (or refused).
    Phantom,
    /// Delivered again without a cause that has a name.
    Duplicate,
    /// Stored or first delivered in another order than sent.
    Order,
    /// An acknowledgement settled what it could not settle any more.
    Stale,
    /// A reply without its request, a second one, or one of another kind.
    Reply,
    /// A request on a living connection that got no reply.
    Unanswered,
}

/// A verdict and the sentence that says why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// What must not have happened.
    pub verdict: Verdict,
    /// What did.
    pub sentence: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}: {}", self.verdict, self.sentence)
    }
}

/// Takes a history in, event by event, in the order in which they happened to clients.
#[derive(Default)]
pub struct Checker {
    connections: HashMap<u64, Connection>,
    queues: HashMap<u64, Queue>,
    /// Attempts to put each message.
    messages: HashMap<u64, Message>,
    copies: Vec<Copy>,
    leases: HashMap<(u64, u64), Lease>,
    /// Puts in the order of asking, across all connections.
    puts: Vec<Put>,
    violations: Vec<Violation>,
}

#[derive(Default)]
struct Connection {
    outstanding: HashMap<RequestName, Outstanding>,
    ended: bool,
    /// The last sequence that this connection saw delivered for the first time, of each queue.
    last_first: HashMap<u64, u64>,
    /// Sequences of each queue that it saw for the first time after later ones.
    steps_back: HashMap<u64, Vec<u64>>,
}

struct Outstanding {
    ask: Ask,
    at_ns: u64,
    /// Where a put stands in `puts`.
    put: usize,
}

#[derive(Default)]
struct Queue {
    /// Copies by their sequence.
    copies: HashMap<u64, usize>,
    /// Takes whose reply nobody saw.
    takes_unseen: u64,
    /// Messages that such takes may have taken for good, and that were purged, deleted or dropped.
    may_be_gone: u64,
    /// The queue that this one's poison goes to.
    dead_letters: Option<u64>,
    /// Whether this is some queue's dead-letter queue.
    is_dead: bool,
    /// Copies that should have been seen, or seen again; filled in at the end.
    missing: Vec<usize>,
}

#[derive(Default)]
struct Message {
    /// Puts that contained it and were not refused.
    attempts: u32,
    /// Copies of it that were delivered, in queues that are nobody's dead letters.
    copies: u32,
    /// Whether a dead-letter queue delivered it.
    in_dead_letters: bool,
}

/// One stored message.
struct Copy {
    queue: u64,
    sequence: u64,
    message: u64,
    /// Whether a reply named it.
    acknowledged: bool,
    /// Its deliveries in the order in which they were seen.
    deliveries: Vec<Delivery>,
}

#[derive(Clone, Copy)]
struct Delivery {
    /// Which delivery of the copy this is, counted by the server from 1.
    count: u32,
    seen_ns: u64,
    /// Its lease cannot have ended of itself before this; `None` if it was taken for good.
    lease_until_ns: Option<u64>,
    nack_asked_ns: Option<u64>,
    /// Acks that named it and were not answered.
    acks_open: u32,
    /// What settled it, and when that was asked.
    settled: Option<(Settled, u64)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Settled {
    Acked,
    Nacked,
}

struct Lease {
    /// Its messages: a copy, and which of the copy's deliveries.
    messages: Vec<(usize, usize)>,
}

struct Put {
    connection: u64,
    queue: u64,
    messages: Vec<u64>,
    /// `None` while the outcome is unknown, `Some(None)` if refused.
    outcome: Option<Option<u64>>,
}

impl Checker {
    /// A checker that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Something happened.
    pub fn record(&mut self, event: Event) {
        match event {
            Event::Asked { moment, ask } => self.asked(moment, ask),
            Event::Answered { moment, answer } => self.answered(moment, answer),
            Event::Ended { connection } => self.ended(connection),
            Event::Unreadable { connection, sentence } => {
                self.violation(Verdict::Reply, format!("connection {connection}: {sentence}"));
            }
            Event::DeadLetters { queue, dead } => {
                self.queues.entry(queue).or_default().dead_letters = Some(dead);
                self.queues.entry(dead).or_default().is_dead = true;
            }
            Event::Dropped { queue, count } => {
                let gone = &mut self.queues.entry(queue).or_default().may_be_gone;
                *gone = gone.saturating_add(count);
            }
        }
    }

    /// How many requests are still waiting for their reply.
    pub fn outstanding(&self) -> usize {
        self.connections.values().map(|connection| connection.outstanding.len()).sum()
    }

    fn violation(&mut self, verdict: Verdict, sentence: String) {
        self.violations.push(Violation { verdict, sentence });
    }

    fn asked(&mut self, moment: Moment, ask: Ask) {
        let Moment { at_ns, connection, name } = moment;
        let mut put = 0;
        match &ask {
            Ask::Put { queue, messages } => {
                put = self.puts.len();
                for message in messages {
                    self.messages.entry(*message).or_default().attempts += 1;
                }
                let (queue, messages) = (*queue, messages.clone());
                self.puts.push(Put { connection, queue, messages, outcome: None });
            }
            Ask::Settle { queue, lease, ranges, nack } => {
                self.settle_asked((*queue, *lease), *nack, ranges, at_ns);
            }
            _ => {}
        }
        let outstanding = &mut self.connections.entry(connection).or_default().outstanding;
        if outstanding.insert(name, Outstanding { ask, at_ns, put }).is_some() {
            // The driver's own mistake: a verdict about the server would be worth nothing.
            panic!("connection {connection} reuses {name:?} while it is unanswered");
        }
    }

    fn answered(&mut self, moment: Moment, answer: Answer) {
        let Moment { at_ns, connection, name } = moment;
        let from = self.connections.entry(connection).or_default();
        let Some(outstanding) = from.outstanding.remove(&name) else {
            let sentence = format!("connection {connection}: a reply to {name:?}, never asked");
            return self.violation(Verdict::Reply, sentence);
        };
        let Outstanding { ask, at_ns: asked_ns, put } = outstanding;
        match (ask, answer) {
            (Ask::Put { messages, .. }, Answer::Refused) => {
                for message in messages {
                    self.messages.entry(message).or_default().attempts -= 1;
                }
                self.puts[put].outcome = Some(None);
            }
            (_, Answer::Refused) => {}
            (Ask::Put { messages, .. }, Answer::Stored { first_sequence, count }) => {
                if count as usize != messages.len() {
                    let sentence = format!("a put of {} stored {count}", messages.len());
                    self.violation(Verdict::Reply, sentence);
                }
                self.puts[put].outcome = Some(Some(first_sequence));
                self.stored(put, first_sequence);
            }
            (Ask::Take { queue, messages_max, for_good }, Answer::Delivered(delivery)) => {
                if delivery.messages.len() > messages_max as usize {
                    let sentence = format!("a take of {messages_max} got more");
                    self.violation(Verdict::Reply, sentence);
                }
                let times = (asked_ns, at_ns);
                self.delivered(connection, (queue, for_good), times, &delivery);
            }
            (Ask::Settle { queue, lease, ranges, nack }, Answer::Settled(outcomes)) => {
                self.settled((queue, lease), (nack, asked_ns), &ranges, &outcomes);
            }
            (Ask::Remove { queue }, Answer::Removed(count)) => {
                let gone = &mut self.queues.entry(queue).or_default().may_be_gone;
                *gone = gone.saturating_add(count);
            }
            (Ask::Other, Answer::Other) => {}
            (ask, answer) => {
                let sentence = format!("connection {connection}: {answer:?} in reply to {ask:?}");
                self.violation(Verdict::Reply, sentence);
            }
        }
    }

    /// A connection has gone: what it had asked has an unknown outcome.
    fn ended(&mut self, connection: u64) {
        let from = self.connections.entry(connection).or_default();
        from.ended = true;
        for (_, Outstanding { ask, .. }) in from.outstanding.drain() {
            match ask {
                Ask::Take { queue, messages_max, for_good } => {
                    let queue = self.queues.entry(queue).or_default();
                    queue.takes_unseen += 1;
                    if for_good {
                        let most = u64::from(messages_max);
                        queue.may_be_gone = queue.may_be_gone.saturating_add(most);
                    }
                }
                Ask::Remove { queue } => {
                    self.queues.entry(queue).or_default().may_be_gone = u64::MAX;
                }
                _ => {}
            }
        }
    }
}
