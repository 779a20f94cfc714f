//! Errands: what a shard asks of itself and of other shards on behalf of one request.
//!
//! A request that several shards carry out (an acknowledgement here and a put there, a put to every
//! queue that a name reaches) is run as an errand of one shard: a small state in a slab that asks,
//! hears the answers, asks further, and ends with one reply to whoever asked. What it asks are
//! frames like any client's, or the few that shards have among themselves (see `among`); they
//! travel in the same batches, and their asker is the errand itself: a peer whose highest bit is
//! set, which no connection's is.
//!
//! | file | what it knows |
//! |---|---|
//! | `begin`, `begin_spread` | which requests become errands, and how each kind begins |
//! | `runner` | asks for errands, hears answers, ends them |
//! | `stage` | the shard's part: errands go on, replies go home |
//! | `holds` | what later requests of the same connection have to wait for |
//! | `among` | what shards ask each other, beside clients' requests |
//! | `relay`, `transfer`, ... | one kind of errand each |
//! | `spread/` | queues that lie on several shards |
//!
//! What is promised of a request holds for an errand: its effects on one queue follow what its
//! connection sent before and precede what it sends later (`holds`); no further step is asked for
//! before the one that it depends on is committed; its reply waits for the commit like any other. A
//! connection that is gone ends no errand: it runs to its end, and only the reply finds nobody.

pub mod among;
mod begin;
mod begin_spread;
pub mod holds;
mod moving;
mod publish;
mod relay;
mod runner;
pub mod spread;
mod stage;
mod tell;
mod transfer;

pub use begin::begins_here;
pub use runner::{Begun, Runner};

use crate::limits::{
    ERRAND_BUFFER_BYTES_MAX, ERRAND_BUFFERS_MAX, ERRANDS_MAX, IDLE_ERRANDS_MAX, SCATTER_BYTES_MAX,
    SCATTER_QUEUE_BYTES,
};
use crate::path::origin::Origin;
use ringway_protocol::reply::PUT_RUN_BYTES;
use ringway_protocol::{Frame, Kind, QueueId, SubscriptionId};
use std::collections::VecDeque;

use moving::Move;
use publish::Publish;
use relay::Relay;
use spread::{BrowsePart, Cursor, Gather, Make, Remove, SpreadPush, SpreadPut, SpreadTake};
use tell::Tell;
use transfer::Transfer;

/// Set in the name of an errand as a peer; a connection's never has it.
const ERRAND: u64 = 1 << 63;
/// Set in the name under which a change of a subscription holds its connection's requests.
const CHANGING: u64 = 1 << 62;
/// Generations of a slot fit the bits that are left.
const GENERATION_MASK: u32 = u32::MAX >> 2;

/// The stream of an errand's questions: they are about one queue, or one part, and nothing further
/// is asked for them. Requests that are only passed on have another.
const ALONE: u32 = 1;

/// Whether a request from another shard is one of an errand's questions.
pub fn is_question(peer: u64, stream: u32) -> bool {
    is_errand(peer) && stream == ALONE
}

/// Whether a peer is an errand of its shard, and no connection.
#[inline]
pub fn is_errand(peer: u64) -> bool {
    peer & ERRAND != 0
}

/// One request that is under way at several shards.
#[derive(Debug)]
struct Errand {
    call: Call,
    task: Task,
}

/// What every errand knows about itself.
#[derive(Debug)]
pub(super) struct Call {
    /// The errand's own name, as others know it.
    pub peer: u64,
    /// Who gets the reply.
    pub origin: Origin,
    /// The kind of request, and so of the reply.
    pub kind: Kind,
    /// Bytes that the connection was promised, and whether to a take that may wait.
    pub promise: (u32, bool),
    /// Questions that have no answer yet.
    pub open: u32,
    /// Bytes that the task keeps from one step to the next.
    pub kept: Vec<u8>,
    /// Whether later requests of the connection may have to wait for it.
    pub holds: bool,
    /// Whether it may only wait for messages.
    pub idles: bool,
    /// What it has scattered over queues, in bytes.
    pub scattered: usize,
}

/// What is left to do.
#[derive(Debug)]
enum Task {
    Relay(Relay),
    Transfer(Transfer),
    Publish(Publish),
    Move(Move),
    Tell(Tell),
    SpreadPut(SpreadPut),
    SpreadTake(SpreadTake),
    SpreadPush(SpreadPush),
    BrowsePart(BrowsePart),
    Gather(Gather),
    Make(Make),
    Remove(Remove),
}

