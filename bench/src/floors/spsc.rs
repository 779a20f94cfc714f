//! What a plain `rtrb` ring costs: on one thread, across two cores, and back and forth.
//!
//! A lane and the handoff between shards are such rings with something around them; these figures
//! are the ring alone.

use std::convert::Infallible;
use std::hint::black_box;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use rtrb::{Consumer, Producer, RingBuffer};
use serde::Serialize;

use super::cpus::{CpuPair, pin_to};
use super::latency::{self, Latency};

/// Slots of every ring measured here: enough that neither side waits for a single batch.
const SLOTS: usize = 4096;
/// Items in one chunk.
pub const CHUNK_ITEMS: usize = 256;
const _: () = assert!(SLOTS >= 2 * CHUNK_ITEMS, "one chunk written while one is read");
/// Items between two looks at the clock.
const ITEMS_PER_CLOCK_READ: u64 = 4096;

/// Pauses of a side that found the ring full or empty, about ten microseconds.
const BACK_OFF_PAUSES: u32 = 256;

/// Time that one item took, averaged over many.
#[derive(Clone, Debug, Serialize)]
pub struct ItemCost {
    /// Bytes of one item.
    pub item_bytes: usize,
    /// Items that went through.
    pub items: u64,
    /// Nanoseconds an item.
    pub nanoseconds_per_item: f64,
}

impl ItemCost {
    fn new<T>(items: u64, took: Duration) -> Self {
        let nanoseconds_per_item = took.as_nanos() as f64 / items.max(1) as f64;
        Self { item_bytes: size_of::<T>(), items, nanoseconds_per_item }
    }

    /// Items a second.
    #[must_use]
    pub fn items_per_second(&self) -> f64 {
        1e9 / self.nanoseconds_per_item
    }
}

/// Push and pop of 16-byte items on the calling thread for about `duration`.
#[must_use]
pub fn same_thread(duration: Duration) -> ItemCost {
    let (mut producer, mut consumer) = RingBuffer::<[u64; 2]>::new(SLOTS);
    let began = Instant::now();
    let mut items = 0;
    while items == 0 || began.elapsed() < duration {
        for item in 0..ITEMS_PER_CLOCK_READ {
            // The ring is empty before each push, so it takes the item and gives it back.
            let pushed = producer.push(black_box([item, items])).is_ok();
            assert!(pushed && black_box(consumer.pop()).is_ok(), "a ring of one item holds it");
        }
        items += ITEMS_PER_CLOCK_READ;
    }
    ItemCost::new::<[u64; 2]>(items, began.elapsed())
}

/// Items of `BYTES` bytes from the server CPU to the client CPU, one push and one pop each.
///
/// # Errors
/// When a thread cannot be pinned.
pub fn item_by_item<const BYTES: usize>(cpus: CpuPair, duration: Duration) -> io::Result<ItemCost> {
    across(
        cpus,
        duration,
        |producer: &mut Producer<[u8; BYTES]>, number| {
            let mut item = [0x5a; BYTES];
            item[0] = number as u8;
            u64::from(producer.push(item).is_ok())
        },
        |consumer| u64::from(consumer.pop().map(black_box).is_ok()),
    )
}

/// Items of `BYTES` bytes from the server CPU to the client CPU in chunks of [`CHUNK_ITEMS`].
///
/// # Errors
/// When a thread cannot be pinned.
pub fn chunked<const BYTES: usize>(cpus: CpuPair, duration: Duration) -> io::Result<ItemCost> {
    across(
        cpus,
        duration,
        |producer: &mut Producer<[u8; BYTES]>, number| {
            let Ok(chunk) = producer.write_chunk_uninit(CHUNK_ITEMS) else { return 0 };
            let mut item = [0x5a; BYTES];
            item[0] = number as u8;
            chunk.fill_from_iter(std::iter::repeat(black_box(item))) as u64
        },
        |consumer| {
            let Ok(chunk) = consumer.read_chunk(CHUNK_ITEMS) else { return 0 };
            chunk.into_iter().map(black_box).count() as u64
        },
    )
}

