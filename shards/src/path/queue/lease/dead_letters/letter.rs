//! What a dead letter says in front of the message: why, how often, where and when.

use ringway_protocol::limits::{ATTRIBUTES_BYTES_MAX, DEAD_LETTER_BYTES_MAX};
use ringway_protocol::record::{self, RECORD_HEADER_BYTES};
use ringway_protocol::{Attribute, Record};

use crate::path::queue::admin::moving::QUEUE_HEADER;
use crate::path::queue::log::piece::{Piece, short_ms};
use crate::world::Now;

/// Why a message became a dead letter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// It was delivered as often as it may be.
    Deliveries,
    /// Its time to live was over.
    Expired,
    /// Its consumer had no use for it.
    Rejected,
}

impl Reason {
    fn as_str(self) -> &'static str {
        match self {
            Reason::Deliveries => "deliveries",
            Reason::Expired => "expired",
            Reason::Rejected => "rejected",
        }
    }
}

/// What there is to say of one message.
pub struct Letter<'a> {
    pub reason: Reason,
    pub queue: &'a str,
    pub group: &'a str,
    pub message: &'a Piece,
    /// When it was put, on the monotonic clock.
    pub put_ms: u64,
    pub now: Now,
}

/// The headers of a letter, the most telling ones first.
pub const LETTER_HEADERS: [&str; 7] = [
    "ringway-reason",
    "ringway-deliveries",
    QUEUE_HEADER,
    "ringway-sequence",
    "ringway-group",
    "ringway-first-ms",
    "ringway-last-ms",
];

impl Letter<'_> {
    /// Appends the message's record with the headers in front of its attributes, the most telling
    /// ones first: those at the end are left out if there is no room for all of them. Attributes
    /// that have had their effect are left out too: the letter shall not be late, end, or count as
    /// a repeat where it is put.
    pub fn write(&self, record: &[u8], letters: &mut Vec<u8>) {
        let (record, rest) = record::first(record).expect("a stored record is whole");
        debug_assert!(rest.is_empty(), "one message");
        let start = letters.len();
        letters.extend_from_slice(&[0; RECORD_HEADER_BYTES]);
        let attributes = letters.len();
        let ends = self.write_headers(letters);
        kept(&record).for_each(|attribute| attribute.encode(letters));
        let room = ATTRIBUTES_BYTES_MAX + DEAD_LETTER_BYTES_MAX;
        let mut written = ends.len();
        while letters.len() - attributes > room && written > 0 {
            let from = if written == 1 { attributes } else { ends[written - 2] };
            letters.drain(from..ends[written - 1]);
            written -= 1;
        }
        let attributes = letters.len() - attributes;
        letters.extend_from_slice(record.payload);
        let length = (letters.len() - start - RECORD_HEADER_BYTES) as u32;
        letters[start..start + 4].copy_from_slice(&length.to_le_bytes());
        letters[start + 4..start + 6].copy_from_slice(&(attributes as u16).to_le_bytes());
    }

    /// Appends every header, and says where each ends.
    fn write_headers(&self, letters: &mut Vec<u8>) -> [usize; LETTER_HEADERS.len()] {
        let [mut deliveries, mut sequence, mut first_ms, mut last_ms] = [[0; 20]; 4];
        let first = self.first_ms();
        // In the order of `LETTER_HEADERS`.
        let values: [&[u8]; LETTER_HEADERS.len()] = [
            self.reason.as_str().as_bytes(),
            decimal(self.message.deliveries.into(), &mut deliveries),
            self.queue.as_bytes(),
            decimal(self.message.sequence, &mut sequence),
            self.group.as_bytes(),
            first.map_or(&[], |first| decimal(first, &mut first_ms)),
            decimal(self.now.wall_ms, &mut last_ms),
        ];
        let mut names = LETTER_HEADERS.iter();
        values.map(|value| {
            let name = names.next().expect("there are as many values as names");
            if !value.is_empty() {
                Attribute::Header { name, value }.encode(letters);
            }
            letters.len()
        })
    }

    /// When it was delivered first, by the wall clock as it is now. A piece keeps the low 32 bits
    /// of that time, so it is known as long as the message is younger than they can tell apart.
    fn first_ms(&self) -> Option<u64> {
        let age_ms = self.now.ms().saturating_sub(self.put_ms);
        if self.message.deliveries == 0 || age_ms > u64::from(u32::MAX) {
            return None;
        }
        let ago_ms = short_ms(self.now).wrapping_sub(self.message.first_ms);
        Some(self.now.wall_ms.saturating_sub(ago_ms.into()))
    }
}

