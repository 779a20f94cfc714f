//! A request and its answer in one call, over a reply queue of the asking connection.
//!
//! The request is an ordinary message with two headers: where the answer shall go, and a text that
//! the answer repeats. Both it and its answer live no longer than the asker waits.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use ringway_protocol::name::shard_of;
use ringway_protocol::{Code, QueueId, QueueOptions};

use super::{Client, TakeOptions, Transferred, invalid};
use crate::batch::Batch;
use crate::chance;
use crate::error::Error;
use crate::new_message::{IntoBytes, NewMessage};
use crate::placed::Placed;
use crate::taken::{Message, Taken};

/// The header that names the queue of the answer.
pub const REPLY_TO: &str = "ringway-reply-to";
/// The header that the answer repeats, so that it is known to belong to its request.
pub const CORRELATION: &str = "ringway-correlation";

/// A reply queue that is not used for so long goes by itself; one that waits is used.
const IDLE: Duration = Duration::from_secs(60);
/// Longest wait of one take: the server's most.
const WAIT_MAX: Duration = Duration::from_secs(3600);
/// Reply queues of others whose ids are remembered.
const REMEMBERED_MAX: usize = 1024;

/// Where the answers to a connection's requests arrive.
#[derive(Debug)]
pub(super) struct ReplyQueue {
    name: String,
    queue: QueueId,
    used: Instant,
    asked: u64,
}

/// An answer to a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    taken: Taken,
}

impl Answer {
    /// The answer's message, with its headers.
    pub fn message(&self) -> Message<'_> {
        self.taken.message(0).expect("an answer is one message")
    }

    /// What the worker answered.
    pub fn payload(&self) -> &[u8] {
        self.message().record.payload
    }
}

