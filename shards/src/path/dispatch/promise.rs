//! What requests to other shards may bring their connection: promised before they go.

use crate::limits::{OUTBOUND_BYTES_MAX, WAIT_BYTES_MAX};
use crate::path::connection::Connection;
use crate::path::handoff::Promise;
use crate::path::perform::{TOO_MUCH, promised_bytes};
use ringway_protocol::{Frame, Kind, Rejection, Request};

/// What a request is promised; `None` if its connection owes too much for it now.
pub fn promise<S>(
    connection: &Connection<S>,
    frame: Frame<'_>,
) -> Result<Option<Promise>, Rejection> {
    match Kind::from_number(frame.header.kind) {
        Some(Kind::Take | Kind::Subscribe | Kind::Credit | Kind::Unsubscribe) => {}
        _ => return Ok(Some(Promise::default())),
    }
    let left = WAIT_BYTES_MAX - connection.promised;
    let (bytes, waits) = match Request::decode(frame)? {
        Request::Take(take) => (promised_bytes(&take), take.wait_ms > 0),
        Request::Subscribe(subscribe) => (subscribe.credit_bytes() as usize, true),
        // What it had before counts, too; only its own shard knows how much that is.
        Request::Credit(credit) => ((credit.credit_bytes() as usize).min(left), true),
        _ => (0, true),
    };
    if waits && bytes > left {
        return Err(TOO_MUCH);
    }
    let owed = connection.expected + connection.owed;
    let fits = waits || owed + bytes <= OUTBOUND_BYTES_MAX;
    Ok(fits.then_some(Promise { bytes, waits }))
}
