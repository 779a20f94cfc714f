//! The closing dance: last words, the peer's end, cancel, the last completion, close.
//!
//! A connection parts when the protocol was broken, the peer has ended or the plane goes down: what
//! it is owed is sent, our end is said, and the peer's end is awaited for a moment, since closing
//! with unread bytes would destroy the last words on their way. It closes when that is done:
//! everything under way is cancelled, and the slot is freed by the last terminal completion and
//! nothing earlier.

use crate::limits::CLOSED_PER_TURN_MAX;
use crate::path::connection::Phase;
use crate::path::handoff::Handoff;
use crate::path::perform::Performer;
use crate::shard::Shard;
use crate::world::{Purpose, World};
use ringway_protocol::{Code, Rejection};

/// Nanoseconds that a parting connection waits for the peer's end, or for replies from other
/// shards.
const LINGER_NS: u64 = 1_000_000_000;

/// What a connection's timer watches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Watch {
    /// That a greeting comes.
    Greeting,
    /// That the frame ends which was begun when so many rounds had been served.
    Frame(u64),
    /// That a parting connection does not stay.
    Parting,
    /// That the peer of a paused receive is still there.
    Paused,
}

/// A timer of a connection; it is late when the connection is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConnectionTimer {
    /// The connection.
    pub peer: u64,
    /// What for.
    pub watch: Watch,
}

impl<W: World> Shard<W> {
    /// Ends the service of a connection; with a reason, the peer is told.
    pub(crate) fn part(&mut self, slot: u32, why: Option<Rejection>) {
        let Some(connection) = self.connections.at(slot) else { return };
        if connection.phase >= Phase::Closing || connection.end_sent {
            return;
        }
        let first = connection.phase < Phase::Parting || connection.stall.is_some();
        connection.part(why);
        connection.stall = None;
        connection.inbox.forget(&mut self.spare_inboxes);
        if first {
            self.linger(slot);
        }
        self.forget_waits(slot);
        self.has_outcome(slot);
    }

    /// Sees to it that a parting connection does not stay for ever, and that its peer's end is
    /// heard.
    pub(crate) fn linger(&mut self, slot: u32) {
        self.watch(slot, Watch::Parting, LINGER_NS);
        self.rearming.push(slot);
    }

    /// The peer has said its last word: it gets what it is owed, but its waiting takes take
    /// nothing.
    pub(crate) fn end_of_peer(&mut self, slot: u32) {
        let Some(connection) = self.connections.at(slot) else { return };
        connection.end_seen = true;
        let behind = connection.is_behind();
        // Frames that wait behind an obstacle are still served, for as long as a parting lasts.
        if connection.stall.is_some() && connection.phase < Phase::Parting {
            self.linger(slot);
            self.forget_waits(slot);
            if behind {
                self.serve_kept(slot);
            }
        } else {
            self.part(slot, None);
        }
        self.has_outcome(slot);
    }

    /// What waits for a peer that is gone must take nothing; its subscriptions and held puts end.
    pub(super) fn forget_waits(&mut self, slot: u32) {
        let peer = self.connections.peer(slot);
        let Some(connection) = self.connections.at(slot) else { return };
        connection.waiting = 0;
        // Among the requests that have no answer may be puts that are held.
        let told = std::mem::take(&mut connection.asks_elsewhere) || connection.elsewhere > 0;
        let Performer { store, now, .. } = &mut self.performer;
        store.forget(self.config.shard as u8, peer, *now);
        if told {
            self.handoffs.tell_all(|| Handoff::Gone(peer));
        }
        self.end_idle_errands(slot);
    }

    /// Moves a parting connection on when it has been sent all that it is owed.
    pub(crate) fn part_further(&mut self, slot: u32) {
        let Some(connection) = self.connections.at(slot) else { return };
        if connection.phase != Phase::Parting || !connection.is_flushed() {
            return;
        }
        if connection.farewell.is_some() {
            // The timer says it without the replies if they do not come.
            if connection.elsewhere == 0 {
                connection.say_farewell();
                self.start_send(slot);
            }
            return;
        }
        if connection.end_seen && connection.elsewhere == 0 {
            self.close(slot);
        } else if !connection.end_sent && !connection.end_seen {
            connection.end_sent = true;
            self.world.shutdown(&connection.socket);
        }
    }

    /// Cancels everything under way; the last completion frees the slot.
    pub(crate) fn close(&mut self, slot: u32) {
        let Some(connection) = self.connections.at(slot) else { return };
        if connection.phase == Phase::Closing {
            return;
        }
        connection.phase = Phase::Closing;
        connection.stall = None;
        connection.inbox.forget(&mut self.spare_inboxes);
        if !connection.is_quiet() {
            let token = self.connections.token(Purpose::Cancel, slot);
            let connection = self.connections.at(slot).expect("it was there a moment ago");
            self.world.cancel_all(&connection.socket, token);
        }
        self.forget_waits(slot);
        self.close_if_quiet(slot);
    }

    /// Closes sockets of connections that are over, so many a turn: thousands may end together.
    pub(crate) fn close_sockets(&mut self) {
        let count = self.closing.len().min(CLOSED_PER_TURN_MAX);
        self.closing.drain(..count).for_each(|socket| self.world.close(socket));
    }

    /// Frees the slot of a closing connection once nothing is under way.
    pub(crate) fn close_if_quiet(&mut self, slot: u32) {
        let Some(connection) = self.connections.at(slot) else { return };
        if connection.phase != Phase::Closing || !connection.is_quiet() || connection.listed {
            return;
        }
        let connection = self.connections.remove(slot).expect("it was there a moment ago");
        self.closing.push_back(connection.socket);
        self.performer.stats().connections.set(self.connections.len() as u64);
    }

    /// Acts on a timer that has run out.
    pub(crate) fn timer_fired(&mut self, timer: ConnectionTimer) {
        let frame_ns = self.config.frame_ms * 1_000_000;
        let Some((slot, connection)) = self.connections.of_peer(timer.peer) else { return };
        let too_slow = |sentence| Some(Rejection::new(Code::TooSlow, sentence));
        match timer.watch {
            Watch::Greeting if connection.phase == Phase::Greeting => {
                self.part(slot, too_slow("no greeting came in time"));
            }
            Watch::Frame(frames) => {
                connection.frame_watched = false;
                let same = connection.frames == frames && connection.stall.is_none();
                if !connection.inbox.is_empty() && same {
                    self.part(slot, too_slow("a frame that was begun did not end in time"));
                } else if !connection.inbox.is_empty() {
                    connection.frame_watched = true;
                    let frames = connection.frames;
                    self.watch(slot, Watch::Frame(frames), frame_ns);
                }
            }
            Watch::Parting if connection.farewell.is_some() => {
                connection.say_farewell();
                self.watch(slot, Watch::Parting, LINGER_NS);
                self.has_outcome(slot);
            }
            Watch::Parting if connection.phase == Phase::Parting || connection.end_seen => {
                self.close(slot);
            }
            Watch::Paused if connection.stall.is_some() => self.look_for_peer(slot),
            Watch::Greeting | Watch::Parting | Watch::Paused => {}
        }
    }
}
