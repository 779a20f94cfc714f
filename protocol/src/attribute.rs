//! What a message carries beside its payload, and what of it decides how the message is queued.

use crate::bytes::Reader;
use crate::code::{Code, Rejection};
use crate::limits::{AT_MS_MAX, ATTRIBUTE_VALUE_BYTES_MAX, DURATION_MS_MAX};

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
    /// Tag 7: when the message becomes ready, in milliseconds since 1970 (u64).
    AtMs(u64),
    /// Tag 6: a named value for the consumer; u8 length of the name, name, value. May repeat.
    Header {
        /// 1 to 255 bytes of UTF-8.
        name: &'a str,
        /// Any bytes.
        value: &'a [u8],
    },
}

impl<'a> Attribute<'a> {
    /// The tag of a key.
    pub(crate) const KEY: u8 = 1;
    /// The tag of a deduplication id.
    pub(crate) const DEDUPLICATION_ID: u8 = 5;

    pub(crate) fn decode(reader: &mut Reader<'a>) -> Result<Self, Rejection> {
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
            7 => Attribute::AtMs(fields.u64()?),
            _ => return Err(Rejection::malformed("an attribute has an unknown tag")),
        };
        fields.end()?;
        match attribute {
            Attribute::Priority(band) if band > 7 => {
                Err(Rejection::new(Code::InvalidOption, "a priority is 0 to 7"))
            }
            Attribute::DelayMs(time) | Attribute::TimeToLiveMs(time) if time > DURATION_MS_MAX => {
                Err(Rejection::new(
                    Code::InvalidOption,
                    "a delay or time to live is at most 3,155,760,000,000 ms (100 years)",
                ))
            }
            Attribute::AtMs(time) if time > AT_MS_MAX => Err(Rejection::new(
                Code::InvalidOption,
                "the time of a message is at most 10,000,000,000,000 ms after 1970",
            )),
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
            Attribute::AtMs(_) => 7,
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
            Attribute::TimeToLiveMs(time) | Attribute::AtMs(time) => field(&[&time.to_le_bytes()]),
            Attribute::Priority(band) => field(&[&[*band]]),
            Attribute::DeduplicationId(id) => field(&[id]),
            Attribute::Header { name, value } => {
                field(&[&[u8::try_from(name.len()).unwrap_or(0)], name.as_bytes(), value]);
            }
        }
    }
}

/// A set of kinds of attributes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tags(u8);

impl Tags {
    /// No attribute at all.
    pub const NONE: Tags = Tags(0);
    /// Keys.
    pub const KEY: Tags = Tags(1 << 1);
    /// Delays.
    pub const DELAY: Tags = Tags(1 << 2);
    /// Times to live.
    pub const TIME_TO_LIVE: Tags = Tags(1 << 3);
    /// Priorities.
    pub const PRIORITY: Tags = Tags(1 << 4);
    /// Deduplication ids.
    pub const DEDUPLICATION: Tags = Tags(1 << 5);
    /// Headers: the only ones that leave the queue alone.
    pub const HEADER: Tags = Tags(1 << 6);
    /// Times of delivery.
    pub const AT: Tags = Tags(1 << 7);
    /// Those that change how a message is queued: all but headers.
    pub const QUEUEING: Tags = Tags(!Tags::HEADER.0 & !1);
    /// Those by which the messages of one batch come to stand in different places.
    pub const SCATTERING: Tags =
        Tags(Tags::DELAY.0 | Tags::AT.0 | Tags::PRIORITY.0 | Tags::DEDUPLICATION.0);

    /// The set of one attribute's kind.
    #[inline]
    pub fn of(attribute: &Attribute<'_>) -> Self {
        Self(1 << attribute.tag())
    }

    /// Whether all of `other` is in this set.
    #[inline]
    pub const fn contains(self, other: Tags) -> bool {
        other.0 & !self.0 == 0
    }

    /// Whether any of `other` is in this set.
    #[inline]
    pub const fn meets(self, other: Tags) -> bool {
        self.0 & other.0 != 0
    }
}

impl std::ops::BitOr for Tags {
    type Output = Self;

    #[inline]
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What decides how a message is queued; what it does not say is 0 or `None`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Traits<'a> {
    /// Messages with one key keep their order.
    pub key: Option<&'a [u8]>,
    /// Milliseconds until the message becomes ready.
    pub delay_ms: u64,
    /// When the message becomes ready, in milliseconds since 1970.
    pub at_ms: u64,
    /// Milliseconds until the message expires.
    pub ttl_ms: u64,
    /// The priority band, 0 to 7.
    pub priority: u8,
    /// Names the message for deduplication.
    pub deduplication: Option<&'a [u8]>,
}

impl<'a> Traits<'a> {
    /// Reads attributes that have been checked.
    #[inline]
    pub(crate) fn of(mut attributes: &'a [u8]) -> Self {
        let mut traits = Self::default();
        while let [tag, low, high, rest @ ..] = attributes {
            let length = usize::from(u16::from_le_bytes([*low, *high]));
            let Some((value, after)) = rest.split_at_checked(length) else { break };
            let number = || value.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
            match tag {
                1 => traits.key = Some(value),
                2 => traits.delay_ms = number(),
                3 => traits.ttl_ms = number(),
                4 => traits.priority = value.first().copied().unwrap_or(0),
                5 => traits.deduplication = Some(value),
                7 => traits.at_ms = number(),
                _ => {}
            }
            attributes = after;
        }
        traits
    }
}
