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
    PUT_STRETCHES_MAX,
};

pub use crate::attribute::{Attribute, Tags, Traits};

/// Every record starts with this many bytes.
pub const RECORD_HEADER_BYTES: usize = 8;

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

    /// What decides how the message is queued: every attribute but the headers.
    #[inline]
    pub fn traits(&self) -> Traits<'a> {
        Traits::of(self.attributes)
    }

    /// The names and values of the message's headers.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + use<'a> {
        self.attributes().filter_map(|attribute| match attribute {
            Attribute::Header { name, value } => Some((name, value)),
            _ => None,
        })
    }
}

/// A batch of whole, valid records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Records<'a> {
    bytes: &'a [u8],
    count: u32,
    /// Which attributes the records have, all of them together.
    tags: Tags,
    milestones: Milestones,
}

/// Milestones of a batch at most.
const MILESTONES: usize = 16;

/// Where every so many records of a batch end, known since it was parsed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Milestones {
    stride: u32,
    passed: u32,
    ends: [u32; MILESTONES],
}

impl Milestones {
    #[inline]
    fn new(count: u32) -> Self {
        let stride = count.div_ceil(MILESTONES as u32).max(MILESTONES as u32);
        Self { stride, passed: 0, ends: [0; MILESTONES] }
    }

    /// The next stretch of records, the last one maybe shorter, ends at a byte.
    #[inline]
    fn add(&mut self, end: usize) {
        if let Some(place) = self.ends.get_mut(self.passed as usize) {
            *place = end as u32;
            self.passed += 1;
        }
    }

    /// How many records follow `parsed` ones until the next milestone.
    fn until_next(&self, parsed: u32) -> u32 {
        (self.passed + 1) * self.stride - parsed
    }

    /// Counts of records and their bytes, in ascending order: all but the whole batch.
    #[inline]
    pub fn inside(&self, count: u32) -> impl Iterator<Item = (u32, u32)> {
        let stride = self.stride;
        let ends = self.ends[..self.passed as usize].iter().zip(1..);
        ends.map(move |(end, number)| (number * stride, *end)).filter(move |(at, _)| *at < count)
    }
}

/// Where a check of plain records stopped.
#[derive(Debug)]
pub(crate) struct Stop<'a> {
    rest: &'a [u8],
    left: u32,
    milestones: Milestones,
}

impl<'a> Records<'a> {
    /// Checks that `bytes` are exactly `count` records, at least one.
    #[inline]
    pub fn parse(bytes: &'a [u8], count: u32) -> Result<Self, Rejection> {
        Self::parse_plain(bytes, count).or_else(|at| Self::parse_from(bytes, count, at))
    }