impl Errand {
    /// Takes the next step, with the answer to a question.
    fn heard<S>(&mut self, runner: &mut Runner<'_, S>, answer: Answer<'_>) -> Step {
        let Self { call, task } = self;
        match task {
            Task::Relay(relay) => relay.heard(runner, call, answer),
            Task::Transfer(transfer) => transfer.heard(runner, call, answer),
            Task::Publish(publish) => publish.heard(runner, call, answer),
            Task::Move(moving) => moving.heard(runner, call, answer),
            Task::Tell(tell) => tell.heard(runner, call),
            Task::SpreadPut(put) => put.heard(runner, call, answer),
            Task::SpreadTake(take) => take.heard(runner, call, answer),
            Task::SpreadPush(push) => push.heard(runner, call, answer),
            Task::BrowsePart(browse) => browse.heard(runner, call, answer),
            Task::Gather(gather) => gather.heard(runner, call, answer),
            Task::Make(make) => make.heard(runner, call, answer),
            Task::Remove(remove) => remove.heard(runner, call, answer),
        }
    }

    /// Takes the next step, after the commit that it waited for.
    fn committed<S>(&mut self, runner: &mut Runner<'_, S>) -> Step {
        let Self { call, task } = self;
        match task {
            Task::Transfer(transfer) => transfer.settle(runner, call),
            Task::Move(moving) => moving.settle(runner, call),
            _ => unreachable!("the others wait for no commit"),
        }
    }
}

/// What a task wants after a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// The next answer.
    Wait,
    /// To go on when everything that this shard has changed is committed.
    Commit,
    /// Nothing: it has replied.
    Done,
}

/// The answer to one of an errand's questions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer<'a> {
    /// The shard that answers.
    pub shard: usize,
    /// Which of the errand's questions, as the task numbered them.
    pub part: u32,
    /// The queue of a lease that it delivers, or 0.
    pub queue: u64,
    /// Whether it answers no question: what a subscription has brought.
    pub pushed: bool,
    /// The reply.
    pub frame: Frame<'a>,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    errand: Option<Errand>,
}

/// The errands of one shard, and the room in which they speak.
///
/// Invariant: `active` slots have an errand, at most `ERRANDS_MAX`, of which `idle` may only wait,
/// at most `IDLE_ERRANDS_MAX`. (While a task runs, its errand is out of its slot.)
#[derive(Debug, Default)]
pub struct Errands {
    slots: Vec<Slot>,
    free: Vec<u32>,
    active: usize,
    idle: usize,
    /// Bytes that publishes have scattered, under way or in this turn; and those of them whose
    /// publishes have ended.
    scattered: usize,
    spent: usize,
    /// Errands that go on when this shard has committed a change, oldest first.
    committing: VecDeque<(u64, u64)>,
    /// Replies to connections of this shard, as entries of a batch.
    home: Vec<u8>,
    /// Answers of this shard to its own questions, as entries of a batch.
    mail: Vec<u8>,
    /// Connections that need not wait for an errand any more, with its name.
    let_go: VecDeque<(u64, u64)>,
    /// Room that is reused: entries being read, a question to this shard, receipts being read.
    reading: Vec<u8>,
    question: Vec<u8>,
    cursors: Vec<Cursor>,
    runs: Vec<[u8; PUT_RUN_BYTES]>,
    spare: Vec<Vec<u8>>,
}

impl Errands {
    /// How many are under way.
    pub fn len(&self) -> usize {
        self.active
    }

    /// Whether none is under way.
    pub fn is_empty(&self) -> bool {
        self.active == 0
    }

    /// Whether a turn would find something to do for errands when so much is committed.
    #[inline]
    pub fn have_work(&self, committed: u64) -> bool {
        !self.home.is_empty()
            || !self.let_go.is_empty()
            || self.committing.front().is_some_and(|(position, _)| *position <= committed)
    }

    /// Whether another publish may store its records now.
    pub fn may_scatter(&self) -> bool {
        self.scattered < SCATTER_BYTES_MAX
    }

    /// Whether a publish that waits may go on in the next turn.
    #[inline]
    pub fn has_spent(&self) -> bool {
        self.spent > 0
    }

