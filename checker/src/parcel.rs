//! What a message carries: its number and bytes that follow from it, so that any change shows, and
//! the attributes that it was made with.

use std::str::FromStr;

use ringway_protocol::{Attribute, Record, record};

use super::event::{Due, Letter, Reason, Traits};

/// A payload of a message: eight bytes of number, then `filler` bytes.
pub fn payload(message: u64, filler: usize) -> Vec<u8> {
    let mut bytes = message.to_le_bytes().to_vec();
    bytes.extend(stream(message).take(filler));
    bytes
}

/// Appends a message as a record.
pub fn write(out: &mut Vec<u8>, message: u64, traits: &Traits, filler: usize) {
    let (key, id) = (traits.key.map(u64::to_le_bytes), traits.deduplication.map(u64::to_le_bytes));
    let mut attributes = Vec::new();
    attributes.extend(key.as_ref().map(|key| Attribute::Key(key)));
    match traits.due {
        Due::Now => {}
        Due::After(delay_ms) => attributes.push(Attribute::DelayMs(delay_ms)),
        Due::At(at_ms) => attributes.push(Attribute::AtMs(at_ms)),
    }
    if traits.ttl_ms > 0 {
        attributes.push(Attribute::TimeToLiveMs(traits.ttl_ms));
    }
    if traits.priority > 0 {
        attributes.push(Attribute::Priority(traits.priority));
    }
    attributes.extend(id.as_ref().map(|id| Attribute::DeduplicationId(id)));
    record::write(out, &attributes, &payload(message, filler));
}

/// The number of the message that these bytes are, if they are one.
pub fn read(bytes: &[u8]) -> Option<u64> {
    let (number, filler) = bytes.split_first_chunk::<8>()?;
    let message = u64::from_le_bytes(*number);
    // The number's own bits are checked by the filler, and a short one by the checker, who knows
    // all numbers.
    filler.iter().copied().eq(stream(message).take(filler.len())).then_some(message)
}

/// The attributes of a record.
pub fn traits(record: &Record<'_>) -> Traits {
    let traits = record.traits();
    let number = |bytes: &[u8]| bytes.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
    Traits {
        key: traits.key.and_then(number),
        priority: traits.priority,
        due: match (traits.delay_ms, traits.at_ms) {
            (0, 0) => Due::Now,
            (0, at_ms) => Due::At(at_ms),
            (delay_ms, _) => Due::After(delay_ms),
        },
        ttl_ms: traits.ttl_ms,
        deduplication: traits.deduplication.and_then(number),
    }
}

/// What the headers of a dead letter say.
pub fn letter(record: &Record<'_>) -> Option<Letter> {
    let header = |wanted: &str| {
        let mut headers = record.headers();
        let (_, value) = headers.find(|(name, _)| *name == wanted)?;
        std::str::from_utf8(value).ok()
    };
    let reason = match header("ringway-reason")? {
        "deliveries" => Reason::Deliveries,
        "expired" => Reason::Expired,
        "rejected" => Reason::Rejected,
        _ => return None,
    };
    let deliveries = u32::from_str(header("ringway-deliveries")?).ok()?;
    let sequence = u64::from_str(header("ringway-sequence")?).ok()?;
    Some(Letter { reason, deliveries, sequence })
}

fn stream(message: u64) -> impl Iterator<Item = u8> {
    (0..).flat_map(move |block: u64| spread(message ^ block << 48).to_le_bytes())
}

/// A number whose bits all depend on all bits of `number` (the finaliser of SplitMix64).
pub fn spread(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringway_protocol::Records;

    #[test]
    fn any_changed_byte_shows() {
        let bytes = payload(77, 40);
        assert_eq!(read(&bytes), Some(77));
        for index in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[index] ^= 1;
            assert_eq!(read(&changed), None, "byte {index}");
        }
        assert_eq!(read(&bytes[..7]), None);
    }

    #[test]
    fn a_message_keeps_its_attributes() {
        for due in [Due::Now, Due::After(5), Due::At(1_700_000_000_000)] {
            let traits = Traits { key: Some(3), priority: 7, due, ttl_ms: 20, deduplication: None };
            for traits in [traits, Traits::default()] {
                let mut bytes = Vec::new();
                write(&mut bytes, 9, &traits, 30);
                let records = Records::parse(&bytes, 1).expect("a valid record");
                let record = records.iter().next().expect("one record");
                assert_eq!((read(record.payload), super::traits(&record)), (Some(9), traits));
                assert_eq!(letter(&record), None);
            }
        }
    }
}
