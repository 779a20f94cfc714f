//! Producers against a list of every batch that they recorded.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Op {
    Put { producer: u64, number: u64, count: u32, parts: u32 },
    Pass { ms: u64 },
    Forget { budget: usize },
}

fn op() -> impl Strategy<Value = Op> {
    let numbers = prop_oneof![0_u64..60, Just(u64::MAX - 8)];
    prop_oneof![
        10 => (0_u64..7, numbers, 1_u32..9, 1_u32..4)
            .prop_map(|(producer, number, count, parts)| {
                Op::Put { producer, number, count, parts }
            }),
        3 => (0_u64..400).prop_map(|ms| Op::Pass { ms }),
        2 => (0_usize..4).prop_map(|budget| Op::Forget { budget }),
    ]
}

/// A batch that was recorded: its numbers, when, and the answer.
struct Recorded {
    number: u64,
    end: u64,
    at_ms: u64,
    answer: Vec<Stretch>,
    forgotten: bool,
}

/// A producer of the model, with every batch since it is known, in the order of their numbers.
struct Known {
    id: u64,
    last_ms: u64,
    batches: Vec<Recorded>,
}

impl Known {
    fn forget(&mut self, config: &ProducersConfig, now_ms: u64) {
        let mut held = self.batches.iter().filter(|batch| !batch.forgotten).count();
        for batch in self.batches.iter_mut().filter(|batch| !batch.forgotten) {
            if now_ms - batch.at_ms < config.window_ms && held <= config.batches_max {
                break;
            }
            batch.forgotten = true;
            held -= 1;
        }
    }

    fn look(&self, number: u64, end: u64) -> (Seen, Vec<Stretch>) {
        let forgotten = self.batches.iter().filter(|batch| batch.forgotten);
        if forgotten.map(|batch| batch.end).max().is_some_and(|floor| number < floor) {
            return (Seen::OutOfWindow, Vec::new());
        }
        let mut held = self.batches.iter().filter(|batch| !batch.forgotten);
        match held.find(|batch| batch.number < end && number < batch.end) {
            Some(batch) if (batch.number, batch.end) == (number, end) => {
                (Seen::Repeat, batch.answer.clone())
            }
            Some(_) => (Seen::Overlaps, Vec::new()),
            None => (Seen::New, Vec::new()),
        }
    }
}

/// Producers in the order of their last recording: what is over goes from the model at once.
struct Model {
    config: ProducersConfig,
    known: Vec<Known>,
}

impl Model {
    fn forget(&mut self, now_ms: u64) {
        let silence_ms = self.config.silence_ms;
        self.known.retain(|known| now_ms - known.last_ms < silence_ms);
        self.known.iter_mut().for_each(|known| known.forget(&self.config, now_ms));
    }

    fn look(&self, producer: u64, number: u64, end: u64) -> (Seen, Vec<Stretch>) {
        let known = self.known.iter().find(|known| known.id == producer);
        known.map_or((Seen::New, Vec::new()), |known| known.look(number, end))
    }

    fn record(&mut self, producer: u64, batch: Recorded) {
        let at = self.known.iter().position(|known| known.id == producer);
        let mut known = match at {
            Some(at) => self.known.remove(at),
            None => Known { id: producer, last_ms: 0, batches: Vec::new() },
        };
        if self.known.len() == self.config.producers_max {
            self.known.remove(0);
        }
        known.last_ms = batch.at_ms;
        known.batches.push(batch);
        known.batches.sort_by_key(|batch| batch.number);
        self.known.push(known);
    }
}

/// An answer in up to `parts` stretches.
fn answer_of(count: u32, parts: u32, sequence: &mut u64) -> Vec<Stretch> {
    let parts = parts.min(count);
    let counts = (0..parts).map(|part| (part, count / parts + u32::from(part < count % parts)));
    let stretches = counts.map(|(part, count)| {
        *sequence += 100;
        Stretch { first_sequence: *sequence, count, what: part }
    });
    stretches.collect()
}

fn check(config: ProducersConfig, ops: Vec<Op>) {
    let mut producers = Producers::new(config);
    let mut model = Model { config, known: Vec::new() };
    let (mut now_ms, mut sequence, mut answer) = (0, 0, Vec::new());
    for op in ops {
        match op {
            Op::Put { producer, number, count, parts } => {
                let end = number.saturating_add(count.into());
                let seen = producers.look(producer, number, count, now_ms, &mut answer);
                assert_eq!((seen, answer.clone()), model.look(producer, number, end));
                if seen == Seen::New {
                    let answer = answer_of(count, parts, &mut sequence);
                    producers.record(producer, number, count, &answer, now_ms);
                    let forgotten = false;
                    model.record(
                        producer,
                        Recorded { number, end, at_ms: now_ms, answer, forgotten },
                    );
                }
            }
            Op::Pass { ms } => now_ms += ms,
            Op::Forget { budget } => {
                let mut left = budget;
                producers.forget_old(now_ms, &mut left);
                let more = producers.next_forget_ms().is_some_and(|at_ms| at_ms <= now_ms);
                assert!(left == 0 || !more, "it does what it may");
            }
        }
        model.forget(now_ms);
        assert!((model.known.len()..=config.producers_max).contains(&producers.len()));
    }
    while let Some(at_ms) = producers.next_forget_ms() {
        producers.forget_old(at_ms, &mut 1);
    }
    assert!(producers.is_empty());
    assert!(producers.bytes() < 256, "{} bytes of nothing", producers.bytes());
}

