//! Patterns over names: which queues get what is published.
//!
//! A pattern is written like a name, cut into tokens at `.` and `/`. A token that is `*` stands for
//! one token, whatever it says, and a last token that is `>` for one token or more. Everything else
//! stands for itself, the separators included: `a.*` does not match `a/b`.

use crate::code::{Code, Rejection};
use crate::limits::{NAME_BYTES_MAX, PATTERN_TOKENS_MAX};
use crate::name::is_name_byte;

/// A valid pattern: 1 to 255 bytes, 1 to 16 tokens.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Pattern<'a>(&'a str);

const INVALID: Rejection = Rejection::new(
    Code::InvalidName,
    "a pattern has 1 to 255 bytes: tokens as in a name, '*' for any token, '>' for the rest",
);

const TOO_DEEP: Rejection =
    Rejection::new(Code::InvalidName, "a pattern has up to 16 tokens: end it with '>' instead");

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'.' | b'/')
}

impl<'a> Pattern<'a> {
    /// Checks a pattern.
    pub fn new(pattern: &'a str) -> Result<Self, Rejection> {
        let bytes = pattern.as_bytes();
        if !(1..=NAME_BYTES_MAX).contains(&bytes.len()) {
            return Err(INVALID);
        }
        let mut tokens = bytes.split(|byte| is_separator(*byte)).peekable();
        while let Some(token) = tokens.next() {
            let valid = match token {
                b"*" => true,
                b">" => tokens.peek().is_none(),
                literal => literal.iter().all(|byte| is_name_byte(*byte)),
            };
            if !valid {
                return Err(INVALID);
            }
        }
        let separators = bytes.iter().filter(|byte| is_separator(**byte)).count();
        if separators >= PATTERN_TOKENS_MAX {
            return Err(TOO_DEEP);
        }
        Ok(Self(pattern))
    }

    /// Checks the bytes of a pattern.
    pub fn check(bytes: &'a [u8]) -> Result<Self, Rejection> {
        std::str::from_utf8(bytes).map_err(|_| INVALID).and_then(Self::new)
    }

    /// The pattern as text.
    pub fn as_str(&self) -> &'a str {
        self.0
    }

    /// Whether the pattern stands for one name only.
    pub fn is_literal(&self) -> bool {
        self.0.bytes().all(is_name_byte)
    }

    /// Whether a name matches. A token that `*` or `>` stands for has at least one byte.
    pub fn matches(&self, name: &str) -> bool {
        let (mut pattern, mut name) = (self.0.as_bytes(), name.as_bytes());
        loop {
            match (pattern, name) {
                ([], []) => return true,
                ([b'>'], rest) => return !rest.is_empty(),
                ([b'*', after @ ..], [first, ..]) if !is_separator(*first) => {
                    let end = name.iter().position(|byte| is_separator(*byte));
                    (pattern, name) = (after, &name[end.unwrap_or(name.len())..]);
                }
                ([wanted, after @ ..], [byte, rest @ ..]) if wanted == byte => {
                    (pattern, name) = (after, rest);
                }
                _ => return false,
            }
        }
    }
}

impl std::fmt::Display for Pattern<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}