/// Moves items for about `duration`. `write` and `read` return how many items they moved, 0 when
/// the ring was full or empty.
fn across<T: Send>(
    cpus: CpuPair,
    duration: Duration,
    write: impl Fn(&mut Producer<T>, u64) -> u64 + Send,
    read: impl Fn(&mut Consumer<T>) -> u64 + Send,
) -> io::Result<ItemCost> {
    let (mut producer, mut consumer) = RingBuffer::<T>::new(SLOTS);
    let produce = move || {
        let ends = Instant::now() + duration;
        let (mut items, mut look_at_clock) = (0, ITEMS_PER_CLOCK_READ);
        loop {
            match write(&mut producer, items) {
                0 => back_off(cpus),
                written => items += written,
            }
            if items >= look_at_clock {
                look_at_clock = items + ITEMS_PER_CLOCK_READ;
                if Instant::now() >= ends {
                    // Dropping the producer tells the consumer that no more will come.
                    return;
                }
            }
        }
    };
    let consume = move || {
        let (mut items, mut began) = (0, Instant::now());
        loop {
            let mut moved = read(&mut consumer);
            if moved == 0 && consumer.is_abandoned() {
                // Pushed between the look above and the producer's end, or nothing any more.
                moved = read(&mut consumer);
                if moved == 0 {
                    return (items, began.elapsed());
                }
            }
            match moved {
                0 => back_off(cpus),
                // The clock starts with the first item, and does not count the threads' start.
                first if items == 0 => (items, began) = (first, Instant::now()),
                more => items += more,
            }
        }
    };
    let ((), (items, took)) = on_both(cpus, produce, consume)?;
    Ok(ItemCost::new::<T>(items, took))
}

/// Leaves the other side alone for a moment, so that it gets ahead: a side that looks again at once
/// takes the cache line away with every item, which makes single items seven times dearer.
fn back_off(cpus: CpuPair) {
    (0..BACK_OFF_PAUSES).for_each(|_| cpus.pause());
}

/// Round trips of one 8-byte item over two rings for about `duration`.
///
/// # Errors
/// When a thread cannot be pinned.
pub fn ping_pong(cpus: CpuPair, duration: Duration) -> io::Result<Latency> {
    let (mut ping, mut arrivals) = RingBuffer::<u64>::new(SLOTS);
    let (mut answer, mut pong) = RingBuffer::<u64>::new(SLOTS);
    let echo = move || {
        loop {
            match arrivals.pop() {
                // One item is under way at a time, so the ring has room for it.
                Ok(item) => answer.push(item).expect("an empty ring takes an item"),
                Err(_) if arrivals.is_abandoned() => return,
                Err(_) => cpus.pause(),
            }
        }
    };
    let measure = move || {
        let Ok(latency) = latency::of_trips(duration, || {
            ping.push(1).expect("an empty ring takes an item");
            while pong.pop().is_err() {
                cpus.pause();
            }
            Ok::<_, Infallible>(())
        });
        latency
    };
    on_both(cpus, echo, measure).map(|((), latency)| latency)
}

/// Runs one closure on each CPU and returns what both returned.
fn on_both<A: Send, B: Send>(
    cpus: CpuPair,
    server: impl FnOnce() -> A + Send,
    client: impl FnOnce() -> B + Send,
) -> io::Result<(A, B)> {
    let mut pinned = [false; 2];
    let [server_pinned, client_pinned] = &mut pinned;
    let both = thread::scope(|scope| {
        let server = scope.spawn(move || {
            *server_pinned = pin_to(cpus.server);
            server()
        });
        let client = scope.spawn(move || {
            *client_pinned = pin_to(cpus.client);
            client()
        });
        (resumed(server.join()), resumed(client.join()))
    });
    if pinned != [true; 2] {
        return Err(io::Error::other("the kernel refused to pin a thread to its CPU"));
    }
    Ok(both)
}

fn resumed<T>(outcome: thread::Result<T>) -> T {
    outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(10);

    fn check(cost: &ItemCost, item_bytes: usize) {
        assert_eq!(cost.item_bytes, item_bytes);
        assert!(cost.items >= ITEMS_PER_CLOCK_READ, "{cost:?}");
        assert!((0.1..100_000.0).contains(&cost.nanoseconds_per_item), "{cost:?}");
        let product = cost.items_per_second() * cost.nanoseconds_per_item;
        assert!((product - 1e9).abs() < 1.0, "{cost:?}");
    }

    #[test]
    fn every_way_moves_items() {
        let cpus = CpuPair::choose(None, None).expect("this host tells its CPUs");
        check(&same_thread(SHORT), 16);
        check(&item_by_item::<16>(cpus, SHORT).expect("threads are pinned"), 16);
        check(&chunked::<16>(cpus, SHORT).expect("threads are pinned"), 16);
        check(&chunked::<100>(cpus, SHORT).expect("threads are pinned"), 100);
        let latency = ping_pong(cpus, SHORT).expect("threads are pinned");
        assert!(latency.count > 0 && latency.p50 > 10, "{latency:?}");
    }

    #[test]
    fn one_cpu_is_enough() {
        let one = CpuPair::choose(None, None).expect("this host tells its CPUs").server;
        let cpus = CpuPair { server: one, client: one };
        check(&chunked::<16>(cpus, SHORT).expect("threads are pinned"), 16);
        assert!(ping_pong(cpus, SHORT).expect("threads are pinned").count > 0);
    }
}
