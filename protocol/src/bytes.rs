//! Reading and writing little-endian fields; reading past the end is a rejection, never a panic.

use crate::code::Rejection;

/// Reads fields from the front of a body.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte of `body`.
    #[inline]
    pub fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    /// The next `length` bytes.
    #[inline]
    pub fn bytes(&mut self, length: usize) -> Result<&'a [u8], Rejection> {
        let Some((taken, rest)) = self.rest.split_at_checked(length) else {
            return Err(Rejection::malformed("the body ends before its last field"));
        };
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Rejection> {
        let Some((taken, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(Rejection::malformed("the body ends before its last field"));
        };
        self.rest = rest;
        Ok(*taken)
    }

    /// The next byte.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, Rejection> {
        Ok(self.array::<1>()?[0])
    }

    /// The next two bytes as an unsigned number.
    #[inline]
    pub fn u16(&mut self) -> Result<u16, Rejection> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    /// The next four bytes as an unsigned number.
    #[inline]
    pub fn u32(&mut self) -> Result<u32, Rejection> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// The next eight bytes as an unsigned number.
    #[inline]
    pub fn u64(&mut self) -> Result<u64, Rejection> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// The next `length` bytes as fields of their own: one check of the length for all of them.
    #[inline]
    pub fn part(&mut self, length: usize) -> Result<Reader<'a>, Rejection> {
        self.bytes(length).map(Reader::new)
    }

    /// Skips `length` bytes that must be zero, so that a later version can give them a meaning.
    #[inline]
    pub fn reserved(&mut self, length: usize) -> Result<(), Rejection> {
        // Folded rather than searched: a constant length becomes one load and one comparison.
        if self.bytes(length)?.iter().fold(0, |all, byte| all | byte) != 0 {
            return Err(Rejection::malformed("a reserved field is not zero"));
        }
        Ok(())
    }

    /// Whether every byte was read.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Everything that is left, to be read again.
    #[inline]
    pub fn peek(&self) -> &'a [u8] {
        self.rest
    }

    /// Everything that is left.
    #[inline]
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// Refuses bytes that no field claimed.
    #[inline]
    pub fn end(self) -> Result<(), Rejection> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Rejection::malformed("the body goes on after its last field"))
        }
    }
}

/// Text that must be UTF-8.
pub fn text(bytes: &[u8]) -> Result<&str, Rejection> {
    std::str::from_utf8(bytes).map_err(|_| Rejection::malformed("a text is not valid UTF-8"))
}