impl Client {
    /// Puts a request into a queue and waits for the answer that a worker gives with
    /// [`Client::reply`].
    ///
    /// [`Error::NoAnswer`] if none came before the deadline: the request has expired then unless a
    /// worker has it, and a late answer is dropped.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use ringway_client::{Client, Options};
    ///
    /// let mut client = Client::connect("127.0.0.1:7311", &Options::default())?;
    /// let prices = client.open("prices")?;
    /// let answer = client.request(prices, "what is 7 worth?", Duration::from_secs(2))?;
    /// println!("{:?}", answer.payload());
    /// # Ok::<(), ringway_client::Error>(())
    /// ```
    pub fn request<'a>(
        &mut self,
        queue: QueueId,
        payload: impl IntoBytes<'a>,
        deadline: Duration,
    ) -> Result<Answer, Error> {
        self.request_message(queue, NewMessage::new(payload), deadline)
    }

    /// Like [`Client::request`], for a message with a key, a priority or headers of its own.
    pub fn request_message(
        &mut self,
        queue: QueueId,
        message: NewMessage<'_>,
        deadline: Duration,
    ) -> Result<Answer, Error> {
        let until = Instant::now() + deadline;
        let (name, correlation) = self.reply_queue()?;
        let message = message
            .time_to_live(deadline.max(Duration::from_millis(1)))
            .header(REPLY_TO, name)
            .header(CORRELATION, correlation.as_str());
        let mut batch = Batch::default();
        batch.add(&message)?;
        self.put_batch(queue, &batch)?;
        self.answer_to(&correlation, until)
            .transpose()
            .unwrap_or(Err(Error::NoAnswer { after: deadline }))
    }

    /// Answers a request: puts `payload` where its header says, with its correlation and its time
    /// to live. [`Code::NoSuchQueue`] if the asker is gone.
    ///
    /// The request itself is acknowledged separately; [`Client::reply_and_ack`] does both.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use ringway_client::{Client, Options, TakeOptions};
    /// # let mut client = Client::connect("127.0.0.1:7311", &Options::default())?;
    /// # let prices = client.open("prices")?;
    /// let wait = TakeOptions { wait: Duration::from_secs(60), ..Default::default() };
    /// let taken = client.take(prices, &wait)?;
    /// for message in taken.messages() {
    ///     client.reply_and_ack(&taken, &message, "12.50")?;
    /// }
    /// # Ok::<(), ringway_client::Error>(())
    /// ```
    pub fn reply<'a>(
        &mut self,
        message: &Message<'_>,
        payload: impl IntoBytes<'a>,
    ) -> Result<Placed, Error> {
        let (queue, batch) = self.answer(message, payload)?;
        let placed = self.put_batch(queue, &batch);
        self.forget_if_gone(message, placed)
    }

    /// Answers a request and acknowledges it in one request, as [`Client::transfer`] does.
    pub fn reply_and_ack<'a>(
        &mut self,
        taken: &Taken,
        message: &Message<'_>,
        payload: impl IntoBytes<'a>,
    ) -> Result<Transferred, Error> {
        let (queue, batch) = self.answer(message, payload)?;
        let transferred = self.transfer(taken, &[message.range()], queue, &batch);
        self.forget_if_gone(message, transferred)
    }

    /// The queue that a request names, and the message that goes there.
    fn answer<'a>(
        &mut self,
        message: &Message<'_>,
        payload: impl IntoBytes<'a>,
    ) -> Result<(QueueId, Batch), Error> {
        let name = reply_to(message)?;
        let queue = match self.askers.get(name) {
            Some(queue) => *queue,
            None => {
                let queue = self.open(name)?;
                if self.askers.len() == REMEMBERED_MAX {
                    self.askers.clear();
                }
                self.askers.insert(name.to_owned(), queue);
                queue
            }
        };
        let mut answer = NewMessage::new(payload);
        if let Some(correlation) = message.header(CORRELATION) {
            answer = answer.header(CORRELATION, correlation);
        }
        let ttl_ms = message.record.traits().ttl_ms;
        if ttl_ms > 0 {
            answer = answer.time_to_live(Duration::from_millis(ttl_ms));
        }
        let mut batch = Batch::default();
        batch.add(&answer)?;
        Ok((queue, batch))
    }

    /// A reply queue that went by itself may come back under another id.
    fn forget_if_gone<T>(
        &mut self,
        message: &Message<'_>,
        result: Result<T, Error>,
    ) -> Result<T, Error> {
        if let Err(Error::Refused { code: Code::NoSuchQueue, .. }) = &result
            && let Ok(name) = reply_to(message)
        {
            self.askers.remove(name);
        }
        result
    }

    /// Where this connection's answers go, and what the next of them repeats.
    fn reply_queue(&mut self) -> Result<(String, String), Error> {
        let name = match &self.reply_queue {
            Some(reply) if reply.used.elapsed() < IDLE / 2 => reply.name.clone(),
            // It may have gone since: declaring it again finds it or makes it anew.
            Some(reply) => self.declare_reply_queue(reply.name.clone())?,
            None => {
                let name = self.reply_queue_name();
                self.declare_reply_queue(name)?
            }
        };
        let reply = self.reply_queue.as_mut().expect("it was declared above");
        reply.asked += 1;
        let correlation = format!("{:x}", reply.asked);
        Ok((name, correlation))
    }

    fn declare_reply_queue(&mut self, name: String) -> Result<String, Error> {
        let options = QueueOptions {
            idle_ms: IDLE.as_millis() as u64,
            wait_max_ms: WAIT_MAX.as_millis() as u32,
            deliveries_max: 0,
            ..QueueOptions::default()
        };
        let queue = self.declare(&name, Some(options))?;
        let asked = self.reply_queue.as_ref().map_or(0, |reply| reply.asked);
        let used = Instant::now();
        self.reply_queue = Some(ReplyQueue { name: name.clone(), queue, used, asked });
        Ok(name)
    }

    /// A name that nobody else has, on the shard of this connection.
    fn reply_queue_name(&self) -> String {
        let (shards, here) = (self.welcome.shards.len(), usize::from(self.welcome.shard));
        let base = format!("ringway-replies/{:016x}{:016x}", chance::number(), chance::number());
        // One in `shards` names is this shard's; the first one does if none is found.
        let mut names = (0..16 * shards).map(|try_number| format!("{base}-{try_number}"));
        names.find(|name| shards > 0 && shard_of(name, shards) == here).unwrap_or(base)
    }

    /// Waits for the answer with this correlation; others are late ones, which nobody wants.
    fn answer_to(&mut self, correlation: &str, until: Instant) -> Result<Option<Answer>, Error> {
        let queue = self.reply_queue.as_ref().expect("it was declared").queue;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let wait = left.min(WAIT_MAX);
            let options = TakeOptions { wait, acknowledged: true, ..TakeOptions::default() };
            let taken = self.take(queue, &options)?;
            let reply = self.reply_queue.as_mut().expect("it was declared");
            reply.used = Instant::now();
            let is_it =
                |message: Message<'_>| message.header(CORRELATION) == Some(correlation.as_bytes());
            if taken.messages().next().is_some_and(is_it) {
                return Ok(Some(Answer { taken }));
            }
            if taken.is_empty() && left.saturating_sub(wait).is_zero() {
                return Ok(None);
            }
        }
    }
}

/// Reply queues of others: their ids by name.
pub(super) type Askers = HashMap<String, QueueId>;

/// The queue that wants the answer to a message.
fn reply_to<'a>(message: &Message<'a>) -> Result<&'a str, Error> {
    let header = message.header(REPLY_TO).and_then(|name| std::str::from_utf8(name).ok());
    header.ok_or(invalid(Code::Malformed, "the message does not say where its answer goes"))
}
