//! The world against real sockets on loopback. What a shard can see must be the same however the
//! world receives, so the same tests run in every [`ReceiveMode`].

mod echo;
mod faults;
mod park;
mod receive;
mod send;

use super::*;
use crate::machine::listeners::ListenerOptions;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const MODES: [ReceiveMode; 3] =
    [ReceiveMode::Multishot, ReceiveMode::SingleShot, ReceiveMode::Readiness];
const PATIENCE: Duration = Duration::from_secs(20);

/// Small rings and buffers, so that their ends are met.
fn small_config(receive: ReceiveMode) -> LinuxConfig {
    LinuxConfig {
        submission_entries: 16,
        completion_entries: 64,
        small_buffers: 8,
        small_buffer_bytes: 1024,
        large_buffers: 2,
        large_buffer_bytes: 16 << 10,
        receive,
    }
}

/// A world with one listener, driven by the test itself.
struct Stage {
    world: LinuxWorld,
    address: SocketAddr,
    completions: Vec<Completion>,
}

impl Stage {
    fn new(config: &LinuxConfig) -> Self {
        Self::with_options(config, &ListenerOptions::default())
    }

    fn with_options(config: &LinuxConfig, options: &ListenerOptions) -> Self {
        let doorbell = Arc::new(Doorbell::new().expect("a descriptor is left"));
        let any = "127.0.0.1:0".parse().expect("an address");
        let listener = Listener::bind(any, options).expect("loopback is there");
        let address = listener.address();
        let world = LinuxWorld::new(config, 0, vec![doorbell], vec![listener])
            .expect("this kernel can do everything");
        Self { world, address, completions: Vec::new() }
    }

    /// One pass: hands over what was asked for, and returns what has completed.
    fn turn(&mut self) -> Vec<Completion> {
        self.world.submit();
        self.world.reap(&mut self.completions);
        std::mem::take(&mut self.completions)
    }

    /// Turns until a completion of this token arrives, which is returned; others are dropped.
    fn wait_for(&mut self, token: Token) -> Completion {
        let mut found = self.wait_for_all(&[token]);
        found.pop().expect("one was asked for")
    }

    /// As [`Self::wait_for`], for one completion of each token, in the order of arrival.
    fn wait_for_all(&mut self, tokens: &[Token]) -> Vec<Completion> {
        let (started, mut found) = (Instant::now(), Vec::<Completion>::new());
        while found.len() < tokens.len() {
            assert!(started.elapsed() < PATIENCE, "only {found:?} of {tokens:?} have completed");
            for completion in self.turn() {
                let is_new = found.iter().all(|f| f.token != completion.token);
                if tokens.contains(&completion.token) && is_new {
                    found.push(completion);
                }
            }
        }
        found
    }

    /// Turns until nothing has arrived for a while.
    fn settle(&mut self) -> Vec<Completion> {
        let (mut since, mut all) = (Instant::now(), Vec::new());
        while since.elapsed() < Duration::from_millis(50) {
            let new = self.turn();
            if !new.is_empty() {
                since = Instant::now();
            }
            all.extend(new);
        }
        all
    }

    /// A connection: the client's end and ours. The accept asked for it ends with it.
    fn connect(&mut self) -> (TcpStream, LinuxSocket) {
        let accept = Token::new(Purpose::Accept, 0, 0);
        self.world.accept(0, accept);
        let client = TcpStream::connect(self.address).expect("it listens");
        client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let accepted = self.wait_for(accept);
        assert!(accepted.result >= 0, "accepting failed: {accepted:?}");
        let socket = self.world.accepted(accepted.result);
        if accepted.more {
            self.world.cancel(accept, Token::new(Purpose::Cancel, 0, 0));
            let end = self.wait_for(accept);
            assert_eq!((end.result, end.more), (-libc::ECANCELED, false));
        }
        (client, socket)
    }
}

fn receive_token(slot: u32) -> Token {
    Token::new(Purpose::Receive, slot, 7)
}

fn send_token(slot: u32) -> Token {
    Token::new(Purpose::Send, slot, 7)
}

/// Bytes that show where they came from and that none is missing.
fn pattern(seed: usize, length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 + at / 251 + seed * 7) as u8).collect()
}
