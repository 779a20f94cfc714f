//! How many messages of a segment end at which byte: a search jumps from mark to mark instead of
//! reading every record's length.

/// Messages between two marks where batches are smaller, at least.
const MARK_MESSAGES: u32 = 32;

#[derive(Clone, Copy, Debug)]
struct Mark {
    messages: u32,
    bytes: u32,
}

/// The marks of one segment, in ascending order.
#[derive(Debug, Default)]
pub struct Marks {
    marks: Vec<Mark>,
    /// The last one's messages, or 0.
    marked: u32,
}

impl Marks {
    /// Forgets everything and keeps the memory.
    #[inline]
    pub fn clear(&mut self) {
        self.marks.clear();
        self.marked = 0;
    }

    /// So many messages end at a byte. Not each is worth a mark.
    #[inline]
    pub fn note(&mut self, messages: u32, bytes: u32) {
        if messages - self.marked >= MARK_MESSAGES {
            self.add(messages, bytes);
        }
    }

    /// So many messages end at a byte.
    #[inline]
    pub fn add(&mut self, messages: u32, bytes: u32) {
        debug_assert!(messages > self.marked);
        self.marked = messages;
        self.marks.push(Mark { messages, bytes });
    }

    /// The last mark at or before a message: its messages, and their bytes.
    #[inline]
    pub fn before(&self, index: u32) -> (u32, u32) {
        let after = self.marks.partition_point(|mark| mark.messages <= index);
        self.marks[..after].last().map_or((0, 0), |mark| (mark.messages, mark.bytes))
    }

    /// How many messages from one on reach up to a mark within both limits, and their bytes.
    #[inline]
    pub fn reach(
        &self,
        (index, offset): (u32, u32),
        (messages_max, bytes_max): (u32, u32),
    ) -> (u32, u32) {
        let after = self.marks.partition_point(|mark| {
            mark.messages.saturating_sub(index) <= messages_max
                && mark.bytes.saturating_sub(offset) <= bytes_max
        });
        let last = self.marks[..after].last().filter(|mark| mark.messages > index);
        last.map_or((0, 0), |mark| (mark.messages - index, mark.bytes - offset))
    }
}
