//! What a shard sees of receiving: ends, resets, groups that run dry (FAULTS.md rows 14, 23, 24).

use super::*;
use std::io::Write;

/// Receives from some connections until each has got so many bytes, asking again whenever a receive
/// ends. It keeps buffers as long as it can: until a receive ends for want of one.
struct Collector {
    stage: Stage,
    sockets: Vec<LinuxSocket>,
    received: Vec<Vec<u8>>,
    kept: Vec<BufferId>,
    exhausted: usize,
}

impl Collector {
    fn new(stage: Stage, sockets: Vec<LinuxSocket>) -> Self {
        let received = vec![Vec::new(); sockets.len()];
        Self { stage, sockets, received, kept: Vec::new(), exhausted: 0 }
    }

    fn arm(&mut self, slot: usize) {
        let token = receive_token(slot as u32);
        self.stage.world.receive(&self.sockets[slot], token, BufferSize::Small);
    }

    fn give_back_all(&mut self) {
        for buffer in self.kept.drain(..) {
            self.stage.world.give_back(buffer);
        }
    }

    fn run(&mut self, bytes: usize) {
        let started = Instant::now();
        (0..self.sockets.len()).for_each(|slot| self.arm(slot));
        while self.received.iter().any(|received| received.len() < bytes) {
            assert!(started.elapsed() < PATIENCE, "{} times dry", self.exhausted);
            for completion in self.stage.turn() {
                self.collect(completion);
            }
        }
        self.give_back_all();
    }

    fn collect(&mut self, completion: Completion) {
        let slot = completion.token.slot() as usize;
        if let Some(buffer) = completion.buffer {
            let bytes = self.stage.world.received(buffer, completion.result as usize);
            self.received[slot].extend_from_slice(bytes);
            self.kept.push(buffer);
        } else {
            assert_eq!(completion.result, -libc::ENOBUFS, "neither bytes nor their absence");
            assert!(!completion.more, "a receive without buffers has ended");
            self.exhausted += 1;
            self.give_back_all();
        }
        if !completion.more {
            self.arm(slot);
        }
    }
}

/// Connections whose clients each send their pattern.
fn connected(stage: &mut Stage, count: usize, bytes: usize) -> (Vec<TcpStream>, Vec<LinuxSocket>) {
    let (clients, sockets) = (0..count).map(|_| stage.connect()).unzip();
    let clients: Vec<TcpStream> = clients;
    for (seed, client) in clients.iter().enumerate() {
        let mut writer = client.try_clone().expect("a descriptor is left");
        std::thread::spawn(move || writer.write_all(&pattern(seed, bytes)).expect("it is read"));
    }
    (clients, sockets)
}

#[test]
fn a_dry_group_loses_nothing_and_starves_nobody() {
    const BYTES: usize = 60_000;
    for mode in MODES {
        let config = small_config(mode);
        let mut stage = Stage::new(&config);
        let (clients, sockets) = connected(&mut stage, 5, BYTES);
        let mut collector = Collector::new(stage, sockets);
        collector.run(BYTES);
        assert!(collector.exhausted > 0, "{mode:?}: 8 buffers never ran out");
        let world = &collector.stage.world;
        assert_eq!(world.counters().buffers_exhausted as usize, collector.exhausted);
        assert_eq!(world.buffers_free(BufferSize::Small), config.small_buffers);
        for (seed, received) in collector.received.iter().enumerate() {
            assert!(*received == pattern(seed, BYTES), "{mode:?}: connection {seed} lost bytes");
        }
        drop(clients);
    }
}

#[test]
fn an_overflowing_completion_queue_loses_nothing() {
    const BYTES: usize = 20_000;
    const CONNECTIONS: usize = 40;
    let config = LinuxConfig {
        submission_entries: 8,
        completion_entries: 8,
        small_buffers: 1024,
        ..small_config(ReceiveMode::Multishot)
    };
    let mut stage = Stage::new(&config);
    let (mut clients, sockets): (Vec<_>, Vec<_>) =
        (0..CONNECTIONS).map(|_| stage.connect()).unzip();
    // All of them have data before the first receive is asked for.
    for (seed, client) in clients.iter_mut().enumerate() {
        client.write_all(&pattern(seed, BYTES)).expect("the kernel's buffers hold that much");
    }
    let mut collector = Collector::new(stage, sockets);
    collector.run(BYTES);
    let counters = collector.stage.world.counters();
    assert!(counters.completions_overflowed > 0, "8 places were enough: {counters:?}");
    for (seed, received) in collector.received.iter().enumerate() {
        assert!(*received == pattern(seed, BYTES), "connection {seed} lost bytes");
    }
    drop(clients);
}

