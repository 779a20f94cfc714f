//! What requests may bring their connection at most: counted when they are asked, so that replies
//! find room.

use crate::limits::{OUTBOUND_BYTES_MAX, WAIT_BYTES_MAX};
use crate::path::connection::Connection;
pub use crate::path::handoff::Promise;
use crate::path::perform::{TOO_MUCH, promised_bytes};
use ringway_protocol::request::Take;
use ringway_protocol::{Frame, Kind, Rejection, Request};

impl Promise {
    /// What a take promises.
    pub fn of(take: &Take) -> Self {
        Self { bytes: promised_bytes(take), waits: take.wait_ms > 0 }
    }

    /// Whether a connection may be promised so much more: refused if not ever, `false` if not yet.
    pub fn is_due<S>(&self, connection: &Connection<S>) -> Result<bool, Rejection> {
        if self.waits && connection.promised + self.bytes > WAIT_BYTES_MAX {
            return Err(TOO_MUCH);
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

/// What a request to another shard is promised; `None` if its connection owes too much for it now.
pub fn promise<S>(
    connection: &Connection<S>,
    frame: Frame<'_>,
) -> Result<Option<Promise>, Rejection> {
    match Kind::from_number(frame.header.kind) {
        Some(Kind::Take | Kind::Subscribe | Kind::Credit | Kind::Unsubscribe) => {}
        _ => return Ok(Some(Promise::default())),
    }
    let left = WAIT_BYTES_MAX - connection.promised;
    let promise = match Request::decode(frame)? {
        Request::Take(take) => Promise::of(&take),
        Request::Subscribe(subscribe) => {
            Promise { bytes: subscribe.credit_bytes() as usize, waits: true }
        }
        // What it had before counts, too; only its own shard knows how much that is.
        Request::Credit(credit) => {
            Promise { bytes: (credit.credit_bytes() as usize).min(left), waits: true }
        }
        _ => Promise { bytes: 0, waits: true },
    };
    Ok(promise.is_due(connection)?.then_some(promise))
}
