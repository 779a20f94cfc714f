//! One message in wire format, and a batch of them.
//!
//! ```text
//!  0        4            6          8
//!  | length | attributes | reserved | attributes ... | payload ...
//!  | u32    | u16        | u16 = 0  | that many bytes| the rest of length
//! ```
//! `length` counts what follows the 8 bytes. An attribute is a tag (u8), its length (u16) and its
//! value.
//! The bytes that a producer sent are stored and delivered untouched.

use crate::bytes::Reader;
use crate::code::{Code, Rejection};
use crate::limits::{
    ATTRIBUTE_VALUE_BYTES_MAX, ATTRIBUTES_BYTES_MAX, DEAD_LETTER_BYTES_MAX, PAYLOAD_BYTES_MAX,
};

/// Every record starts with this many bytes.
pub const RECORD_HEADER_BYTES: usize = 8;

/// What a message can carry beside its payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Attribute<'a> {
    /// Tag 1: messages with one key keep their order. 1 to 1,024 bytes.
    Key(&'a [u8]),
    /// Tag 2: milliseconds until the message becomes ready (u64).
    DelayMs(u64),
    /// Tag 3: milliseconds until the message expires (u64).
    TimeToLiveMs(u64),
    /// Tag 4: the priority band, 0 to 7 (u8).
    Priority(u8),
    /// Tag 5: names the message for deduplication. 1 to 1,024 bytes.
    DeduplicationId(&'a [u8]),
    /// Tag 6: a named value for the consumer; u8 length of the name, name, value. May repeat.
    Header {
        /// 1 to 255 bytes of UTF-8.
        name: &'a str,
        /// Any bytes.
        value: &'a [u8],
    },
}

impl<'a> Attribute<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, Rejection> {
        let tag = reader.u8()?;
        let length = usize::from(reader.u16()?);
        let value = reader.bytes(length)?;
        if length > ATTRIBUTE_VALUE_BYTES_MAX {
            return Err(Rejection::malformed("an attribute is longer than 1,024 bytes"));
        }
        let mut fields = Reader::new(value);
        let attribute = match tag {
            1 | 5 if value.is_empty() => {
                return Err(Rejection::malformed("a key or deduplication id is empty"));
            }
            1 => Attribute::Key(fields.rest()),
            2 => Attribute::DelayMs(fields.u64()?),
            3 => Attribute::TimeToLiveMs(fields.u64()?),
            4 => Attribute::Priority(fields.u8()?),
            5 => Attribute::DeduplicationId(fields.rest()),
            6 => {
                let name_length = usize::from(fields.u8()?);
                let name = crate::bytes::text(fields.bytes(name_length)?)?;
                if name.is_empty() {
                    return Err(Rejection::malformed("a header has no name"));
                }
                Attribute::Header { name, value: fields.rest() }
            }
            _ => return Err(Rejection::malformed("an attribute has an unknown tag")),
        };
        fields.end()?;
        match attribute {
            Attribute::Priority(band) if band > 7 => {
                Err(Rejection::malformed("a priority is above 7"))
            }
            attribute => Ok(attribute),
        }
    }

    /// The number on the wire.
    pub fn tag(&self) -> u8 {
        match self {
            Attribute::Key(_) => 1,
            Attribute::DelayMs(_) => 2,
            Attribute::TimeToLiveMs(_) => 3,
            Attribute::Priority(_) => 4,
            Attribute::DeduplicationId(_) => 5,
            Attribute::Header { .. } => 6,
        }
    }

    /// Appends the attribute. What is over its limit makes a record that every server rejects:
    /// a length that does not fit its field is written as one that is refused.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut field = |parts: &[&[u8]]| {
            let length: usize = parts.iter().map(|part| part.len()).sum();
            out.push(self.tag());
            out.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes());
            parts.iter().for_each(|part| out.extend_from_slice(part));
        };
        match self {
            Attribute::Key(key) => field(&[key]),
            Attribute::DelayMs(delay) => field(&[&delay.to_le_bytes()]),
            Attribute::TimeToLiveMs(time) => field(&[&time.to_le_bytes()]),
            Attribute::Priority(band) => field(&[&[*band]]),
            Attribute::DeduplicationId(id) => field(&[id]),
            Attribute::Header { name, value } => {
                field(&[&[u8::try_from(name.len()).unwrap_or(0)], name.as_bytes(), value]);
            }
        }
    }
}

/// One message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record<'a> {
    attributes: &'a [u8],
    /// What the producer sent.
    pub payload: &'a [u8],
}

impl<'a> Record<'a> {
    /// The message's attributes, checked when the record was.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'a>> + use<'a> {
        let mut reader = Reader::new(self.attributes);
        std::iter::from_fn(move || Attribute::decode(&mut reader).ok())
    }
}

/// A batch of whole, valid records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Records<'a> {
    bytes: &'a [u8],
    count: u32,
    /// Whether a record may have attributes: false promises that none has.
    any_attributes: bool,
}

