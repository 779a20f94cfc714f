//! Batches: parsing allocates nothing, and records that are read are written as the same bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ringway_fuzz::bounded;
use ringway_protocol::{Records, record};

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
    bounded(0, || _ = records.unsupported_attribute());
});