    /// A turn is over: what its publishes have done counts no longer.
    #[inline]
    pub fn end_turn(&mut self) {
        self.scattered -= std::mem::take(&mut self.spent);
    }

    fn is_full(&self, idles: bool) -> bool {
        self.active >= ERRANDS_MAX || idles && self.idle >= IDLE_ERRANDS_MAX
    }

    /// A name for a new errand, whose slot is its own until [`Errands::close`].
    fn open(&mut self, origin: Origin, kind: Kind) -> Call {
        self.active += 1;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            (self.slots.len() - 1) as u32
        });
        let generation = &mut self.slots[slot as usize].generation;
        *generation = ((*generation + 1) & GENERATION_MASK).max(1);
        let peer = ERRAND | u64::from(*generation) << 32 | u64::from(slot);
        let kept = Vec::new();
        Call {
            peer,
            origin,
            kind,
            promise: (0, false),
            open: 0,
            kept,
            holds: false,
            idles: false,
            scattered: 0,
        }
    }

    /// Takes an errand out of its slot, if a peer still names it.
    fn take(&mut self, peer: u64) -> Option<Errand> {
        let slot = &mut self.slots[peer as u32 as usize];
        let named = slot.generation == (peer >> 32) as u32 & GENERATION_MASK;
        slot.errand.take_if(|_| named)
    }

    /// Whether another errand makes something of a queue.
    fn makes(&self, queue: QueueId) -> bool {
        self.slots.iter().any(|slot| {
            let task = slot.errand.as_ref().map(|errand| &errand.task);
            matches!(task, Some(Task::Make(make)) if make.home() == queue)
        })
    }

    fn put_back(&mut self, errand: Errand) {
        let slot = errand.call.peer as u32;
        self.slots[slot as usize].errand = Some(errand);
    }

    /// Counts an errand among those that may only wait for messages.
    fn let_idle(&mut self, call: &mut Call) {
        call.idles = true;
        self.idle += 1;
    }

    /// Counts what an errand scatters: these records over so many queues.
    fn scatter(&mut self, call: &mut Call, queues: usize, bytes: usize) {
        call.scattered = queues * (bytes + SCATTER_QUEUE_BYTES);
        self.scattered += call.scattered;
    }

    /// Frees the slot of an errand that has ended; answers that come later find nobody.
    fn close(&mut self, mut call: Call) {
        self.let_go(&mut call);
        self.active -= 1;
        self.idle -= usize::from(call.idles);
        self.spent += call.scattered;
        self.free.push(call.peer as u32);
        let mut kept = call.kept;
        kept.clear();
        if (1..=ERRAND_BUFFER_BYTES_MAX).contains(&kept.capacity())
            && self.spare.len() < ERRAND_BUFFERS_MAX
        {
            self.spare.push(kept);
        }
    }

    /// Lets go of what the connection sends next: this errand touches nothing any more that order
    /// matters for.
    fn let_go(&mut self, call: &mut Call) {
        if std::mem::take(&mut call.holds) {
            self.let_go.push_back((call.origin.peer, call.peer));
        }
    }

    /// Lets go of what a connection sends next after a change of its subscription.
    fn let_go_of(&mut self, connection: u64, errand: u64) {
        self.let_go.push_back((connection, errand | CHANGING));
    }

    /// The errand of a connection's subscription, and the bytes of its credit, from the id that the
    /// client knows.
    pub fn subscription(&self, id: SubscriptionId, peer: u64) -> Option<(u64, u32)> {
        let slot = self.slots.get(id.slot() as usize)?;
        let Errand { call, task: Task::SpreadPush(push) } = slot.errand.as_ref()? else {
            return None;
        };
        let is_it = slot.generation == id.generation() && call.origin.peer == peer;
        Some((call.peer, push.credit_bytes()?)).filter(|_| is_it)
    }

    /// Memory for what a task keeps.
    fn keep(&mut self, call: &mut Call, bytes: &[u8]) {
        if call.kept.capacity() == 0 {
            call.kept = self.spare.pop().unwrap_or_default();
        }
        call.kept.extend_from_slice(bytes);
    }

    /// Memory for what a task keeps, byte by byte.
    fn keep_all(&mut self, call: &mut Call, bytes: impl Iterator<Item = u8>) {
        self.keep(call, &[]);
        call.kept.extend(bytes);
    }
}

#[cfg(test)]
mod tests;
