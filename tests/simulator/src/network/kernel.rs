//! One shard's ring as the kernel sees it: what was asked for, what is under way, what has
//! completed.
//!
//! An operation is under way from the moment a shard asks for it until its terminal completion is
//! handed out: before that the shard cannot know that it has ended. The rules that a shard must
//! keep are asserted here.

use std::collections::{BTreeMap, VecDeque};

use ringway_shards::limits::COMPLETIONS_PER_TURN_MAX;
use ringway_shards::world::{BufferSize, Completion, Outgoing, Token};

use super::buffers::Buffers;
use super::{Network, ServerEnd};
use crate::canary::Canary;
use crate::faults::Faults;
use ringway_checker::clients::ClientSide;

/// One shard's ring.
pub struct Kernel {
    /// Asked for since the last submit, in order.
    pub(super) asked: Vec<Ask>,
    pub(super) operations: Vec<Operation>,
    /// Cancels that were carried out; their own completions are not posted yet.
    pub(super) cancels: Vec<(Token, i32)>,
    pub(super) posted: VecDeque<Posted>,
    /// What ended sends were sending, until the shard takes it back.
    pub(super) returned: BTreeMap<u64, Outgoing>,
    pub(super) buffers: [Buffers; 2],
    /// Whether the shard sleeps or is about to, and has not been rung.
    pub(super) parked: bool,
    /// When a doorbell arrives that was rung.
    pub(super) doorbell_due_ns: Option<u64>,
}

pub(super) enum Ask {
    Start(Token),
    Cancel { target: Token, token: Token },
    CancelAll { connection: usize, token: Token },
    Close { connection: usize },
}

/// What an operation does.
#[derive(Debug)]
pub enum Work {
    /// Accepts on a listener.
    Accept { listener: usize },
    /// Receives from a connection into buffers of a group.
    Receive { connection: usize, size: BufferSize },
    /// Sends to a connection. `bytes` is what `outgoing` held when it was asked for.
    Send { connection: usize, outgoing: Outgoing, bytes: Vec<u8>, written: usize },
    /// The rest of a send that the planted bug said was done.
    Ghost { connection: usize, bytes: Vec<u8>, written: usize },
}

pub(super) struct Operation {
    pub token: Token,
    pub work: Work,
    pub stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// Not submitted yet.
    Asked,
    Running,
    /// A cancel found it: it ends with ECANCELED.
    Cancelled,
    /// A cancel met it at work: it ends soon, one way or the other.
    Ending,
    /// Its terminal completion is posted.
    Ended,
}

/// A completion that the shard has not seen yet, with the bytes that it announces.
pub struct Posted {
    pub completion: Completion,
    pub bytes: Vec<u8>,
}

impl Operation {
    /// Whether it works on this connection.
    pub fn is_on(&self, connection: usize) -> bool {
        self.connection() == Some(connection)
    }

    fn connection(&self) -> Option<usize> {
        match self.work {
            Work::Accept { .. } | Work::Ghost { .. } => None,
            Work::Receive { connection, .. } | Work::Send { connection, .. } => Some(connection),
        }
    }
}

impl Kernel {
    pub fn new(faults: &Faults) -> Self {
        let [small, large] = faults.buffers;
        Self {
            asked: Vec::new(),
            operations: Vec::new(),
            cancels: Vec::new(),
            posted: VecDeque::new(),
            returned: BTreeMap::new(),
            buffers: [
                Buffers::new(BufferSize::Small, small),
                Buffers::new(BufferSize::Large, large),
            ],
            parked: false,
            doorbell_due_ns: None,
        }
    }

    /// An operation on a connection that is under way, if there is one.
    pub fn uses(&self, connection: usize) -> Option<Token> {
        let mut operations = self.operations.iter();
        let of_it = operations.find(|operation| operation.is_on(connection));
        of_it.map(|operation| operation.token)
    }

    pub(super) fn group(&mut self, size: BufferSize) -> &mut Buffers {
        &mut self.buffers[size as usize]
    }
}

