//! What the takes of a connection may bring at most: counted when they are asked, so that replies
//! find room.

use crate::limits::{OUTBOUND_BYTES_MAX, WAIT_BYTES_MAX};
use crate::path::connection::Connection;
use crate::path::perform::promised_bytes;
use ringway_protocol::request::Take;
use ringway_protocol::{Code, Rejection};

/// The most bytes that a reply from elsewhere can have, and whether its take may wait for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Promise {
    /// The bytes; 0 for what is not counted.
    pub bytes: usize,
    /// Whether it may wait.
    pub waits: bool,
}

impl Promise {
    /// What a take promises.
    pub fn of(take: &Take) -> Self {
        Self { bytes: promised_bytes(take), waits: take.wait_ms > 0 }
    }

    /// Whether a connection may be promised so much more: refused if not ever, `false` if not yet.
    pub fn is_due<S>(&self, connection: &Connection<S>) -> Result<bool, Rejection> {
        if self.waits && connection.promised + self.bytes > WAIT_BYTES_MAX {
            let sentence = "the waiting takes of this connection ask for more than 8 MiB together";
            return Err(Rejection::new(Code::TooManyWaits, sentence));
        }
        let owed = connection.expected + connection.owed;
        Ok(self.waits || owed + self.bytes <= OUTBOUND_BYTES_MAX)
    }

    /// Counts it.
    pub fn make<S>(&self, connection: &mut Connection<S>) {
        if self.waits {
            connection.promised += self.bytes;
        } else {
            connection.expected += self.bytes;
        }
    }
}