proptest! {
    #[test]
    fn producers_are_a_list_of_batches(
        window_ms in 1_u64..1_000,
        batches_max in 1_usize..8,
        silence_ms in 1_000_u64..3_000,
        producers_max in 1_usize..6,
        ops in prop::collection::vec(op(), 1..200),
    ) {
        check(ProducersConfig { window_ms, batches_max, silence_ms, producers_max }, ops);
    }
}

const CONFIG: ProducersConfig =
    ProducersConfig { window_ms: 1_000, batches_max: 3, silence_ms: 10_000, producers_max: 2 };

/// Looks at a batch and, if it is new, records it in one stretch from a thousand times its number.
fn put(producers: &mut Producers, producer: u64, number: u64, count: u32, now_ms: u64) -> Seen {
    let mut answer = Vec::new();
    let seen = producers.look(producer, number, count, now_ms, &mut answer);
    let first = Stretch { first_sequence: 1_000 * number, count, what: 0 };
    match seen {
        Seen::New => producers.record(producer, number, count, &[first], now_ms),
        Seen::Repeat => assert_eq!(answer, [first]),
        Seen::OutOfWindow | Seen::Overlaps => assert!(answer.is_empty()),
    }
    seen
}

#[test]
fn a_repeat_is_answered_until_its_window_ends() {
    let mut producers = Producers::new(CONFIG);
    assert_eq!(put(&mut producers, 1, 0, 10, 0), Seen::New);
    assert_eq!(put(&mut producers, 1, 0, 10, 999), Seen::Repeat);
    assert_eq!(put(&mut producers, 2, 0, 10, 999), Seen::New);
    assert_eq!(put(&mut producers, 1, 5, 10, 999), Seen::Overlaps);
    assert_eq!(put(&mut producers, 1, 0, 10, 1_000), Seen::OutOfWindow);
    assert_eq!(put(&mut producers, 1, 9, 10, 1_000), Seen::OutOfWindow);
    assert_eq!(put(&mut producers, 1, 10, 10, 1_000), Seen::New);
}

#[test]
fn a_batch_that_was_refused_can_come_after_its_successors() {
    let mut producers = Producers::new(CONFIG);
    assert_eq!(put(&mut producers, 1, 20, 10, 0), Seen::New);
    assert_eq!(put(&mut producers, 1, 0, 10, 1), Seen::New);
    assert_eq!(put(&mut producers, 1, 10, 11, 2), Seen::Overlaps);
    assert_eq!(put(&mut producers, 1, 10, 10, 2), Seen::New);
    assert_eq!(put(&mut producers, 1, 20, 10, 3), Seen::Repeat);
}

#[test]
fn the_last_number_of_all_is_remembered_like_any_other() {
    let mut producers = Producers::new(CONFIG);
    let mut answer = Vec::new();
    let stretch = Stretch { first_sequence: 7, count: 1, what: 0 };
    assert_eq!(producers.look(1, u64::MAX, 1, 0, &mut answer), Seen::New);
    producers.record(1, u64::MAX, 1, &[stretch], 0);
    assert_eq!(producers.look(1, u64::MAX, 1, 999, &mut answer), Seen::Repeat);
    assert_eq!(answer, [stretch]);
    assert_eq!(producers.look(1, u64::MAX, 1, 1_000, &mut answer), Seen::OutOfWindow);
}

#[test]
fn many_batches_and_many_producers_push_out_the_oldest() {
    let mut producers = Producers::new(CONFIG);
    for number in 0..4 {
        assert_eq!(put(&mut producers, 1, 10 * number, 10, 0), Seen::New);
    }
    assert_eq!(put(&mut producers, 1, 0, 10, 0), Seen::OutOfWindow);
    assert_eq!(put(&mut producers, 1, 10, 10, 0), Seen::Repeat);
    assert_eq!(put(&mut producers, 2, 0, 10, 1), Seen::New);
    assert_eq!(put(&mut producers, 3, 0, 10, 1), Seen::New);
    assert_eq!(producers.len(), 2);
    assert_eq!(put(&mut producers, 1, 0, 10, 2), Seen::New, "nobody knows this producer any more");
}

#[test]
fn a_silent_producer_costs_little_and_keeps_its_floor() {
    let mut producers = Producers::new(CONFIG);
    assert_eq!(put(&mut producers, 1, 0, 10, 0), Seen::New);
    let before = producers.bytes();
    assert_eq!(producers.next_forget_ms(), Some(1_000));
    producers.forget_old(1_000, &mut 10);
    assert!(producers.bytes() < before);
    assert_eq!(put(&mut producers, 1, 0, 10, 5_000), Seen::OutOfWindow);
    assert_eq!(producers.next_forget_ms(), Some(10_000));
    assert_eq!(put(&mut producers, 1, 0, 10, 10_000), Seen::New);
}

#[test]
fn smaller_limits_hold_from_then_on() {
    let mut producers = Producers::new(CONFIG);
    for number in 0..3 {
        assert_eq!(put(&mut producers, 1, 10 * number, 10, number), Seen::New);
        assert_eq!(put(&mut producers, 2, 10 * number, 10, number), Seen::New);
    }
    producers.set_config(ProducersConfig { batches_max: 1, producers_max: 1, ..CONFIG });
    assert_eq!(put(&mut producers, 1, 10, 10, 3), Seen::OutOfWindow);
    assert_eq!(put(&mut producers, 1, 20, 10, 3), Seen::Repeat);
    assert_eq!(put(&mut producers, 3, 0, 10, 3), Seen::New);
    assert_eq!(producers.len(), 1);
}