/// The attributes of a message that its dead letter has too.
fn kept<'a>(record: &Record<'a>) -> impl Iterator<Item = Attribute<'a>> {
    record.attributes().filter(|attribute| {
        !matches!(
            attribute,
            Attribute::DelayMs(_)
                | Attribute::AtMs(_)
                | Attribute::TimeToLiveMs(_)
                | Attribute::DeduplicationId(_)
        )
    })
}

/// A number as decimal digits.
fn decimal(mut number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[at..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringway_protocol::Records;

    const NOW: Now = Now { ns: 5_000_000_000, wall_ms: 1_000_005_000 };

    fn piece(deliveries: u32, first_ms: u32) -> Piece {
        let (segment, offset, bytes) = (0, 0, 0);
        Piece { sequence: 42, segment, offset, bytes, count: 1, deliveries, first_ms }
    }

    /// The headers of a letter, and its other attributes.
    fn write(own: &[Attribute<'_>], letter: Letter<'_>) -> (Vec<(String, String)>, usize) {
        let (mut message, mut letters) = (Vec::new(), Vec::new());
        record::write(&mut message, own, b"payload");
        letter.write(&message, &mut letters);
        let records = Records::parse(&letters, 1).expect("a valid record");
        let record = records.iter().next().expect("one record");
        assert_eq!(record.payload, b"payload");
        let mut headers = Vec::new();
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        for attribute in record.attributes() {
            if let Attribute::Header { name, value } = attribute
                && name.starts_with("ringway-")
            {
                headers.push((name.trim_start_matches("ringway-").into(), text(value)));
            }
        }
        (headers.clone(), record.attributes().count() - headers.len())
    }

    fn check(letter: Letter<'_>, expected: &[(&str, &str)]) {
        let (headers, _) = write(&[], letter);
        let expected: Vec<_> =
            expected.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        assert_eq!(headers, expected);
    }

    #[test]
    fn a_letter_says_why_how_often_where_and_when() {
        let message = &piece(3, 1_500);
        let (queue, group, put_ms, now) = ("jobs", "audit", 1_000, NOW);
        let reason = Reason::Rejected;
        check(
            Letter { reason, queue, group, message, put_ms, now },
            &[
                ("reason", "rejected"),
                ("deliveries", "3"),
                ("queue", "jobs"),
                ("sequence", "42"),
                ("group", "audit"),
                ("first-ms", "1000001500"),
                ("last-ms", "1000005000"),
            ],
        );
    }

    #[test]
    fn what_was_never_delivered_or_too_long_ago_names_no_first_time() {
        let old = Now { ns: (1 << 32) * 1_000_000 + NOW.ns, ..NOW };
        for (deliveries, now, known) in [(0, NOW, false), (1, NOW, true), (1, old, false)] {
            let message = &piece(deliveries, 1_500);
            let (queue, group, put_ms) = ("jobs", "audit", 1_000);
            let reason = Reason::Expired;
            let letter = Letter { reason, queue, group, message, put_ms, now };
            let (headers, _) = write(&[], letter);
            let first = headers.iter().any(|(name, _)| name == "first-ms");
            assert_eq!(first, known, "{deliveries} deliveries at {now:?}");
        }
    }

    #[test]
    fn attributes_that_had_their_effect_are_left_out() {
        let own = [
            Attribute::Key(b"key"),
            Attribute::DelayMs(7),
            Attribute::TimeToLiveMs(8),
            Attribute::Priority(3),
            Attribute::DeduplicationId(b"id"),
            Attribute::Header { name: "mine", value: b"kept" },
        ];
        let message = &piece(1, 0);
        let (queue, group, put_ms, now) = ("jobs", "audit", 0, NOW);
        let reason = Reason::Deliveries;
        let (headers, others) = write(&own, Letter { reason, queue, group, message, put_ms, now });
        assert_eq!(
            (headers.len(), others),
            (LETTER_HEADERS.len(), 3),
            "key, priority and header stay"
        );
    }

    #[test]
    fn a_message_without_room_for_all_headers_keeps_the_most_telling_ones() {
        let message = &Piece { sequence: u64::MAX, ..piece(u32::MAX, 0) };
        let (queue, group) = ("q".repeat(250), "g".repeat(255));
        let value = [7; 1_000];
        for (own, last) in [(4, "last-ms"), (5, "deliveries"), (4, "last-ms")] {
            let own: Vec<_> =
                (0..own).map(|_| Attribute::Header { name: "x", value: &value }).collect();
            let (reason, queue, group) = (Reason::Deliveries, &*queue, &*group);
            let letter = Letter { reason, queue, group, message, put_ms: 0, now: NOW };
            let (headers, others) = write(&own, letter);
            assert_eq!(others, own.len(), "its own attributes stay");
            assert_eq!(headers.last().map(|(name, _)| &**name), Some(last));
            assert_eq!(headers[0].0, "reason");
        }
    }
}