/// What a shard's world asks of its kernel.
impl Network {
    /// Starts an operation at the next submit.
    pub(crate) fn ask(&mut self, shard: usize, token: Token, work: Work) {
        if let Work::Receive { connection, .. } | Work::Send { connection, .. } = work {
            self.assert_open(shard, connection, token);
        }
        let kernel = &mut self.kernels[shard];
        for other in &kernel.operations {
            assert!(other.token != token, "shard {shard} names two operations {token:?}");
            let clash = match (&other.work, &work) {
                (Work::Accept { listener: one }, Work::Accept { listener: two }) => one == two,
                (Work::Send { connection: one, .. }, Work::Send { connection: two, .. }) => {
                    one == two
                }
                (Work::Receive { connection: one, .. }, Work::Receive { connection: two, .. }) => {
                    one == two
                }
                _ => false,
            };
            assert!(
                !clash,
                "shard {shard} asked for {token:?} while {:?} of the same kind was under way on \
                 the same socket: one at a time, and an ended one is re-armed exactly once",
                other.token
            );
        }
        kernel.operations.push(Operation { token, work, stage: Stage::Asked });
        kernel.asked.push(Ask::Start(token));
    }

    /// Starts a send at the next submit. The bytes are remembered, to see that nobody changes them.
    pub(crate) fn ask_send(
        &mut self,
        shard: usize,
        connection: usize,
        token: Token,
        outgoing: Outgoing,
    ) {
        let said_end = self.connections[connection].to_client.is_ending();
        assert!(!said_end, "shard {shard} sends {token:?} after it has shut its end down");
        let mut bytes: Vec<u8> = outgoing.slices().flatten().copied().collect();
        assert!(!bytes.is_empty(), "shard {shard} sends nothing with {token:?}");
        if let Some(canary) = self.canary {
            let once_in_five = self.chance.once_in(5);
            canary.tamper(&outgoing, &mut bytes, once_in_five);
        }
        self.ask(shard, token, Work::Send { connection, outgoing, bytes, written: 0 });
    }

    /// Cancels one operation at the next submit.
    pub(crate) fn ask_cancel(&mut self, shard: usize, target: Token, token: Token) {
        self.kernels[shard].asked.push(Ask::Cancel { target, token });
    }

    /// Cancels every operation of a connection at the next submit.
    pub(crate) fn ask_cancel_all(&mut self, shard: usize, connection: usize, token: Token) {
        self.assert_open(shard, connection, token);
        self.kernels[shard].asked.push(Ask::CancelAll { connection, token });
    }

    fn assert_open(&self, shard: usize, connection: usize, token: Token) {
        assert!(
            matches!(self.connections[connection].server, ServerEnd::Open(_)),
            "shard {shard} asked for {token:?} on connection {connection}, which is closed"
        );
    }

    /// Hands everything asked for to the kernel.
    pub(crate) fn submit(&mut self, shard: usize) {
        for ask in std::mem::take(&mut self.kernels[shard].asked) {
            match ask {
                Ask::Start(token) => {
                    let mut operations = self.kernels[shard].operations.iter_mut();
                    let started = operations.find(|operation| operation.token == token);
                    started.expect("an operation stays until it has ended").stage = Stage::Running;
                }
                Ask::Cancel { target, token } => self.cancel_one(shard, target, token),
                Ask::CancelAll { connection, token } => self.cancel_all(shard, connection, token),
                Ask::Close { connection } => self.close_server_end(connection),
            }
        }
    }

    /// Whether a reap would find something.
    pub(crate) fn pending(&self, shard: usize) -> bool {
        !self.kernels[shard].posted.is_empty()
    }

    /// What has completed, sometimes not all of it.
    pub(crate) fn reap(&mut self, shard: usize) -> Vec<Posted> {
        let posted = self.kernels[shard].posted.len().min(COMPLETIONS_PER_TURN_MAX);
        let short = posted > 1 && self.strikes(self.faults.short_reap, "short reaps");
        let count = if short { self.chance.between(1, posted as u64) as usize } else { posted };
        let reaped: Vec<Posted> = self.kernels[shard].posted.drain(..count).collect();
        for Posted { completion, .. } in &reaped {
            self.trace.completion(self.clock_ns, shard, completion);
            if !completion.more || self.canary == Some(Canary::IgnoreMore) {
                self.retire(shard, completion.token);
            }
        }
        reaped
    }

    /// Whether a shard's next turn has no time.
    pub(crate) fn is_slow(&mut self) -> bool {
        self.strikes(self.faults.slow_turn, "slow turns")
    }

    /// The shard has seen the end of an operation.
    fn retire(&mut self, shard: usize, token: Token) {
        let kernel = &mut self.kernels[shard];
        let ended =
            |operation: &Operation| operation.token == token && operation.stage == Stage::Ended;
        // A cancel's own completion has no operation.
        let Some(index) = kernel.operations.iter().position(ended) else { return };
        if let Work::Send { outgoing, bytes, .. } = kernel.operations.swap_remove(index).work {
            let now: Vec<u8> = outgoing.slices().flatten().copied().collect();
            let same = now == bytes || self.canary.is_some();
            assert!(same, "the bytes of {token:?} changed while they were being sent");
            kernel.returned.insert(token.0, outgoing);
        }
    }

