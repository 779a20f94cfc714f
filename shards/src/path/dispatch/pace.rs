//! How many messages a second a connection may put, where the plane has a limit.

use super::Dispatcher;
use crate::path::connection::Connection;
use crate::path::queue::TokenBucket;
use ringway_protocol::{Code, Frame, Kind, Rejection};

const TOO_FAST: Rejection = Rejection::new(
    Code::QuotaExceeded,
    "the connection puts more messages a second than it may: wait before the next put",
);

impl<S> Dispatcher<'_, S> {
    /// Refuses a frame that puts more than its connection may by now. A frame that had to wait has
    /// been counted.
    #[cold]
    pub(super) fn pace(
        &self,
        connection: &mut Connection<S>,
        frame: Frame<'_>,
    ) -> Result<(), Rejection> {
        let messages = messages_put(frame);
        if messages == 0 || connection.counted {
            return Ok(());
        }
        let (rate, now_ns) = (self.reception.connection_puts_max, self.performer.now.ns);
        let pace = connection.pace.get_or_insert_with(|| Box::new(TokenBucket::new(rate, now_ns)));
        if !pace.try_take(messages, now_ns) {
            return Err(TOO_FAST);
        }
        connection.counted = true;
        Ok(())
    }
}

/// How many messages a frame says that it puts. Whether that is so is found out later.
fn messages_put(frame: Frame<'_>) -> u32 {
    let number = |at: usize| {
        let bytes = frame.body.get(at..).and_then(|bytes| bytes.first_chunk());
        bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
    };
    match Kind::from_number(frame.header.kind) {
        Some(Kind::Put) => number(8),
        // An acknowledgement of so many bytes is before the put.
        Some(Kind::Transfer) => number((number(0) as usize).saturating_add(16)),
        Some(Kind::Publish) => number(4),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringway_protocol::limits::FRAME_BYTES_MAX;
    use ringway_protocol::request::{Publish, Put, Range, encode_transfer};
    use ringway_protocol::{LeaseId, QueueId, Records, Request, Split, frame, record};

    fn count_in(bytes: &[u8]) -> u32 {
        match frame::split(bytes, FRAME_BYTES_MAX) {
            Ok(Split::Frame(frame)) => messages_put(frame),
            other => panic!("a whole frame, not {other:?}"),
        }
    }

    #[test]
    fn messages_are_counted_wherever_their_number_stands() {
        let (queue, lease, mut batch) = (QueueId::new(1, 0, 1), LeaseId(7), Vec::new());
        (0..5).for_each(|_| record::write(&mut batch, &[], b"payload"));
        let records = Records::parse(&batch, 5).expect("five records");
        let put = Put::new(queue, records);
        let frame = |request: Request<'_>| {
            let mut bytes = Vec::new();
            request.encode(0, 1, &mut bytes);
            bytes
        };
        assert_eq!(count_in(&frame(Request::Put(put))), 5);
        assert_eq!(count_in(&frame(Request::Publish(Publish { name: "a.b", records }))), 5);
        let mut bytes = Vec::new();
        let ranges = [Range { first: 0, count: 1 }, Range { first: 3, count: 9 }];
        encode_transfer((queue, lease), &ranges, &put, (0, 1), &mut bytes);
        assert_eq!(count_in(&bytes), 5);
        assert_eq!(count_in(&frame(Request::Ping)), 0);
        let mut short = frame(Request::Ping);
        short[4] = Kind::Transfer as u8;
        assert_eq!(count_in(&short), 0, "what ends too early is refused later");
    }
}
