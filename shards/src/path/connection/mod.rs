//! One peer: what it has sent, what it is owed, and how far its end has come.

pub mod closing;
mod incoming;
mod pausing;
mod pushes;
mod slots;

pub use slots::Connections;

use crate::limits::{OUTBOUND_BYTES_MAX, OUTBOUND_BYTES_RESUME, REQUESTS_IN_FLIGHT_MAX};
use crate::path::decode::Inbox;
use crate::path::errand::holds::Holds;
use crate::path::queue::TokenBucket;
use crate::world::{BufferSize, Outgoing};
use ringway_protocol::{Code, Kind, Rejection, reply};
use std::collections::VecDeque;

/// How far a connection has come; it only moves down this list.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Phase {
    /// Nothing is served but a greeting.
    Greeting,
    /// Requests are served.
    Ready,
    /// No more requests: what it is owed is sent, what still arrives is dropped.
    Parting,
    /// Everything under way is being cancelled; the slot is freed after the last completion.
    Closing,
}

/// The state of a connection's receive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Receiving {
    /// No receive is under way; one is to be armed unless the connection is stalled.
    Ended,
    /// The kernel is receiving.
    Armed,
    /// A cancel was asked for; late data is still taken in until the terminal completion.
    CancelAsked,
    /// Cancelled, to be armed again when the connection goes on.
    Paused,
}

/// Why a connection's next frame has to wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stall {
    /// The peer does not read what it is owed.
    Outbound,
    /// Too many of its requests are not answered yet.
    InFlight,
    /// The ring to this shard is full.
    Handoff(usize),
    /// This turn has stored as much for publishes as a turn may.
    Scattered,
    /// An errand of an earlier request has to touch the same queue first.
    Errand,
}

/// One peer.
#[derive(Debug)]
pub struct Connection<S> {
    /// Where it came from.
    pub socket: S,
    /// How far it has come.
    pub phase: Phase,
    /// The state of its receive.
    pub receiving: Receiving,
    /// Which buffers it receives into.
    pub buffer_size: BufferSize,
    /// Completions in a row that speak for the other size of buffers.
    pub misfits: u8,
    /// Bytes that are not consumed yet.
    pub inbox: Inbox,
    /// Why the first frame in the inbox waits.
    pub stall: Option<Stall>,
    /// Frames served; tells a frame that was begun long ago from a busy peer.
    pub frames: u64,
    /// Whether a timer watches the frame that was begun.
    pub frame_watched: bool,
    /// Replies to send next.
    pub outbox: Outgoing,
    /// The change that the replies in the outbox depend on.
    pub outbox_position: u64,
    /// Replies whose changes are not committed yet, oldest first.
    pub held: VecDeque<(u64, Outgoing)>,
    /// Bytes being sent or held.
    pub owed: usize,
    /// Whether a send is under way: never two.
    pub sending: bool,
    /// Whether it stands in its shard's list of those with something to send.
    pub listed: bool,
    /// Its takes and held puts that wait on this shard.
    pub waiting: u32,
    /// Its requests that other shards, or errands, have not answered.
    pub elsewhere: u32,
    /// Bytes of replies promised to its waiting takes and subscriptions, here and elsewhere.
    ///
    /// Invariant: promised <= WAIT_BYTES_MAX.
    pub promised: usize,
    /// Bytes of replies expected by its takes elsewhere that do not wait.
    pub expected: usize,
    /// Whether it has ever taken or subscribed at other shards, which may keep something for it.
    pub asks_elsewhere: bool,
    /// Whether nothing is pushed to it until it has read.
    pub pushes_held: bool,
    /// What errands of its requests will still touch.
    pub holds: Holds,
    /// What it may put by now, where the plane limits that.
    pub pace: Option<Box<TokenBucket>>,
    /// Whether the first frame in the inbox was counted in that.
    pub counted: bool,
    /// What the goodbye will say, when what other shards still answer has come.
    pub farewell: Option<Rejection>,
    /// Whether a goodbye was written: nothing follows it.
    pub last_words: bool,
    /// Whether the peer has said its last word.
    pub end_seen: bool,
    /// Whether ours has been said.
    pub end_sent: bool,
}

impl<S> Connection<S> {
    /// A peer that has not said anything yet.
    pub fn new(socket: S) -> Self {
        Self {
            socket,
            phase: Phase::Greeting,
            receiving: Receiving::Ended,
            buffer_size: BufferSize::Small,
            misfits: 0,
            inbox: Inbox::default(),
            stall: None,
            frames: 0,
            frame_watched: false,
            outbox: Outgoing::default(),
            outbox_position: 0,
            held: VecDeque::new(),
            owed: 0,
            sending: false,
            listed: false,
            waiting: 0,
            elsewhere: 0,
            promised: 0,
            expected: 0,
            holds: Holds::default(),
            pace: None,
            counted: false,
            farewell: None,
            last_words: false,
            asks_elsewhere: false,
            pushes_held: false,
            end_seen: false,
            end_sent: false,
        }
    }

