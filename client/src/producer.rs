//! A producer whose repeats are known: put again as often as needed, stored once.

use std::hash::{DefaultHasher, Hasher};
use std::thread;
use std::time::{Duration, Instant};

use ringway_protocol::request::Producer;
use ringway_protocol::{Code, QueueId, Rejection};

use crate::batch::Batch;
use crate::chance;
use crate::client::Client;
use crate::error::Error;
use crate::link::Options;
use crate::placed::Placed;

/// The first pause before a batch is put again; doubled up to [`PAUSE_MAX`].
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Puts batches into one queue and numbers them, so that it can put one again when a connection
/// broke before the answer came: the queue knows the repeat and answers as it did the first time.
///
/// The queue must have been declared with a `dedup_ms` that is longer than this may take
/// ([`IdempotentProducer::give_up_after`], a minute at first); without one, nothing remembers.
///
/// ```no_run
/// use ringway_client::{Batch, IdempotentProducer, Options};
///
/// let mut producer = IdempotentProducer::new("127.0.0.1:7311", Options::default(), "orders");
/// for line in ["one", "two"] {
///     let placed = producer.put(&Batch::of(&[line])?)?;
///     println!("{} is message {}", line, placed.first_sequence);
/// }
/// # Ok::<(), ringway_client::Error>(())
/// ```
#[derive(Debug)]
pub struct IdempotentProducer {
    address: String,
    options: Options,
    queue: String,
    /// The connection, and the queue's id there.
    connected: Option<(Client, QueueId)>,
    id: u64,
    next: u64,
    give_up_after: Duration,
    /// The batch whose fate is unknown: how many messages it has, and the digest of its bytes.
    open: Option<(u32, u64)>,
}

impl IdempotentProducer {
    /// A producer with a number of its own, drawn by chance. It connects when it first puts.
    pub fn new(address: &str, options: Options, queue: &str) -> Self {
        let producer = Producer { id: chance::number(), sequence: 0 };
        Self::resume(address, options, queue, producer)
    }

    /// A producer that goes on where an earlier one stopped, perhaps in another process:
    /// `producer` is what [`IdempotentProducer::position`] said.
    pub fn resume(address: &str, options: Options, queue: &str, producer: Producer) -> Self {
        Self {
            address: address.to_owned(),
            options,
            queue: queue.to_owned(),
            connected: None,
            id: producer.id,
            next: producer.sequence,
            give_up_after: Duration::from_secs(60),
            open: None,
        }
    }

    /// How long a put may be repeated before its error is returned; zero for not at all.
    pub fn give_up_after(mut self, time: Duration) -> Self {
        self.give_up_after = time;
        self
    }

    /// Its number, and that of the next message.
    pub fn position(&self) -> Producer {
        Producer { id: self.id, sequence: self.next }
    }

    /// Puts a batch, and puts it again while its fate is unknown.
    ///
    /// After an error the batch is not stored, and its numbers go to the next one, unless
    /// [`IdempotentProducer::is_unsettled`]: then they stay with this batch, so put the same one
    /// again, or leave it with [`IdempotentProducer::abandon`].
    pub fn put(&mut self, batch: &Batch) -> Result<Placed, Error> {
        let digest = (batch.count(), digest(batch.as_bytes()));
        if self.open.is_some_and(|open| open != digest) {
            return Err(Error::Invalid(Rejection::new(
                Code::Conflict,
                "the fate of another batch is unknown: put that one again, or abandon it",
            )));
        }
        let (started, mut pause) = (Instant::now(), PAUSE);
        loop {
            let error = match self.put_once(batch) {
                Ok(placed) => {
                    self.next += u64::from(placed.count);
                    self.open = None;
                    return Ok(placed);
                }
                Err(error) => error,
            };
            if error.fate_unknown() {
                self.open = Some(digest);
            }
            let again = error.fate_unknown() || matches!(error, Error::Connect { .. });
            if !again || started.elapsed() + pause > self.give_up_after {
                return Err(error);
            }
            thread::sleep(pause);
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    fn put_once(&mut self, batch: &Batch) -> Result<Placed, Error> {
        let producer = self.position();
        if self.connected.is_none() {
            let mut client = Client::connect(&self.address, &self.options)?;
            let queue = client.open(&self.queue)?;
            self.connected = Some((client, queue));
        }
        let (client, queue) = self.connected.as_mut().expect("it was connected above");
        let placed = client.put_as(*queue, producer, batch);
        // After an error of the connection it connects again; a queue that was declared anew has
        // another id, so that is asked for again, too.
        let gone = |error: &Error| error.code() == Some(Code::NoSuchQueue);
        if placed.as_ref().is_err_and(|error| error.ends_connection() || gone(error)) {
            self.connected = None;
        }
        placed
    }

    /// Whether the fate of the last batch is unknown: it was sent and never answered.
    pub fn is_unsettled(&self) -> bool {
        self.open.is_some()
    }

    /// Gives up a batch whose fate is unknown: it is stored or not, and its numbers are not used
    /// again.
    pub fn abandon(&mut self) {
        if let Some((count, _)) = self.open.take() {
            self.next += u64::from(count);
        }
    }
}

fn digest(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}
