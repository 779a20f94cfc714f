//! Messages that follow each other in one segment: what leases hold, what is given back, what is
//! delivered as a run.

use ringway_protocol::record::record_bytes;

use crate::world::Now;

/// Messages that follow each other in one segment. The offset is where they were put: see
/// `Segment::locate`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::path::queue) struct Piece {
    pub sequence: u64,
    pub segment: u32,
    pub offset: u32,
    pub bytes: u32,
    pub count: u32,
    /// How often they have been delivered.
    pub deliveries: u32,
    /// When they were delivered first: see [`short_ms`]. Means nothing before that.
    pub first_ms: u32,
}

/// A time of delivery as a piece keeps it: the low bits of the monotonic clock's milliseconds.
#[inline]
pub(in crate::path::queue) fn short_ms(now: Now) -> u32 {
    now.ms() as u32
}

impl Piece {
    /// Cuts the first messages off; what stays begins after them.
    #[inline]
    pub fn split_front(&mut self, count: u32, bytes: u32) -> Piece {
        let front = Piece { count, bytes, ..*self };
        self.sequence += u64::from(count);
        self.offset += bytes;
        self.bytes -= bytes;
        self.count -= count;
        front
    }

    /// Appends a piece that continues this one in the same segment, delivered as often. Together
    /// they keep the earlier of their first deliveries.
    #[inline]
    pub fn join(&mut self, next: &Piece) -> bool {
        let continues = self.segment == next.segment
            && self.sequence + u64::from(self.count) == next.sequence
            && self.deliveries == next.deliveries;
        if continues {
            self.count += next.count;
            self.bytes += next.bytes;
            if (self.first_ms.wrapping_sub(next.first_ms) as i32) > 0 {
                self.first_ms = next.first_ms;
            }
        }
        continues
    }
}

/// How many of the first records are within both limits, and their bytes.
#[inline]
pub(in crate::path::queue) fn walk(
    records: &[u8],
    messages_max: u32,
    bytes_max: usize,
) -> (u32, u32) {
    let (mut count, mut at) = (0, 0);
    while count < messages_max && at < records.len() {
        let next = at + record_bytes(&records[at..]);
        if next > bytes_max {
            break;
        }
        (count, at) = (count + 1, next);
    }
    (count, at as u32)
}