    /// Whether the next frame has to wait for the peer to read, or for answers.
    #[inline]
    pub fn must_wait(&self) -> Option<Stall> {
        let limit = match self.stall {
            Some(Stall::Outbound) => OUTBOUND_BYTES_RESUME,
            _ => OUTBOUND_BYTES_MAX,
        };
        if self.owed + self.outbox.len() >= limit {
            Some(Stall::Outbound)
        } else if self.waiting + self.elsewhere >= REQUESTS_IN_FLIGHT_MAX {
            Some(Stall::InFlight)
        } else {
            None
        }
    }

    /// Whether its next frame waits for something that the peer or an answer brings.
    #[inline]
    pub fn is_behind(&self) -> bool {
        matches!(self.stall, Some(Stall::Outbound | Stall::InFlight))
    }

    /// Serves nothing any more. The last words follow when it expects no replies from elsewhere.
    pub fn part(&mut self, why: Option<Rejection>) {
        if self.phase >= Phase::Parting {
            return;
        }
        self.phase = Phase::Parting;
        self.farewell = why;
        if self.elsewhere == 0 {
            self.say_farewell();
        }
    }

    /// Queues the server's last words, if there are any to come.
    pub fn say_farewell(&mut self) {
        if let Some(why) = self.farewell.take() {
            debug_assert!(why.code != Code::Ok);
            self.last_words = true;
            reply::refused(&mut self.outbox.bytes, Kind::Goodbye, (0, 0), why);
        }
    }

    /// Whether everything that it is owed has been sent.
    pub fn is_flushed(&self) -> bool {
        !self.sending && self.outbox.is_empty() && self.held.is_empty()
    }

    /// Whether no operation is under way that could still complete.
    pub fn is_quiet(&self) -> bool {
        !self.sending && matches!(self.receiving, Receiving::Ended | Receiving::Paused)
    }

    /// Lends it memory for replies, if it has none. What was sent, or was not needed, goes back.
    #[inline]
    pub fn open_outbox(&mut self, spare: &mut Vec<Outgoing>) {
        if self.outbox.bytes.capacity() == 0
            && let Some(outgoing) = spare.pop()
        {
            self.outbox = outgoing;
        }
    }

    /// Moves replies whose changes are committed to the front; returns what can be sent now.
    ///
    /// In memory every change is committed by now and the outbox itself is returned.
    pub fn release(&mut self, committed: u64) -> Option<Outgoing> {
        if !self.outbox.is_empty() && (self.outbox_position > committed || !self.held.is_empty()) {
            let outgoing = std::mem::take(&mut self.outbox);
            self.owed += outgoing.len();
            self.held.push_back((self.outbox_position, outgoing));
        }
        if let Some((position, _)) = self.held.front() {
            if *position > committed {
                return None;
            }
            let (_, outgoing) = self.held.pop_front().expect("the front was looked at");
            self.owed -= outgoing.len();
            return Some(outgoing);
        }
        (!self.outbox.is_empty()).then(|| std::mem::take(&mut self.outbox))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_wait_for_their_commit_and_keep_their_order() {
        let mut connection = Connection::new(());
        connection.outbox.bytes.extend_from_slice(b"first");
        connection.outbox_position = 5;
        assert!(connection.release(4).is_none(), "not committed yet");
        connection.outbox.bytes.extend_from_slice(b"second");
        connection.outbox_position = 9;
        assert!(connection.release(4).is_none());
        assert!(!connection.is_flushed());
        let bytes = |outgoing: Option<Outgoing>| outgoing.map(|outgoing| outgoing.bytes);
        assert_eq!(bytes(connection.release(5)), Some(b"first".to_vec()));
        assert!(connection.release(8).is_none());
        assert_eq!(bytes(connection.release(9)), Some(b"second".to_vec()));
        assert_eq!(connection.owed, 0);
        assert!(connection.is_flushed());
    }

    #[test]
    fn a_slow_reader_stops_at_the_limit_and_goes_on_at_half() {
        let mut connection = Connection::new(());
        connection.owed = OUTBOUND_BYTES_MAX;
        connection.stall = connection.must_wait();
        assert_eq!(connection.stall, Some(Stall::Outbound));
        connection.owed = OUTBOUND_BYTES_MAX - 1;
        assert_eq!(connection.must_wait(), Some(Stall::Outbound), "hysteresis");
        connection.owed = OUTBOUND_BYTES_RESUME - 1;
        assert_eq!(connection.must_wait(), None);
    }
}
