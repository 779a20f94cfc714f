//! A listening socket becomes connections, here or on another shard; or a refusal with a reason.
//!
//! The plane's one address is accepted on by shard 0, which deals connections out in turn: the
//! spread is exact, not left to chance. A shard's own address is accepted on by that shard, which
//! keeps what arrives.

use crate::limits::ACCEPT_BACKOFF_NS;
use crate::path::connection::Connection;
use crate::path::connection::closing::{ConnectionTimer, Watch};
use crate::path::handoff::Handoff;
use crate::path::perform::DRAINING;
use crate::shard::{Life, Shard};
use crate::world::{Purpose, Token, World};
use ringway_protocol::{Code, Rejection};

/// The state of the listeners that a shard accepts on.
#[derive(Debug)]
pub struct Listeners {
    listeners: Vec<Listener>,
    /// The shard that gets the next connection of the shared listener.
    next_shard: usize,
}

#[derive(Debug)]
struct Listener {
    listener: u32,
    armed: bool,
    /// When to try again after an accept that failed for want of descriptors or memory.
    retry_at: Option<u64>,
}

impl Listeners {
    /// Listeners that no accept is armed on yet.
    pub fn new(listeners: &[u32]) -> Self {
        let idle = |listener: &u32| Listener { listener: *listener, armed: false, retry_at: None };
        Self { listeners: listeners.iter().map(idle).collect(), next_shard: 0 }
    }

    /// When an accept that failed is to be tried again.
    pub fn retry_at(&self) -> Option<u64> {
        self.listeners.iter().filter_map(|listener| listener.retry_at).min()
    }

    /// Whether any accept is under way.
    pub fn any_armed(&self) -> bool {
        self.listeners.iter().any(|listener| listener.armed)
    }
}

impl<W: World> Shard<W> {
    /// Acts on accepts that completed, and arms those that ended.
    pub(crate) fn accept(&mut self) {
        for index in 0..self.completions.len() {
            let completion = self.completions[index];
            if completion.token.purpose() != Some(Purpose::Accept) {
                continue;
            }
            let now_ns = self.performer.now.ns;
            let number = completion.token.slot();
            let known = self.listeners.listeners.iter_mut().find(|known| known.listener == number);
            let listener = known.expect("only known listeners are accepted on");
            if !completion.more {
                listener.armed = false;
            }
            if completion.result >= 0 {
                let socket = self.world.accepted(completion.result);
                self.deal(number, socket);
            } else if completion.result != -libc::ECANCELED {
                self.performer.stats().accept_errors.add(1);
                let exhausted = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
                if exhausted.contains(&-completion.result) {
                    // Trying at once would fail at once: leave the peers in the backlog for a
                    // while.
                    listener.retry_at = Some(now_ns + ACCEPT_BACKOFF_NS);
                }
            }
        }
        self.arm_accepts();
    }

    fn arm_accepts(&mut self) {
        if self.life >= Life::Stopping {
            return;
        }
        for listener in &mut self.listeners.listeners {
            if listener.retry_at.is_some_and(|retry_at| retry_at <= self.performer.now.ns) {
                listener.retry_at = None;
            }
            if !listener.armed && listener.retry_at.is_none() {
                listener.armed = true;
                let token = Token::new(Purpose::Accept, listener.listener, 0);
                self.world.accept(listener.listener, token);
            }
        }
    }

    /// Stops accepting; connections that were accepted meanwhile are still taken on.
    pub(crate) fn stop_accepting(&mut self) {
        for listener in &mut self.listeners.listeners {
            listener.retry_at = None;
            if listener.armed {
                let token = Token::new(Purpose::Accept, listener.listener, 0);
                self.world.cancel(token, Token::new(Purpose::Cancel, u32::MAX, 0));
            }
        }
    }

    fn deal(&mut self, listener: u32, socket: W::Socket) {
        if self.config.shared_listener == Some(listener) && self.life == Life::Serving {
            let shard = self.listeners.next_shard;
            self.listeners.next_shard = (shard + 1) % self.handoffs.shards();
            if shard != self.config.shard {
                self.handoffs.signal(shard, Handoff::Connection(socket));
                return;
            }
        }
        self.take_on(socket);
    }

    /// A socket becomes a connection of this shard, or gets a reason why not.
    pub(crate) fn take_on(&mut self, socket: W::Socket) {
        self.performer.stats().connections_accepted.add(1);
        let crowded = self.connections.len() >= self.config.connections_max;
        let slot = self.connections.insert(Connection::new(socket));
        self.performer.stats().connections.set(self.connections.len() as u64);
        let limit = std::time::Duration::from_millis(self.config.greeting_ms);
        self.watch(slot, Watch::Greeting, limit.as_nanos() as u64);
        self.rearming.push(slot);
        if crowded {
            let sentence = "the server has as many connections as it may have";
            self.part(slot, Some(Rejection::new(Code::TooManyConnections, sentence)));
        } else if self.life > Life::Serving {
            self.part(slot, Some(DRAINING));
        }
    }

    /// Arms a timer for the connection in a slot.
    pub(crate) fn watch(&mut self, slot: u32, watch: Watch, after_ns: u64) {
        let timer = ConnectionTimer { peer: self.connections.peer(slot), watch };
        self.timers.arm(self.performer.now.ns + after_ns, timer);
    }
}
