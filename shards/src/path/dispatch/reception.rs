//! The first frame of a connection: a greeting is checked and answered with everything a client
//! needs.

use super::Dispatcher;
use crate::limits::{REQUESTS_IN_FLIGHT_MAX, WAIT_BYTES_MAX};
use crate::path::connection::{Connection, Phase};
use crate::path::decode::Flow;
use ringway_protocol::greeting::{Greet, Welcome};
use ringway_protocol::limits::{FRAME_BYTES_MAX, PAYLOAD_BYTES_MAX, TAKE_MESSAGES_MAX};
use ringway_protocol::{Code, Frame, Header, Kind, Rejection, Request};

/// What a greeting is checked against and answered with, and what a peer may do then.
#[derive(Clone, Debug, Default)]
pub struct Reception {
    /// The token that a greeting must carry; empty for none.
    pub token: Vec<u8>,
    /// The address of each shard, as clients should use it.
    pub addresses: Vec<String>,
    /// Milliseconds of silence after which a peer is probed.
    pub heartbeat_ms: u32,
    /// Messages that a connection may put a second; 0 for any number.
    pub connection_puts_max: u32,
}

impl<S> Dispatcher<'_, S> {
    #[cold]
    pub(super) fn greet(&mut self, connection: &mut Connection<S>, frame: Frame<'_>) -> Flow {
        match self.welcome(frame) {
            Ok(welcome) => {
                let Header { stream, request, .. } = frame.header;
                let header = Header::reply(Kind::Greet, Code::Ok, stream, request);
                ringway_protocol::frame::write(&mut connection.outbox.bytes, header, |out| {
                    welcome.encode(out);
                });
                connection.phase = Phase::Ready;
                Flow::Welcomed
            }
            Err(why) => {
                self.performer.stats().refused.add(1);
                connection.part(Some(why));
                Flow::Close
            }
        }
    }

    fn welcome(&self, frame: Frame<'_>) -> Result<Welcome, Rejection> {
        if frame.header.kind != Kind::Greet as u8 {
            return Err(Rejection::new(Code::NotGreeted, "the first frame is not a greeting"));
        }
        let greet = match Request::decode(frame)? {
            Request::Greet(greet) => greet,
            _ => unreachable!("the kind was looked at"),
        };
        let version = greet.agree()?;
        if !self.is_authorized(&greet) {
            return Err(Rejection::new(Code::Unauthorized, "the token is missing or wrong"));
        }
        Ok(Welcome {
            version,
            shard: self.performer.shard as u16,
            frame_bytes_max: FRAME_BYTES_MAX as u32,
            payload_bytes_max: PAYLOAD_BYTES_MAX as u32,
            take_messages_max: TAKE_MESSAGES_MAX,
            requests_in_flight_max: REQUESTS_IN_FLIGHT_MAX,
            wait_bytes_max: WAIT_BYTES_MAX as u32,
            heartbeat_ms: self.reception.heartbeat_ms,
            shards: self.reception.addresses.clone(),
        })
    }

    /// Compares in a time that depends on the lengths only.
    fn is_authorized(&self, greet: &Greet<'_>) -> bool {
        let token = &self.reception.token;
        let differs = token.iter().zip(greet.token).fold(0, |acc, (a, b)| acc | (a ^ b));
        token.is_empty() || (differs == 0 && token.len() == greet.token.len())
    }
}