    /// The same for records that are mere payloads: the usual path, with one branch a record. At
    /// anything else it says where it stopped, for [`Records::parse_from`] to go on.
    #[inline]
    pub(crate) fn parse_plain(bytes: &'a [u8], count: u32) -> Result<Self, Stop<'a>> {
        let mut milestones = Milestones::new(count);
        let (mut rest, mut left) = (bytes, count);
        while left > 0 {
            for _ in 0..milestones.stride.min(left) {
                match cut(rest) {
                    Ok((word, record, after)) if is_plain(word, record) => rest = after,
                    _ => return Err(Stop { rest, left, milestones }),
                }
                left -= 1;
            }
            // The end of the batch is none: so a few records leave none to be copied with them.
            if left > 0 {
                milestones.add(bytes.len() - rest.len());
            }
        }
        if count > 0 && rest.is_empty() {
            Ok(Self { bytes, count, tags: Tags::NONE, milestones })
        } else {
            Err(Stop { rest, left, milestones })
        }
    }

    /// Goes on where [`Records::parse_plain`] stopped, with so many records left.
    #[inline(never)]
    pub(crate) fn parse_from(
        bytes: &'a [u8],
        count: u32,
        Stop { mut rest, left, mut milestones }: Stop<'a>,
    ) -> Result<Self, Rejection> {
        let mut tags = Tags::NONE;
        let mut until = milestones.until_next(count - left);
        for _ in 0..left {
            let (word, record, after) = cut(rest)?;
            if !is_plain(word, record) {
                tags = tags | check_attributes(word, record)?;
            }
            rest = after;
            until -= 1;
            if until == 0 {
                milestones.add(bytes.len() - rest.len());
                until = milestones.stride;
            }
        }
        if count == 0 || !rest.is_empty() {
            return Err(Rejection::malformed("the count of records does not match their bytes"));
        }
        Ok(Self { bytes, count, tags, milestones })
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

    /// Where every so many of the records end.
    #[inline]
    pub fn milestones(&self) -> &Milestones {
        &self.milestones
    }

    /// Which attributes the records have, all of them together: known since they were parsed.
    #[inline]
    pub fn tags(&self) -> Tags {
        self.tags
    }

    /// Refuses what may be delivered but not put: attributes in the room that dead letters need,
    /// and more messages than a receipt can name one by one.
    #[inline]
    pub(crate) fn check_put(&self) -> Result<(), Rejection> {
        // A key alone is within every limit, so the batches of keyed queues pass here too.
        if Tags::KEY.contains(self.tags) { Ok(()) } else { self.check_put_attributes() }
    }

    #[inline(never)]
    fn check_put_attributes(&self) -> Result<(), Rejection> {
        // Only headers may repeat; without them no record gets anywhere near the limit.
        let too_large = |record: Record<'_>| record.attributes.len() > ATTRIBUTES_BYTES_MAX;
        if self.tags.meets(Tags::HEADER) && self.iter().any(too_large) {
            return Err(ATTRIBUTES_TOO_LARGE);
        }
        if self.tags.meets(Tags::SCATTERING) && self.count > PUT_STRETCHES_MAX {
            return Err(Rejection::new(
                Code::TooLarge,
                "a batch with delays, times, priorities or repeats has up to 4,096 messages",
            ));
        }
        Ok(())
    }
}

/// The first record as its header in one word and what follows it, and the bytes after the record.
#[inline]
fn cut(bytes: &[u8]) -> Result<(u64, &[u8], &[u8]), Rejection> {
    let Some((head, after)) = bytes.split_first_chunk::<RECORD_HEADER_BYTES>() else {
        return Err(Rejection::malformed("a record's header is cut off"));
    };
    let word = u64::from_le_bytes(*head);
    let Some((record, after)) = after.split_at_checked(word as u32 as usize) else {
        return Err(Rejection::malformed("a record is longer than the batch that holds it"));
    };
    Ok((word, record, after))
}

/// Whether a record has no attributes, nothing reserved, and a payload in bounds.
#[inline]
fn is_plain(word: u64, record: &[u8]) -> bool {
    word >> 32 == 0 && record.len() <= PAYLOAD_BYTES_MAX
}

const ATTRIBUTES_TOO_LARGE: Rejection =
    Rejection::new(Code::TooLarge, "the attributes of a message are longer than 4 KiB");

/// The bytes of the record at the front of `bytes`, which must be valid: its header names them.
///
/// Panics if `bytes` are shorter than a record's header.
#[inline]
pub fn record_bytes(bytes: &[u8]) -> usize {
    record_length(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

/// The bytes of a record whose header states this length.
pub(crate) fn record_length(length: u32) -> usize {
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
#[inline]
fn check_attributes(word: u64, record: &[u8]) -> Result<Tags, Rejection> {
    // A key and nothing else is what keyed queues get all day, an id alone what those get that
    // recognise repeats: a few comparisons for it.
    if let [tag @ (Attribute::KEY | Attribute::DEDUPLICATION_ID), low, high, ..] = record {
        let value = usize::from(u16::from_le_bytes([*low, *high]));
        let attributes = (word >> 32) as usize;
        let alone = attributes == 3 + value && (1..=ATTRIBUTE_VALUE_BYTES_MAX).contains(&value);
        if alone && (attributes..=attributes + PAYLOAD_BYTES_MAX).contains(&record.len()) {
            return Ok(if *tag == Attribute::KEY { Tags::KEY } else { Tags::DEDUPLICATION });
        }
    }
    check_rare(word, record)
}

#[inline(never)]
fn check_rare(word: u64, record: &[u8]) -> Result<Tags, Rejection> {
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
    let mut seen = Tags::NONE;
    while !reader.is_empty() {
        let tag = Tags::of(&Attribute::decode(&mut reader)?);
        if seen.meets(tag) && tag != Tags::HEADER {
            return Err(Rejection::malformed("an attribute is there twice"));
        }
        seen = seen | tag;
    }
    if seen.contains(Tags::DELAY | Tags::AT) {
        return Err(Rejection::malformed("a message has a delay or a time, not both"));
    }
    Ok(seen)
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
