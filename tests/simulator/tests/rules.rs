//! The simulated kernel itself: what it does when asked properly, and that it catches each broken
//! rule with a sentence.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use ringway_checker::chance::{Chance, Rate};
use ringway_checker::clients::{ClientSide, Read};
use ringway_shards::world::{BufferSize, Completion, Outgoing, Purpose, Token, World};
use ringway_simulator::faults::Faults;
use ringway_simulator::network::Network;
use ringway_simulator::trace::Trace;
use ringway_simulator::world::{SimSocket, SimWorld};

const RECEIVE: Token = Token((Purpose::Receive as u64) << 56);
const SEND: Token = Token((Purpose::Send as u64) << 56);
const CANCEL: Token = Token((Purpose::Cancel as u64) << 56);
const ACCEPT: Token = Token((Purpose::Accept as u64) << 56);
const ALWAYS: Rate = Rate(1_000_000);

/// One shard's world with one connection.
struct Rig {
    network: Rc<RefCell<Network>>,
    world: SimWorld,
    socket: SimSocket,
    client: usize,
}

impl Rig {
    fn new(faults: Faults) -> Self {
        let network = Network::new((2, 1), faults, Chance::new(1), Trace::new(false));
        let network = Rc::new(RefCell::new(network));
        let mut world = SimWorld::new(network.clone(), 0, vec![0]);
        world.accept(0, ACCEPT);
        world.submit();
        let client = network.borrow_mut().connect(0).expect("an empty backlog");
        let mut completions = Vec::new();
        while completions.is_empty() {
            network.borrow_mut().progress(0);
            world.reap(&mut completions);
        }
        let socket = world.accepted(completions[0].result);
        Self { network, world, socket, client }
    }

    fn client_sends(&mut self, bytes: &[u8]) {
        let mut network = self.network.borrow_mut();
        assert_eq!(network.write(self.client, bytes), bytes.len());
        network.advance(1_000_000);
    }

    /// Submits and lets the kernel work until nothing more completes.
    fn completions(&mut self) -> Vec<Completion> {
        self.world.submit();
        let mut completions = Vec::new();
        for _ in 0..50 {
            self.network.borrow_mut().advance(10_000);
            self.network.borrow_mut().progress(0);
            self.world.reap(&mut completions);
        }
        completions
    }

    fn send(&mut self, bytes: &[u8]) {
        let outgoing = Outgoing { bytes: bytes.to_vec(), ..Outgoing::default() };
        self.world.send(&self.socket, SEND, outgoing);
    }
}

/// Asserts that an act is refused with a sentence that contains these words.
fn refuses(words: &str, act: impl FnOnce(Rig)) {
    let rig = Rig::new(Faults::none());
    let panic = catch_unwind(AssertUnwindSafe(|| act(rig))).expect_err(words);
    let sentence = panic.downcast_ref::<String>().expect("a sentence with its facts");
    assert!(sentence.contains(words), "{sentence:?} does not say {words:?}");
}

#[test]
fn bytes_arrive_and_are_given_back_once() {
    let mut rig = Rig::new(Faults::none());
    rig.world.receive(&rig.socket, RECEIVE, BufferSize::Small);
    rig.client_sends(b"hello");
    let completions = rig.completions();
    assert_eq!(completions.len(), 1);
    let Completion { result, more, buffer, .. } = completions[0];
    assert_eq!((result, more), (5, true));
    let buffer = buffer.expect("bytes come in a buffer");
    assert_eq!(rig.world.received(buffer, 5), b"hello");
    rig.world.give_back(buffer);
    rig.network.borrow_mut().close(rig.client);
    rig.network.borrow_mut().advance(1_000_000);
    let end = rig.completions();
    assert_eq!((end[0].result, end[0].more, end[0].buffer), (0, false, None));
}

#[test]
fn a_send_is_given_back_when_it_has_completed() {
    let mut rig = Rig::new(Faults::none());
    rig.send(b"reply");
    let completions = rig.completions();
    assert_eq!((completions[0].token, completions[0].result), (SEND, 5));
    assert_eq!(rig.world.take_back(SEND).bytes, b"reply");
    assert_eq!(rig.network.borrow_mut().read(rig.client, 99), Read::Bytes(b"reply".to_vec()));
}

