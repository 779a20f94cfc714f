//! Requests on their way out: encoded one behind another, sent with one write.
//!
//! No sockets here: an [`Outbox`] hands out bytes to send, and keeps its memory, so that a
//! connection in its stride allocates nothing.

use ringway_protocol::frame::{self, HEADER_BYTES, Header, Kind};
use ringway_protocol::request::{self, Producer, Put, Range, Request};
use ringway_protocol::{LeaseId, QueueId, Records};

use crate::batch::Batch;

/// An encoded request that is sent many times; only its number changes.
#[derive(Clone, Debug)]
pub struct Template {
    bytes: Vec<u8>,
}

impl Template {
    /// Encodes `request` once.
    pub fn new(request: &Request<'_>) -> Self {
        let mut bytes = Vec::new();
        request.encode(0, 0, &mut bytes);
        Self { bytes }
    }

    /// Encodes a put of `batch` once.
    pub fn put(queue: QueueId, batch: &Batch) -> Self {
        let mut outbox = Outbox::default();
        outbox.put(queue, batch, 0);
        Self { bytes: outbox.bytes }
    }
}

/// Requests that were asked for and not sent yet.
///
/// Invariant: `sent <= bytes.len()`; both are 0 when everything is sent.
#[derive(Debug, Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    sent: usize,
}

impl Outbox {
    /// Appends any request.
    pub fn request(&mut self, request: &Request<'_>, number: u32) {
        request.encode(0, number, &mut self.bytes);
    }

    /// Appends a request that was encoded before: one copy, four bytes patched.
    #[inline]
    pub fn template(&mut self, template: &Template, number: u32) {
        const NUMBER_AT: usize = HEADER_BYTES - 4;
        let at = self.bytes.len() + NUMBER_AT;
        self.bytes.extend_from_slice(&template.bytes);
        self.bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
    }

    /// Appends a put.
    pub fn put(&mut self, queue: QueueId, batch: &Batch, number: u32) {
        frame::write(&mut self.bytes, Header::request(Kind::Put, 0, number), |out| {
            request::put_prefix(out, queue, batch.count());
            out.extend_from_slice(batch.as_bytes());
        });
    }

    /// Appends an acknowledgement of some ranges of a lease's messages.
    #[inline]
    pub fn ack(&mut self, queue: QueueId, lease: LeaseId, ranges: &[Range], number: u32) {
        request::encode_settle(Kind::Ack, (queue, lease), ranges, (0, number), &mut self.bytes);
    }

    /// Appends the return of some ranges of a lease's messages, after the queue's back-off.
    pub fn nack(&mut self, queue: QueueId, lease: LeaseId, ranges: &[Range], number: u32) {
        request::encode_settle(Kind::Nack, (queue, lease), ranges, (0, number), &mut self.bytes);
    }

    /// Appends the return of some ranges of a lease's messages, after so many milliseconds or as
    /// [`request::DEAD_LETTER`] says.
    pub fn nack_after(
        &mut self,
        (queue, lease): (QueueId, LeaseId),
        ranges: &[Range],
        delay_ms: u32,
        number: u32,
    ) {
        request::encode_nack((queue, lease), ranges, delay_ms, (0, number), &mut self.bytes);
    }

    /// Appends a put whose producer numbers its messages.
    pub fn put_as(&mut self, queue: QueueId, producer: Producer, batch: &Batch, number: u32) {
        let put = Put { queue, producer: Some(producer), records: records(batch) };
        self.request(&Request::Put(put), number);
    }

    /// Appends the removal of messages by their sequences, 1 to 1,024.
    pub fn remove(&mut self, queue: QueueId, sequences: &[u64], number: u32) {
        request::encode_remove(queue, sequences, (0, number), &mut self.bytes);
    }

    /// Appends an acknowledgement together with a put to `queue`.
    pub fn transfer(
        &mut self,
        lease: (QueueId, LeaseId),
        ranges: &[Range],
        (queue, producer): (QueueId, Option<Producer>),
        batch: &Batch,
        number: u32,
    ) {
        let put = Put { queue, producer, records: records(batch) };
        request::encode_transfer(lease, ranges, &put, (0, number), &mut self.bytes);
    }

    /// What is left to send.
    #[inline]
    pub fn unsent(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    /// Takes note that the first `count` unsent bytes were sent.
    #[inline]
    pub fn advance(&mut self, count: usize) {
        self.sent += count;
        assert!(self.sent <= self.bytes.len(), "no more is sent than was asked for");
        if self.sent == self.bytes.len() {
            self.bytes.clear();
            self.sent = 0;
        }
    }

    /// Whether everything is sent.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// The messages of a batch that is not empty.
pub(crate) fn records(batch: &Batch) -> Records<'_> {
    Records::parse(batch.as_bytes(), batch.count()).expect("a batch checks what is pushed to it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_the_request_with_another_number() {
        let request = Request::Echo(b"hello");
        let mut outbox = Outbox::default();
        outbox.template(&Template::new(&request), 77);
        outbox.template(&Template::new(&request), 78);
        let mut expected = Vec::new();
        request.encode(0, 77, &mut expected);
        request.encode(0, 78, &mut expected);
        assert_eq!(outbox.unsent(), expected);
    }
    #[test]
    fn small_requests_in_the_steady_state_keep_the_buffer() {
        let mut outbox = Outbox::default();
        let mut capacity = None;
        for round in 0..100 {
            for number in 0..64 {
                outbox.request(&Request::Ping, number);
            }
            let count = outbox.unsent().len();
            outbox.advance(count);
            assert!(round == 0 || capacity == Some(outbox.bytes.capacity()));
            capacity = Some(outbox.bytes.capacity());
        }
    }
}
