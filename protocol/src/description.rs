//! What a queue is: its options, which can be read, changed and written back, and its name.

use crate::bytes::Reader;
use crate::code::{Code, Rejection};
use crate::frame::{self, Header, Kind};
use crate::name::QueueName;
use crate::options::QueueOptions;

/// What a queue was declared with and altered to, and what of it is paused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Description<'a> {
    /// All of its options.
    pub options: QueueOptions,
    /// Whether puts are refused.
    pub puts_paused: bool,
    /// Whether takes get nothing.
    pub takes_paused: bool,
    /// On how many shards it lies; 1 for a queue that is not spread.
    pub parts: u16,
    /// Its name.
    pub name: &'a str,
}

impl<'a> Description<'a> {
    pub(crate) fn decode(reader: &mut Reader<'a>) -> Result<Self, Rejection> {
        let options = QueueOptions::decode(reader)?;
        let (paused, parts) = (reader.u8()?, reader.u16()?);
        reader.reserved(5)?;
        if paused > 3 || parts == 0 {
            return Err(Rejection::malformed("a queue has parts, and a pause of 0 to 3"));
        }
        let name = QueueName::check(reader.rest())?;
        let (puts_paused, takes_paused) = (paused & 1 != 0, paused & 2 != 0);
        Ok(Self { options, puts_paused, takes_paused, parts, name })
    }
}

/// Appends the reply to a describe.
pub fn described(out: &mut Vec<u8>, (stream, request): (u32, u32), what: &Description<'_>) {
    let paused = u8::from(what.puts_paused) | u8::from(what.takes_paused) << 1;
    frame::write(out, Header::reply(Kind::Describe, Code::Ok, stream, request), |out| {
        what.options.encode(out);
        out.push(paused);
        out.extend_from_slice(&what.parts.to_le_bytes());
        out.extend_from_slice(&[0; 5]);
        out.extend_from_slice(what.name.as_bytes());
    });
}
