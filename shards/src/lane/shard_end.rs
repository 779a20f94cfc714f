//! The shard's side of lanes, and of the commands that the process gives.

use super::{LaneReply, LaneRequest};
use crate::limits::{LANE_SLOTS, TAKE_BYTES_DEFAULT};
use crate::machine::doorbell::Doorbell;
use crate::path::origin::Origin;
use crate::path::perform::Performer;
use crate::shard::Shard;
use crate::world::World;
use ringway_protocol::request::Take;
use ringway_protocol::{GroupId, QueueId, Records, Rejection};
use rtrb::{Consumer, Producer, RingBuffer};
use std::collections::VecDeque;
use std::sync::Arc;

/// What the process around the shards tells one of them.
#[derive(Debug)]
pub enum Command {
    /// A thread wants a lane.
    Lane(LaneEnd),
    /// No new connections, no puts.
    Drain,
    /// Close everything and end.
    Stop,
}

/// The shard's ends of a lane's rings.
#[derive(Debug)]
pub struct LaneEnd {
    from: Consumer<LaneRequest>,
    to: Producer<LaneReply>,
    bell: Arc<Doorbell>,
    /// Replies with the change that they depend on, oldest first.
    held: VecDeque<(u64, LaneReply)>,
    left: bool,
    /// Its name among those who ask of its shard.
    peer: u64,
}

/// Set in the name of a lane as a peer; no connection's and no errand's is alike.
const LANE: u64 = 1 << 62;

impl LaneEnd {
    pub(super) fn new(
        from: Consumer<LaneRequest>,
        to: Producer<LaneReply>,
        bell: Arc<Doorbell>,
    ) -> Self {
        Self { from, to, bell, held: VecDeque::with_capacity(LANE_SLOTS), left: false, peer: LANE }
    }
}

impl Drop for LaneEnd {
    fn drop(&mut self) {
        // A thread that sleeps for an answer must see that none will come, so its ring goes before
        // the bell.
        let (gone, _) = RingBuffer::new(1);
        drop(std::mem::replace(&mut self.to, gone));
        self.bell.ring();
    }
}

/// The lanes of a shard, and the ring that brings commands.
#[derive(Debug, Default)]
pub struct Lanes {
    lanes: Vec<LaneEnd>,
    commands: Option<Consumer<Command>>,
    /// How many lanes there have been.
    made: u64,
}

impl Lanes {
    /// Lanes to come through a ring of commands.
    pub fn new(commands: Consumer<Command>) -> Self {
        Self { lanes: Vec::new(), commands: Some(commands), made: 0 }
    }

    /// Whether a lane or the process asks for something.
    #[inline]
    pub fn have_arrivals(&self) -> bool {
        self.lanes.iter().any(|lane| !lane.from.is_empty() || !lane.held.is_empty())
            || self.commands.as_ref().is_some_and(|commands| !commands.is_empty())
    }
}

impl<W: World> Shard<W> {
    /// Carries out what commands and lanes ask for.
    #[inline]
    pub(crate) fn serve_lanes(&mut self) {
        if !self.lanes.have_arrivals() {
            return;
        }
        while let Some(command) = self.lanes.commands.as_mut().and_then(|ring| ring.pop().ok()) {
            self.worked(1);
            match command {
                Command::Lane(mut end) => {
                    self.lanes.made += 1;
                    end.peer = LANE | self.lanes.made;
                    self.lanes.lanes.push(end);
                }
                Command::Drain => self.drain(),
                Command::Stop => self.stop(),
            }
        }
        let Self { lanes, performer, .. } = self;
        let mut served = 0;
        for lane in &mut lanes.lanes {
            served += lane.serve(performer);
        }
        if served > 0 {
            let shard = performer.shard as u8;
            for lane in lanes.lanes.extract_if(.., |lane| lane.left) {
                performer.store.forget(shard, lane.peer, performer.now);
            }
            self.worked(served);
        }
    }
}