impl<'a> Records<'a> {
    /// Checks that `bytes` are exactly `count` records, at least one.
    #[inline]
    pub fn parse(bytes: &'a [u8], count: u32) -> Result<Self, Rejection> {
        let mut rest = bytes;
        let mut any_attributes = false;
        for _ in 0..count {
            let Some((head, after)) = rest.split_first_chunk::<RECORD_HEADER_BYTES>() else {
                return Err(Rejection::malformed("a record's header is cut off"));
            };
            let word = u64::from_le_bytes(*head);
            let length = word as u32 as usize;
            let Some((record, after)) = after.split_at_checked(length) else {
                return Err(Rejection::malformed(
                    "a record is longer than the batch that holds it",
                ));
            };
            // One branch on the usual path: no attributes, nothing reserved, a payload in bounds.
            if word >> 32 != 0 || length > PAYLOAD_BYTES_MAX {
                check_rare(word, record)?;
                any_attributes = true;
            }
            rest = after;
        }
        if count == 0 || !rest.is_empty() {
            return Err(Rejection::malformed("the count of records does not match their bytes"));
        }
        Ok(Self { bytes, count, any_attributes })
    }

    /// The records as they were sent.
    #[inline]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// How many they are.
    #[inline]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The records one by one.
    pub fn iter(&self) -> impl Iterator<Item = Record<'a>> + use<'a> {
        let mut rest = self.bytes;
        std::iter::from_fn(move || {
            let (record, after) = first(rest)?;
            rest = after;
            Some(record)
        })
    }

    /// Refuses what may be delivered but not put: attributes in the room that dead letters need,
    /// and those that ask for what only a later version does.
    #[inline]
    pub(crate) fn check_put(&self) -> Result<(), Rejection> {
        if self.any_attributes { self.check_put_attributes() } else { Ok(()) }
    }

    #[cold]
    fn check_put_attributes(&self) -> Result<(), Rejection> {
        if self.iter().any(|record| record.attributes.len() > ATTRIBUTES_BYTES_MAX) {
            return Err(ATTRIBUTES_TOO_LARGE);
        }
        match self.unsupported_attribute() {
            Some(_) => Err(Rejection::new(
                Code::Unsupported,
                "of the attributes of a message only headers are supported yet",
            )),
            None => Ok(()),
        }
    }

    /// The first attribute that only a later version acts on: anything but headers.
    pub fn unsupported_attribute(&self) -> Option<Attribute<'a>> {
        if !self.any_attributes {
            return None;
        }
        self.iter()
            .flat_map(|record| record.attributes())
            .find(|attribute| !matches!(attribute, Attribute::Header { .. }))
    }
}

const ATTRIBUTES_TOO_LARGE: Rejection =
    Rejection::new(Code::TooLarge, "the attributes of a message are longer than 4 KiB");

/// The bytes of the record at the front of `bytes`, which must be valid: its header names them.
///
/// Panics if `bytes` are shorter than a record's header.
#[inline]
pub fn record_bytes(bytes: &[u8]) -> usize {
    let length = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    RECORD_HEADER_BYTES + length as usize
}

/// The first record of bytes known to be whole records, and what follows it.
pub fn first(bytes: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<RECORD_HEADER_BYTES>()?;
    let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
    let attributes = usize::from(u16::from_le_bytes([head[4], head[5]]));
    let (record, rest) = rest.split_at_checked(length)?;
    let (attributes, payload) = record.split_at_checked(attributes)?;
    Some((Record { attributes, payload }, rest))
}

/// Checks a record that has attributes, a reserved bit, or more bytes than a payload may have.
#[cold]
fn check_rare(word: u64, record: &[u8]) -> Result<(), Rejection> {
    let attributes = usize::from((word >> 32) as u16);
    if word >> 48 != 0 {
        return Err(Rejection::malformed("a reserved field is not zero"));
    }
    if attributes > record.len() {
        return Err(Rejection::malformed("a record's attributes are longer than the record"));
    }
    if attributes > ATTRIBUTES_BYTES_MAX + DEAD_LETTER_BYTES_MAX {
        return Err(ATTRIBUTES_TOO_LARGE);
    }
    if record.len() - attributes > PAYLOAD_BYTES_MAX {
        return Err(Rejection::new(Code::TooLarge, "a message is longer than 64 KiB"));
    }
    let mut reader = Reader::new(&record[..attributes]);
    let mut tags_seen = 0_u8;
    while !reader.is_empty() {
        let attribute = Attribute::decode(&mut reader)?;
        let tag = 1 << attribute.tag();
        if tags_seen & tag != 0 && !matches!(attribute, Attribute::Header { .. }) {
            return Err(Rejection::malformed("an attribute is there twice"));
        }
        tags_seen |= tag;
    }
    Ok(())
}

/// Appends one record. A payload over 64 KiB, or attributes over their limits, make a record that
/// every server rejects.
#[inline]
pub fn write(out: &mut Vec<u8>, attributes: &[Attribute<'_>], payload: &[u8]) {
    let start = out.len();
    out.extend_from_slice(&[0; RECORD_HEADER_BYTES]);
    attributes.iter().for_each(|attribute| attribute.encode(out));
    let attributes_length = out.len() - start - RECORD_HEADER_BYTES;
    out.extend_from_slice(payload);
    let length = u32::try_from(attributes_length + payload.len()).unwrap_or(u32::MAX);
    let attributes_length = u16::try_from(attributes_length).unwrap_or(u16::MAX);
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..start + 6].copy_from_slice(&attributes_length.to_le_bytes());
}
