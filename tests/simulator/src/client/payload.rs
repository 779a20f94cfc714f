//! What a message carries: its number, and bytes that follow from it, so that any change shows.

use crate::chance::spread;

/// A payload of a message: eight bytes of number, then `filler` bytes.
pub fn write(message: u64, filler: usize) -> Vec<u8> {
    let mut bytes = message.to_le_bytes().to_vec();
    bytes.extend(stream(message).take(filler));
    bytes
}

/// The number of the message that these bytes are, if they are one.
pub fn read(bytes: &[u8]) -> Option<u64> {
    let (number, filler) = bytes.split_first_chunk::<8>()?;
    let message = u64::from_le_bytes(*number);
    // The number's own bits are checked by the filler, and a short one by the checker, who knows
    // all numbers.
    filler.iter().copied().eq(stream(message).take(filler.len())).then_some(message)
}

fn stream(message: u64) -> impl Iterator<Item = u8> {
    (0..).flat_map(move |block: u64| spread(message ^ block << 48).to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_changed_byte_shows() {
        let bytes = write(77, 40);
        assert_eq!(read(&bytes), Some(77));
        for index in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[index] ^= 1;
            assert_eq!(read(&changed), None, "byte {index}");
        }
        assert_eq!(read(&bytes[..7]), None);
    }
}
