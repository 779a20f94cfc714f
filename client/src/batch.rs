//! Messages on their way in: a [`Batch`] is put as one.

use ringway_protocol::frame::HEADER_BYTES;
use ringway_protocol::limits::{ATTRIBUTE_VALUE_BYTES_MAX, FRAME_BYTES_MAX, PAYLOAD_BYTES_MAX};
use ringway_protocol::record::{self, Attribute};
use ringway_protocol::{Code, Records, Rejection};

use crate::error::Error;
use crate::new_message::NewMessage;

/// Most bytes of records that one put can carry.
const RECORDS_BYTES_MAX: usize = FRAME_BYTES_MAX - HEADER_BYTES;

/// Messages to put together: all of them or none. Reusable after [`Batch::clear`].
#[derive(Clone, Debug, Default)]
pub struct Batch {
    records: Vec<u8>,
    count: u32,
}

impl Batch {
    /// A batch of these payloads.
    pub fn of<P: AsRef<[u8]>>(payloads: &[P]) -> Result<Self, Error> {
        let mut batch = Self::default();
        payloads.iter().try_for_each(|payload| batch.push(&[], payload.as_ref()))?;
        Ok(batch)
    }

    /// Adds a message. [`Error::Invalid`] if it or the batch would be larger than its limit; the
    /// batch then stays as it was.
    pub fn push(&mut self, attributes: &[Attribute<'_>], payload: &[u8]) -> Result<(), Error> {
        let too_large = |sentence| Err(Error::Invalid(Rejection::new(Code::TooLarge, sentence)));
        if payload.len() > PAYLOAD_BYTES_MAX {
            return too_large("a message is longer than 64 KiB");
        }
        attributes.iter().try_for_each(check)?;
        let before = self.records.len();
        record::write(&mut self.records, attributes, payload);
        if let Err(rejection) = Records::parse(&self.records[before..], 1) {
            self.records.truncate(before);
            return Err(Error::Invalid(rejection));
        }
        if self.records.len() > RECORDS_BYTES_MAX {
            self.records.truncate(before);
            return too_large("the batch does not fit a frame of 1 MiB");
        }
        self.count += 1;
        Ok(())
    }

    /// Adds a message with its key, times, priority and headers. Errors as [`Batch::push`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use ringway_client::{Batch, NewMessage};
    ///
    /// let mut batch = Batch::default();
    /// batch.add(&NewMessage::new("pay invoice 7").key("customer-3").priority(6))?;
    /// batch.add(&NewMessage::new("remind").delay(Duration::from_secs(3600)).header("try", "1"))?;
    /// assert_eq!(batch.count(), 2);
    /// # Ok::<(), ringway_client::Error>(())
    /// ```
    pub fn add(&mut self, message: &NewMessage<'_>) -> Result<(), Error> {
        self.push(&message.attributes(), message.payload())
    }

    /// How many messages it has.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether it has no message.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The messages in wire format.
    pub fn as_bytes(&self) -> &[u8] {
        &self.records
    }

    /// Drops the messages and keeps the memory.
    pub fn clear(&mut self) {
        self.records.clear();
        self.count = 0;
    }
}

/// Refuses what does not fit its fields, by its own name: the rest a record's check says as well.
fn check(attribute: &Attribute<'_>) -> Result<(), Error> {
    let (fits, sentence) = match attribute {
        Attribute::Key(bytes) | Attribute::DeduplicationId(bytes) => (
            (1..=ATTRIBUTE_VALUE_BYTES_MAX).contains(&bytes.len()),
            "a key or deduplication id has 1 to 1,024 bytes",
        ),
        Attribute::Header { name, value } => (
            (1..=255).contains(&name.len()) && name.len() + value.len() < ATTRIBUTE_VALUE_BYTES_MAX,
            "the name of a header has 1 to 255 bytes, name and value have 1,023 together",
        ),
        _ => (true, ""),
    };
    if fits { Ok(()) } else { Err(Error::Invalid(Rejection::new(Code::InvalidOption, sentence))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_refuses_what_no_server_takes_and_stays_as_it_was() {
        let mut batch = Batch::of(&["one", "two"]).unwrap();
        let before = batch.as_bytes().to_vec();
        assert!(matches!(
            batch.push(&[], &[0; PAYLOAD_BYTES_MAX + 1]),
            Err(Error::Invalid(Rejection { code: Code::TooLarge, .. }))
        ));
        let (long, longer) = ("x".repeat(255), "x".repeat(256));
        let header = |name, value| Attribute::Header { name, value };
        for attribute in [
            Attribute::Key(b""),
            Attribute::DeduplicationId(&[0; 1025]),
            Attribute::Priority(8),
            header("", b"x"),
            header(&longer, b"x"),
            header(&long, &[0; 769]),
        ] {
            let refused = batch.push(&[attribute], b"x");
            let code = refused.map_err(|error| error.code());
            assert_eq!(code.err().flatten(), Some(Code::InvalidOption), "{attribute:?}");
        }
        let mut fits = batch.clone();
        fits.push(&[header(&long, &[0; 768])], b"x").unwrap();
        assert_eq!((batch.count(), batch.as_bytes()), (2, before.as_slice()));
        while batch.push(&[], &[0; PAYLOAD_BYTES_MAX]).is_ok() {}
        assert!(batch.count() == 17 && batch.as_bytes().len() <= RECORDS_BYTES_MAX);
    }
}
