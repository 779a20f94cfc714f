//! Statistics: a table of numbers, and what its columns mean.

use crate::bytes::Reader;
use crate::code::Rejection;

/// The figures of a queue, in the order of the columns of its statistics.
pub const QUEUE_COLUMNS: [&str; 33] = [
    "ready",
    "leased",
    "held_bytes",
    "live_bytes",
    "puts",
    "takes",
    "acks",
    "nacks",
    "expired_leases",
    "redeliveries",
    "dead_lettered",
    "dropped",
    "refused",
    "purged",
    "waiting_takes",
    "delayed",
    "blocked",
    "scheduled",
    "groups",
    "subscriptions",
    "expired",
    "removed",
    "duplicates",
    "held_puts",
    "held_put_bytes",
    "kept_messages",
    "dead_letters_refused",
    "moved_out",
    "oldest_age_ms",
    "puts_per_second",
    "acks_per_second",
    "paused",
    "messages",
];

/// The figures of a group of consumers, in the order of the columns of a listing of groups.
pub const GROUP_COLUMNS: [&str; 17] = [
    "position",
    "ready",
    "leased",
    "blocked",
    "delayed",
    "takes",
    "acks",
    "nacks",
    "expired_leases",
    "redeliveries",
    "dead_lettered",
    "expired",
    "dropped",
    "purged",
    "removed",
    "waiting_takes",
    "subscriptions",
];

/// The figures of a shard, in the order of the columns of the plane's statistics.
pub const SHARD_COLUMNS: [&str; 23] = [
    "shard",
    "cpu",
    "connections",
    "connections_accepted",
    "queues",
    "requests",
    "puts",
    "takes",
    "acks",
    "refused",
    "bytes_in",
    "bytes_out",
    "handoffs_out",
    "handoffs_full",
    "turns",
    "parks",
    "cpu_ns",
    "longest_turn_ns",
    "accept_errors",
    "receive_buffers_empty",
    "turn_p9999_ns",
    "turn_own_p9999_ns",
    "kept_off_ns",
];

/// A table of figures: rows of as many numbers as there are columns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Figures<'a> {
    /// At least 1.
    columns: u32,
    bytes: &'a [u8],
}

impl<'a> Figures<'a> {
    /// The rows; later versions add columns at the end.
    pub fn rows(&self) -> impl Iterator<Item = Vec<u64>> + use<'a> {
        let (numbers, _) = self.bytes.as_chunks::<8>();
        let row = |row: &[[u8; 8]]| row.iter().map(|number| u64::from_le_bytes(*number)).collect();
        numbers.chunks_exact(self.columns as usize).map(row)
    }

    pub(crate) fn decode(reader: &mut Reader<'a>) -> Result<Self, Rejection> {
        let (rows, columns) = (reader.u32()?, reader.u32()?);
        let bytes = reader.rest();
        // Two u32 multiply without overflow in a u64; the eight bytes of a number may overflow it.
        let numbers = u64::from(rows) * u64::from(columns);
        if numbers.checked_mul(8) != Some(bytes.len() as u64) || columns == 0 {
            return Err(Rejection::malformed("the figures do not match their bytes"));
        }
        Ok(Self { columns, bytes })
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let rows = self.bytes.len() / 8 / self.columns as usize;
        out.extend_from_slice(&(rows as u32).to_le_bytes());
        out.extend_from_slice(&self.columns.to_le_bytes());
        out.extend_from_slice(self.bytes);
    }
}

/// Appends a table of figures: rows, columns, then the numbers row by row.
pub fn figures(out: &mut Vec<u8>, columns: usize, rows: impl ExactSizeIterator<Item = Vec<u64>>) {
    out.extend_from_slice(&(rows.len() as u32).to_le_bytes());
    out.extend_from_slice(&(columns as u32).to_le_bytes());
    for row in rows {
        debug_assert_eq!(row.len(), columns);
        row.iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
    }
}
