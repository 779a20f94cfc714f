//! A request becomes a frame.

use super::Request;
use crate::frame::{self, Header};
use crate::options::{OPTIONS_BYTES, QueueOptions};

impl Request<'_> {
    /// Appends this request as one frame.
    pub fn encode(&self, stream: u32, request: u32, out: &mut Vec<u8>) {
        let header = Header::request(self.kind(), stream, request);
        frame::write(out, header, |out| self.encode_body(out));
    }

    fn encode_body(&self, out: &mut Vec<u8>) {
        let mut field = |bytes: &[u8]| out.extend_from_slice(bytes);
        match self {
            Request::Stat { queue } => field(&queue.map_or(0, |queue| queue.0).to_le_bytes()),
            Request::Open { name } => field(name.as_bytes()),
            Request::Ping => {}
            Request::Echo(body) => field(body),
            Request::Bindings { cursor, limit } => {
                field(&cursor.to_le_bytes());
                field(&limit.to_le_bytes());
            }
            Request::List { cursor, limit, prefix } => {
                field(&cursor.to_le_bytes());
                field(&limit.to_le_bytes());
                field(prefix.as_bytes());
            }
            Request::Purge { queue }
            | Request::Delete { queue }
            | Request::Groups { queue }
            | Request::Describe { queue } => {
                field(&queue.0.to_le_bytes());
            }
            Request::Extend { queue, lease, lease_ms } => {
                field(&queue.0.to_le_bytes());
                field(&lease.0.to_le_bytes());
                field(&u64::from(*lease_ms).to_le_bytes());
            }
            Request::Unsubscribe { queue, subscription } => {
                field(&queue.0.to_le_bytes());
                field(&subscription.0.to_le_bytes());
            }
            Request::Rename { queue, name } => {
                field(&queue.0.to_le_bytes());
                field(name.as_bytes());
            }
            Request::Pause { queue, puts, takes } => {
                field(&queue.0.to_le_bytes());
                field(&(u64::from(*puts) | u64::from(*takes) << 1).to_le_bytes());
            }
            Request::Alter { queue, options } => {
                field(&queue.0.to_le_bytes());
                options.encode(out);
            }
            Request::Remove { queue, sequences } => {
                field(&queue.0.to_le_bytes());
                sequences.encode(out);
            }
            Request::Declare { name, options } => encode_declare(name, options.as_ref(), out),
            Request::Greet(greet) => greet.encode(out),
            Request::Put(put) => put.encode(out),
            Request::Take(take) => take.encode(out),
            Request::Ack(settle) | Request::Nack(settle) => settle.encode(out),
            Request::Credit(credit) => credit.encode(out),
            Request::Subscribe(subscribe) => subscribe.encode(out),
            Request::Group(change) => change.encode(out),
            Request::Browse(browse) => browse.encode(out),
            Request::Move(wanted) => wanted.encode(out),
            Request::Transfer(transfer) => transfer.encode(out),
            Request::Bind(binding) | Request::Unbind(binding) => binding.encode(out),
            Request::Publish(publish) => publish.encode(out),
        }
    }
}

fn encode_declare(name: &str, options: Option<&QueueOptions>, out: &mut Vec<u8>) {
    // A length that does not fit is written as 0, which every server refuses.
    let name_length = u8::try_from(name.len()).unwrap_or(0);
    out.extend_from_slice(&[u8::from(options.is_some()), name_length, 0, 0]);
    match options {
        Some(options) => options.encode(out),
        None => out.extend_from_slice(&[0; OPTIONS_BYTES]),
    }
    out.extend_from_slice(name.as_bytes());
}