#[test]
fn without_buffers_a_receive_ends_and_no_byte_is_lost() {
    let mut rig = Rig::new(Faults { buffers: [(1, 4), (1, 4)], ..Faults::none() });
    rig.world.receive(&rig.socket, RECEIVE, BufferSize::Small);
    rig.client_sends(b"12345678");
    let completions = rig.completions();
    let results: Vec<i32> = completions.iter().map(|completion| completion.result).collect();
    assert_eq!(results, [4, -105]);
    let first = completions[0].buffer.expect("the only one");
    rig.world.give_back(first);
    rig.world.receive(&rig.socket, RECEIVE, BufferSize::Small);
    let rest = rig.completions();
    let buffer = rest[0].buffer.expect("the same one again");
    assert_eq!(rig.world.received(buffer, 4), b"5678");
}

#[test]
fn a_cancelled_operation_ends_exactly_once_whatever_the_race() {
    for seed in 0..50 {
        let race = if seed % 2 == 0 { ALWAYS } else { Rate::NEVER };
        let mut rig = Rig::new(Faults { cancel_race: race, ..Faults::none() });
        // Other choices of the same kernel: spend some of them.
        (0..seed).for_each(|_| rig.network.borrow_mut().progress(0));
        rig.world.receive(&rig.socket, RECEIVE, BufferSize::Small);
        rig.client_sends(b"late");
        rig.world.submit();
        rig.world.cancel(RECEIVE, CANCEL);
        let completions = rig.completions();
        let of = |token| completions.iter().filter(move |completion| completion.token == token);
        assert_eq!(of(RECEIVE).filter(|completion| !completion.more).count(), 1);
        assert_eq!(of(CANCEL).count(), 1);
        let result = of(CANCEL).next().expect("there is one").result;
        assert!([0, -2, -114].contains(&result), "{result}");
    }
}

#[test]
fn the_rules_of_the_ring_are_kept_or_named() {
    refuses("one at a time", |mut rig| {
        rig.send(b"one");
        let outgoing = Outgoing { bytes: b"two".to_vec(), ..Outgoing::default() };
        rig.world.send(&rig.socket, Token(SEND.0 + 1), outgoing);
    });
    refuses("re-armed exactly once", |mut rig| {
        rig.world.receive(&rig.socket, RECEIVE, BufferSize::Small);
        rig.world.receive(&rig.socket, Token(RECEIVE.0 + 1), BufferSize::Small);
    });
    refuses("names two operations", |mut rig| {
        rig.world.accept(0, Token(ACCEPT.0));
    });
    refuses("given back twice", |mut rig| {
        rig.world.receive(&rig.socket, RECEIVE, BufferSize::Small);
        rig.client_sends(b"hello");
        let buffer = rig.completions()[0].buffer.expect("bytes come in a buffer");
        rig.world.give_back(buffer);
        rig.world.give_back(buffer);
    });
    refuses("which it has given back", |mut rig| {
        rig.world.receive(&rig.socket, RECEIVE, BufferSize::Small);
        rig.client_sends(b"hello");
        let buffer = rig.completions()[0].buffer.expect("bytes come in a buffer");
        rig.world.give_back(buffer);
        rig.world.received(buffer, 5);
    });
    refuses("wait for the terminal completion", |mut rig| {
        rig.world.receive(&rig.socket, RECEIVE, BufferSize::Small);
        rig.world.submit();
        rig.world.close(rig.socket);
    });
    refuses("which has not completed", |mut rig| {
        rig.send(b"one");
        rig.world.submit();
        rig.world.take_back(SEND);
    });
    refuses("after it has shut its end down", |mut rig| {
        rig.world.shutdown(&rig.socket);
        rig.send(b"more");
    });
    refuses("which no accept named", |mut rig| drop(rig.world.accepted(0)));
    refuses("rings its own doorbell", |mut rig| rig.world.ring_doorbell(0));
    refuses("kept 1 receive buffers", |mut rig| {
        rig.world.receive(&rig.socket, RECEIVE, BufferSize::Small);
        rig.client_sends(b"hello");
        rig.completions();
        rig.network.borrow().assert_nothing_held(0);
    });
    refuses("under way", |rig| rig.network.borrow().assert_nothing_held(0));
}

#[test]
fn a_dropped_socket_is_closed() {
    let rig = Rig::new(Faults::none());
    let Rig { network, socket, client, .. } = rig;
    drop(socket);
    network.borrow_mut().advance(1_000_000);
    network.borrow_mut().advance(1_000_000);
    assert_eq!(network.borrow_mut().read(client, 1), Read::End { excused: false });
}