impl LaneEnd {
    /// Carries out what has arrived, and answers what is committed by now; returns how much
    /// arrived.
    #[inline]
    fn serve(&mut self, performer: &mut Performer) -> usize {
        let mut served = 0;
        while served < LANE_SLOTS
            && let Ok(request) = self.from.pop()
        {
            served += 1;
            match perform(performer, self.peer, request) {
                Some(reply) => self.held.push_back((performer.journal.appended(), reply)),
                None => self.left = true,
            }
        }
        performer.stats().requests.add(served as u64);
        performer.journal.commit();
        let committed = performer.journal.committed();
        let mut answered = false;
        while let Some((_, reply)) = self.held.pop_front_if(|(position, _)| *position <= committed)
        {
            self.to.push(reply).expect("a lane has no more requests than its rings have slots");
            answered = true;
        }
        if answered {
            self.bell.ring_if_parked();
        }
        served
    }
}

/// Carries out one request; `None` if the lane leaves.
#[inline]
fn perform(performer: &mut Performer, peer: u64, request: LaneRequest) -> Option<LaneReply> {
    Some(match request {
        LaneRequest::EnqueueShort { queue, length, record } => {
            let put = Records::parse(&record[..usize::from(length)], 1)
                .and_then(|records| performer.enqueue(queue, records));
            match put {
                Ok(first_sequence) => LaneReply::Enqueued { first_sequence, buffer: Vec::new() },
                Err(why) => refuse(performer, why, Vec::new()),
            }
        }
        LaneRequest::Enqueue { queue, count, buffer } => {
            fetch(&buffer);
            let put = Records::parse(&buffer, count)
                .and_then(|records| performer.enqueue(queue, records));
            match put {
                Ok(first_sequence) => LaneReply::Enqueued { first_sequence, buffer },
                Err(why) => refuse(performer, why, buffer),
            }
        }
        LaneRequest::Dequeue { queue, messages_max, buffer } => {
            dequeue(performer, peer, (queue, messages_max), buffer)
                .unwrap_or_else(|(why, buffer)| refuse(performer, why, buffer))
        }
        LaneRequest::Declare { name, options } => {
            let declared = performer.declare(&name, options);
            match declared {
                Ok((queue, _)) => LaneReply::Declared(queue),
                Err(why) => refuse(performer, why, Vec::new()),
            }
        }
        LaneRequest::Leave => return None,
    })
}

/// Brings a buffer that another core has filled into this core's cache, many lines at a time.
/// Walking its records does that one line after another, since each record's length says where the
/// next is.
#[inline]
fn fetch(buffer: &[u8]) {
    std::hint::black_box(buffer.iter().step_by(CACHE_LINE_BYTES).fold(0, |sum, byte| sum ^ byte));
}

const CACHE_LINE_BYTES: usize = 64;

fn refuse(performer: &Performer, why: Rejection, buffer: Vec<u8>) -> LaneReply {
    performer.stats().refused.add(1);
    LaneReply::Refused { why, buffer }
}

fn dequeue(
    performer: &mut Performer,
    peer: u64,
    (queue, messages_max): (QueueId, u32),
    mut buffer: Vec<u8>,
) -> Result<LaneReply, (Rejection, Vec<u8>)> {
    let take = Take {
        queue,
        messages_max: messages_max.max(1),
        bytes_max: TAKE_BYTES_DEFAULT as u32,
        wait_ms: 0,
        lease_ms: 0,
        group: GroupId::DEFAULT,
        acknowledged: true,
    };
    let lane = Origin { shard: performer.shard as u8, peer, stream: 0, request: 0 };
    match performer.dequeue(&take, lane) {
        Ok(taken) => {
            taken.runs.drain(..).for_each(|run| buffer.extend_from_slice(&run.slice));
            Ok(LaneReply::Dequeued { count: taken.count, buffer })
        }
        Err(why) => Err((why, buffer)),
    }
}