#[test]
fn a_turn_takes_no_more_than_its_limit() {
    // Cancelling what is not there completes at once, without a client.
    let mut stage = Stage::new(&LinuxConfig::default());
    for _ in 0..limits::COMPLETIONS_PER_TURN_MAX + 10 {
        let nobody = Token::new(Purpose::Receive, 0, 0);
        stage.world.cancel(nobody, Token::new(Purpose::Cancel, 0, 0));
    }
    assert_eq!(stage.turn().len(), limits::COMPLETIONS_PER_TURN_MAX);
    assert!(stage.world.pending());
    assert_eq!(stage.turn().len(), 10);
    assert!(!stage.world.pending());
}

#[test]
fn a_reset_in_the_middle_returns_every_buffer() {
    for mode in MODES {
        let config = small_config(mode);
        let mut stage = Stage::new(&config);
        for slot in 0..20 {
            let (mut client, socket) = stage.connect();
            let token = receive_token(slot);
            stage.world.receive(&socket, token, BufferSize::Small);
            client.write_all(&pattern(1, 300)).expect("it is open");
            socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).expect("an option");
            drop(client);
            // The bytes may come first, or be lost with the reset, as TCP has it.
            let (started, mut ends) = (Instant::now(), Vec::new());
            while ends.is_empty() {
                assert!(started.elapsed() < PATIENCE, "{mode:?}: no end");
                for completion in stage.turn() {
                    if let Some(buffer) = completion.buffer {
                        stage.world.give_back(buffer);
                    }
                    if completion.result < 0 {
                        ends.push((completion.result, completion.more));
                    } else if !completion.more {
                        stage.world.receive(&socket, token, BufferSize::Small);
                    }
                }
            }
            assert_eq!(ends, [(-libc::ECONNRESET, false)], "{mode:?}");
            stage.world.close(socket);
        }
        stage.settle();
        assert_eq!(stage.world.under_way(), 0, "{mode:?}");
        assert_eq!(stage.world.buffers_free(BufferSize::Small), config.small_buffers);
    }
}

#[test]
fn what_is_pending_can_be_reaped_without_a_submit() {
    for mode in MODES {
        let mut stage = Stage::new(&small_config(mode));
        let (mut client, socket) = stage.connect();
        stage.world.receive(&socket, receive_token(0), BufferSize::Small);
        stage.settle();
        assert!(!stage.world.pending(), "{mode:?}");
        client.write_all(b"now").expect("open");
        let started = Instant::now();
        while !stage.world.pending() {
            assert!(started.elapsed() < PATIENCE, "{mode:?}: it does not show");
        }
        let mut completions = Vec::new();
        stage.world.reap(&mut completions);
        assert_eq!(completions.len(), 1, "{mode:?}");
        assert_eq!(completions[0].result, 3);
    }
}

#[test]
fn the_end_of_a_stream_is_a_completion_of_zero() {
    for mode in MODES {
        let mut stage = Stage::new(&small_config(mode));
        let (client, socket) = stage.connect();
        stage.world.receive(&socket, receive_token(0), BufferSize::Large);
        client.shutdown(std::net::Shutdown::Write).expect("open");
        let end = stage.wait_for(receive_token(0));
        assert_eq!((end.result, end.more, end.buffer), (0, false, None), "{mode:?}");
    }
}

#[test]
fn a_cancelled_receive_ends_once() {
    for mode in MODES {
        let mut stage = Stage::new(&small_config(mode));
        let (_client, socket) = stage.connect();
        let (receive, cancel) = (receive_token(3), Token::new(Purpose::Cancel, 3, 7));
        stage.world.receive(&socket, receive, BufferSize::Small);
        stage.turn();
        stage.world.cancel(receive, cancel);
        let all = stage.settle();
        let of = |token| all.iter().filter(|c| c.token == token).collect::<Vec<_>>();
        assert_eq!(of(receive).len(), 1, "{mode:?}: {all:?}");
        assert_eq!((of(receive)[0].result, of(receive)[0].more), (-libc::ECANCELED, false));
        assert_eq!((of(cancel).len(), of(cancel)[0].result), (1, 0));
    }
}
