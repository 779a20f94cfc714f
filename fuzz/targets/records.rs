//! Batches: parsing allocates nothing, and records that are read are written as the same bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ringway_fuzz::bounded;
use ringway_protocol::{Attribute, Records, Tags, record};

/// What the one pass over the batch said of it is what each record says of itself.
fn traits_agree(records: &Records<'_>) {
    let mut tags = Tags::NONE;
    for message in records.iter() {
        let traits = message.traits();
        for attribute in message.attributes() {
            tags = tags | Tags::of(&attribute);
            match attribute {
                Attribute::Key(key) => assert_eq!(traits.key, Some(key)),
                Attribute::DelayMs(delay) => assert_eq!(traits.delay_ms, delay),
                Attribute::AtMs(time) => assert_eq!(traits.at_ms, time),
                Attribute::TimeToLiveMs(time) => assert_eq!(traits.ttl_ms, time),
                Attribute::Priority(band) => assert_eq!(traits.priority, band),
                Attribute::DeduplicationId(id) => assert_eq!(traits.deduplication, Some(id)),
                Attribute::Header { name, .. } => assert!(!name.is_empty()),
            }
        }
    }
    assert_eq!(records.tags(), tags);
}

// The first byte counts the records, the rest are their bytes.
fuzz_target!(|input: &[u8]| {
    let Some((count, bytes)) = input.split_first() else { return };
    let Ok(records) = bounded(0, || Records::parse(bytes, u32::from(*count))) else { return };
    let (mut written, mut rest, mut seen) = (Vec::new(), bytes, 0);
    for message in records.iter() {
        let attributes: Vec<_> = message.attributes().collect();
        record::write(&mut written, &attributes, message.payload);
        rest = &rest[record::record_bytes(rest)..];
        seen += 1;
    }
    assert_eq!((written.as_slice(), rest, seen), (bytes, &[][..], u32::from(*count)));
    bounded(0, || traits_agree(&records));
});