    /// What an ended send was sending.
    pub(crate) fn take_back(&mut self, shard: usize, token: Token) -> Outgoing {
        self.kernels[shard].returned.remove(&token.0).unwrap_or_else(|| {
            panic!("shard {shard} takes back {token:?}, which has not completed, or a second time")
        })
    }

    pub(crate) fn give_back(&mut self, shard: usize, size: BufferSize, index: u16) {
        self.kernels[shard].group(size).give_back(index);
    }

    pub(crate) fn is_lent(&self, shard: usize, size: BufferSize, index: u16) -> bool {
        self.kernels[shard].buffers[size as usize].is_lent(index)
    }

    /// The socket that an accept's completion named.
    pub(crate) fn accepted(&mut self, shard: usize, number: usize) -> std::sync::Arc<()> {
        let connection = self.connections.get_mut(number);
        let named = connection.filter(|one| matches!(one.server, ServerEnd::Named));
        let Some(connection) = named else {
            panic!("shard {shard} asks for socket {number}, which no accept named, or twice");
        };
        let held = std::sync::Arc::new(());
        connection.server = ServerEnd::Open(held.clone());
        held
    }

    /// Closes a socket at the next submit, after what was asked for before.
    pub(crate) fn ask_close(&mut self, shard: usize, number: usize) {
        let open = matches!(self.connections[number].server, ServerEnd::Open(_));
        assert!(open, "connection {number} was closed twice");
        self.assert_unused(number);
        self.connections[number].server = ServerEnd::Closing;
        self.kernels[shard].asked.push(Ask::Close { connection: number });
    }

    /// Says the server's end of a connection.
    pub(crate) fn shut_down(&mut self, shard: usize, number: usize) {
        assert!(
            matches!(self.connections[number].server, ServerEnd::Open(_)),
            "shard {shard} shuts down connection {number}, which is closed"
        );
        for operation in &self.kernels[shard].operations {
            let sends =
                matches!(operation.work, Work::Send { connection, .. } if connection == number);
            let token = operation.token;
            assert!(!sends, "shard {shard} shuts connection {number} down under {token:?}");
        }
        let due_ns = self.due_ns();
        self.connections[number].to_client.end(due_ns);
        self.note("server shuts down connection", number);
    }

    /// A shard says that it is about to sleep, or that it is awake.
    pub fn set_parked(&mut self, shard: usize, parked: bool) {
        self.kernels[shard].parked = parked;
    }

    /// Rings a shard's doorbell if it has said that it sleeps; the first caller's ring serves for
    /// all.
    pub(crate) fn ring(&mut self, from: usize, shard: usize) {
        assert!(from != shard, "shard {shard} rings its own doorbell");
        if !std::mem::replace(&mut self.kernels[shard].parked, false) {
            return;
        }
        self.count("doorbells");
        if self.canary == Some(Canary::DoorbellLost) {
            return;
        }
        let late = self.strikes(self.faults.late_doorbell, "late doorbells");
        let way_ns = if late { self.chance.between(1, self.faults.doorbell_ns_max) } else { 0 };
        let due_ns = self.clock_ns + way_ns;
        let doorbell = &mut self.kernels[shard].doorbell_due_ns;
        *doorbell = Some(doorbell.map_or(due_ns, |earlier| earlier.min(due_ns)));
    }

    /// Takes note of a doorbell that has arrived.
    pub fn hear_doorbell(&mut self, shard: usize) -> bool {
        let doorbell = &mut self.kernels[shard].doorbell_due_ns;
        let heard = doorbell.is_some_and(|due_ns| due_ns <= self.clock_ns);
        if heard {
            *doorbell = None;
        }
        heard
    }

    /// Panics unless a shard has given back everything, at the end of a run.
    pub fn assert_nothing_held(&self, shard: usize) {
        let kernel = &self.kernels[shard];
        for group in &kernel.buffers {
            let lent = group.lent_count();
            assert!(lent == 0, "shard {shard} kept {lent} receive buffers: {group:?}");
        }
        let returned = kernel.returned.len();
        assert!(returned == 0, "shard {shard} did not take back what {returned} sends had sent");
        if let Some(Operation { token, work, .. }) = kernel.operations.first() {
            panic!("shard {shard} leaves {token:?} under way: {work:?}");
        }
    }
}
