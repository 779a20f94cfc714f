//! What a shard with a planted bug reads instead of what its clients sent: the same bytes but for
//! one field, wherever the pieces end in which they come.

use ringway_protocol::frame::Kind;
use ringway_protocol::record::RECORD_HEADER_BYTES;
use ringway_protocol::request::PUT_PREFIX_BYTES;
use ringway_protocol::{HEADER_BYTES, Header};

use super::Canary;

/// Those that read something else.
const MISHEARD: [Canary; 9] = [
    Canary::KeysMistaken,
    Canary::RepeatStored,
    Canary::CreditExceeded,
    Canary::PauseIgnored,
    Canary::ActiveShared,
    Canary::ReplayForgotten,
    Canary::StartMistaken,
    Canary::UnbindForgotten,
    Canary::PartsForgetKeys,
];
/// Where a declaration says which order a spread queue keeps.
const SPREAD_ORDER: usize = 4 + 90;
/// The operation that makes a group.
const CREATE: u8 = 1;
/// The bytes of a producer's id and sequence.
const PRODUCER_BYTES: usize = 16;
/// The tag of a key, and how far behind it the key's second byte is.
const KEY_TAG: u8 = 1;
const KEY_BYTE: usize = 4;

/// Where a connection's stream of requests stands.
#[derive(Default)]
pub struct Heard {
    header: [u8; HEADER_BYTES],
    /// Bytes of the frame so far.
    at: usize,
    /// Puts so far, as one byte: what is misread is misread otherwise each time.
    puts: u8,
    /// Whether the put says who puts, and whether its first record begins with a key.
    producer: bool,
    keyed: bool,
    /// What a request about a group does.
    operation: u8,
}

impl Canary {
    /// Changes what was received to what a shard with this bug understands.
    pub fn mishear(self, heard: &mut Heard, bytes: &mut [u8]) {
        if !MISHEARD.contains(&self) {
            return;
        }
        for byte in bytes {
            match heard.at.checked_sub(HEADER_BYTES) {
                None => heard.header[heard.at] = *byte,
                Some(at) => *byte = heard.misread(self, at, *byte),
            }
            heard.at += 1;
            let length = Header::decode(&heard.header).length as usize;
            if heard.at >= HEADER_BYTES && heard.at - HEADER_BYTES >= length {
                heard.at = 0;
            }
        }
    }
}

impl Heard {
    /// The byte at this place of a body as it is understood.
    fn misread(&mut self, canary: Canary, at: usize, byte: u8) -> u8 {
        match Kind::from_number(Header::decode(&self.header).kind) {
            Some(Kind::Put) => self.misread_put(canary, at, byte),
            Some(Kind::Group) => self.misread_group(canary, at, byte),
            // The credit's lowest byte.
            Some(Kind::Subscribe) if at == 12 && canary == Canary::CreditExceeded => {
                byte.saturating_mul(4)
            }
            Some(Kind::Pause) if at == 8 && canary == Canary::PauseIgnored => 0,
            // The pattern's first letter: there is no such binding.
            Some(Kind::Unbind) if at == 8 && canary == Canary::UnbindForgotten => b'_',
            Some(Kind::Declare) if at == SPREAD_ORDER && canary == Canary::PartsForgetKeys => 0,
            _ => byte,
        }
    }

    fn misread_group(&mut self, canary: Canary, at: usize, byte: u8) -> u8 {
        if at == 8 {
            self.operation = byte;
        }
        match (canary, at) {
            (Canary::ReplayForgotten, 9) if self.operation == CREATE && byte == 0 => 1,
            (Canary::PauseIgnored, 10) => byte & !1,
            (Canary::ActiveShared, 10) => byte & !2,
            (Canary::StartMistaken, 16..24) => 0,
            _ => byte,
        }
    }

    fn misread_put(&mut self, canary: Canary, at: usize, byte: u8) -> u8 {
        if at == 0 {
            self.puts = self.puts.wrapping_add(1);
        }
        if at == 12 {
            self.producer = byte == 1;
        }
        let records = PUT_PREFIX_BYTES + if self.producer { PRODUCER_BYTES } else { 0 };
        let tag = records + RECORD_HEADER_BYTES;
        if at == tag {
            self.keyed = byte == KEY_TAG;
        }
        let misread = match canary {
            Canary::RepeatStored => self.producer && at == PUT_PREFIX_BYTES,
            Canary::KeysMistaken => self.keyed && at == tag + KEY_BYTE,
            _ => false,
        };
        if misread { byte ^ self.puts } else { byte }
    }
}
