//! The first exchange: a version, the limits, and where each shard listens.

use crate::bytes::{Reader, text};
use crate::code::{Code, Rejection};
use crate::limits::{SHARDS_MAX, TOKEN_BYTES_MAX};

/// The first four bytes of a greeting's body.
pub const MAGIC: [u8; 4] = *b"RWAY";
/// The only version so far.
pub const VERSION: u16 = 1;

/// What a client says first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Greet<'a> {
    /// The oldest version that the client speaks.
    pub version_min: u16,
    /// The newest version that the client speaks.
    pub version_max: u16,
    /// The access token; empty for none. At most 1,024 bytes.
    pub token: &'a [u8],
}

impl<'a> Greet<'a> {
    /// A greeting of this version.
    pub fn new(token: &'a [u8]) -> Self {
        Self { version_min: VERSION, version_max: VERSION, token }
    }

    /// Reads the body of a greeting.
    ///
    /// The magic and the versions stand where they stand in every version; what follows them is
    /// read only if version 1 is offered, so that a newer client learns why it is turned away.
    pub fn decode(body: &'a [u8]) -> Result<Self, Rejection> {
        let mut reader = Reader::new(body);
        if reader.bytes(MAGIC.len())? != MAGIC {
            return Err(Rejection::malformed("the greeting does not start with RWAY"));
        }
        let (version_min, version_max) = (reader.u16()?, reader.u16()?);
        if version_min > version_max {
            return Err(Rejection::malformed("the oldest version is above the newest"));
        }
        Self { version_min, version_max, token: &[] }.agree()?;
        let token_length = usize::from(reader.u16()?);
        reader.reserved(2)?;
        if token_length > TOKEN_BYTES_MAX {
            return Err(Rejection::malformed("the token is longer than 1,024 bytes"));
        }
        let token = reader.bytes(token_length)?;
        reader.end()?;
        Ok(Self { version_min, version_max, token })
    }

    /// Appends the body of a greeting.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&self.version_min.to_le_bytes());
        out.extend_from_slice(&self.version_max.to_le_bytes());
        out.extend_from_slice(&(self.token.len() as u16).to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(self.token);
    }

    /// The version to speak, if there is one that both sides know.
    pub fn agree(&self) -> Result<u16, Rejection> {
        if (self.version_min..=self.version_max).contains(&VERSION) {
            Ok(VERSION)
        } else {
            Err(Rejection::new(Code::UnsupportedVersion, "this server speaks version 1 only"))
        }
    }
}

/// What the server answers: everything that a client needs to stay within the limits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Welcome {
    /// The version that both sides speak from now on.
    pub version: u16,
    /// The shard that serves this connection.
    pub shard: u16,
    /// Longest body of one frame, in bytes.
    pub frame_bytes_max: u32,
    /// Longest payload of one message, in bytes.
    pub payload_bytes_max: u32,
    /// Most messages that one take returns.
    pub take_messages_max: u32,
    /// Most requests in flight on this connection; more are read later, not refused.
    pub requests_in_flight_max: u32,
    /// Most bytes of replies that waiting takes of this connection may promise.
    pub wait_bytes_max: u32,
    /// After this long without a sign of life, the server probes; after twice as long it closes.
    pub heartbeat_ms: u32,
    /// The address of each shard, as `host:port`; an empty text where it has none of its own.
    pub shards: Vec<String>,
}

impl Welcome {
    /// Reads the body of the reply to a greeting.
    pub fn decode(body: &[u8]) -> Result<Self, Rejection> {
        let mut reader = Reader::new(body);
        let (version, shard) = (reader.u16()?, reader.u16()?);
        let mut welcome = Self {
            version,
            shard,
            frame_bytes_max: reader.u32()?,
            payload_bytes_max: reader.u32()?,
            take_messages_max: reader.u32()?,
            requests_in_flight_max: reader.u32()?,
            wait_bytes_max: reader.u32()?,
            heartbeat_ms: reader.u32()?,
            shards: Vec::new(),
        };
        let shards = usize::from(reader.u16()?);
        reader.reserved(2)?;
        if shards == 0 || shards > SHARDS_MAX || usize::from(shard) >= shards {
            return Err(Rejection::malformed("the welcome names an impossible shard"));
        }
        for _ in 0..shards {
            let length = usize::from(reader.u8()?);
            welcome.shards.push(text(reader.bytes(length)?)?.to_owned());
        }
        reader.end()?;
        Ok(welcome)
    }

    /// Appends the body of the reply to a greeting.
    ///
    /// An address over 255 bytes is written as none: a part of it would name another host.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.version.to_le_bytes());
        out.extend_from_slice(&self.shard.to_le_bytes());
        for number in [
            self.frame_bytes_max,
            self.payload_bytes_max,
            self.take_messages_max,
            self.requests_in_flight_max,
            self.wait_bytes_max,
            self.heartbeat_ms,
        ] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&(self.shards.len() as u16).to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        for address in &self.shards {
            let length = u8::try_from(address.len()).unwrap_or(0);
            out.push(length);
            out.extend_from_slice(&address.as_bytes()[..usize::from(length)]);
        }
    }
}
