//! The checker: reads what clients asked and what they saw, and says what must not have happened.
//!
//! It knows nothing of the simulator: whoever records [`Event`]s of real connections can use it as
//! well, and [`wire`] puts real replies into its words. Its time and memory grow with the length of
//! the history (times its logarithm), whatever the history is like. [`clients`] make histories that
//! are worth a judgement, in the simulator and over real sockets.
//!
//! A **copy** is one stored message: a queue and a sequence. Each group of consumers has its own
//! **course** of deliveries of a copy. How often a copy was delivered is in each delivery, so the
//! deliveries of a course are ordered by that count and not by when clients happened to read them.
//!
//! Whatever happens more than once, or not at all, needs a cause that has a name: a put whose
//! outcome nobody knows may be stored, a lease that ran out may be delivered again, a message whose
//! time is over may be gone. What has none is a [`Violation`].

mod administer;
mod batches;
pub mod chance;
pub mod clients;
mod copies;
mod event;
mod judge;
pub mod parcel;
mod requests;
mod settling;
mod state;
mod switch;
mod text;
pub mod wire;

use std::collections::{BTreeMap, HashMap};

use switch::Switch;

use state::{
    Connection, Copy, Delivery, Lease, Message, Put, Queue, Subscription, Transfer, Unseen,
};

pub use event::{
    Answer, Ask, Batch, Delivered, Due, Event, Facts, How, Letter, Moment, Place, Push,
    RangeOutcome, Reason, RequestName, Settled, Start, Stretch, Taken, Traits,
};
pub use text::{history, verdicts};

/// What was found; empty is good.
pub type Violations = Vec<Violation>;

/// What must not have happened.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Verdict {
    /// Acknowledged, and a group neither got it nor has it at the end; or leased, not settled, and
    /// not seen again.
    Lost,
    /// Delivered, and never sent so (or refused, or not to this group).
    Phantom,
    /// Stored or delivered again without a cause that has a name.
    Duplicate,
    /// Stored or first delivered in another order than sent, or in another band.
    Order,
    /// Two messages of a key in flight at a time, or a later one before an earlier one.
    Key,
    /// Two consumers of a group at a time that is to have one.
    Active,
    /// Delivered from what was paused, or stored there.
    Paused,
    /// Delivered before it was due, or before it should have come back.
    Early,
    /// Delivered after its time to live.
    Expired,
    /// An acknowledgement settled what it could not settle any more, or half of a transfer was
    /// done.
    Stale,
    /// A dead letter without the reason that it states.
    Letter,
    /// More was pushed than there was credit for.
    Credit,
    /// A reply without its request, a second one, or one of another kind.
    Reply,
    /// A request on a living connection that got no reply.
    Unanswered,
}

/// A verdict and the sentence that says why.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
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
    slack_ns: u64,
    printed: bool,
    connections: HashMap<u64, Connection>,
    queues: BTreeMap<u64, Queue>,
    messages: HashMap<u64, Message>,
    copies: Vec<Copy>,
    deliveries: Vec<Delivery>,
    leases: Vec<Lease>,
    lease_names: HashMap<(u64, u64), usize>,
    subscriptions: Vec<Subscription>,
    /// Puts in the order of asking, across all connections.
    puts: Vec<Put>,
    transfers: Vec<Transfer>,
    /// The queues that are bound to each topic, or were.
    topics: HashMap<u64, BTreeMap<u64, Switch>>,
    /// Publishes whose reply nobody saw.
    unseen_publishes: Vec<Unseen>,
    /// What the wall clock reads from some moment on.
    clock: Vec<(u64, u64)>,
    /// Requests so far.
    requests: u64,
    /// When something happened last.
    last_ns: u64,
    violations: Violations,
}

impl Checker {
    /// A checker that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// One for a server that may read its clocks so much too early: it takes its time between
    /// reading them and acting.
    pub fn with_slack(slack_ns: u64) -> Self {
        Self { slack_ns, ..Self::default() }
    }

    /// Prints every event on stderr from now on.
    pub fn print(&mut self) {
        self.printed = true;
    }

    /// Something happened.
    pub fn record(&mut self, event: Event) {
        if self.printed {
            eprintln!("{event:?}");
        }
        match event {
            Event::Asked { moment, ask } => {
                self.last_ns = self.last_ns.max(moment.at_ns);
                self.asked(moment, ask);
            }
            Event::Answered { moment, answer } => {
                self.last_ns = self.last_ns.max(moment.at_ns);
                self.answered(moment, answer);
            }
            Event::Ended { connection, at_ns, broken } => self.ended(connection, at_ns, broken),
            Event::Unreadable { connection, sentence } => {
                self.violation(Verdict::Reply, format!("connection {connection}: {sentence}"));
            }
            Event::Made { message, traits } => {
                self.messages.entry(message).or_default().traits = traits;
            }
            Event::Queue { queue, facts } => self.queue(queue).facts = facts,
            Event::DeadLetters { queue, dead } => {
                let spread = self.queue(queue).facts.spread;
                self.queue(queue).dead_letters.push(dead);
                let letters = self.queue(dead);
                letters.origins.push(queue);
                letters.facts.spread = spread.max(letters.facts.spread);
            }
            Event::Gone { queue, group, dropped, expired } => {
                let group = self.queue(queue).groups.entry(group).or_default();
                group.counted = true;
                group.gone = group.gone.saturating_add(dropped);
                group.expired = group.expired.saturating_add(expired);
            }
            Event::Clock { at_ns, wall_ms } => self.clock.push((at_ns, wall_ms)),
        }
    }

    /// How many requests are still waiting for their reply.
    pub fn outstanding(&self) -> usize {
        self.connections.values().map(|connection| connection.outstanding.len()).sum()
    }

    fn violation(&mut self, verdict: Verdict, sentence: String) {
        self.violations.push(Violation { verdict, sentence });
    }

    fn queue(&mut self, queue: u64) -> &mut Queue {
        self.queues.entry(queue).or_default()
    }
}
