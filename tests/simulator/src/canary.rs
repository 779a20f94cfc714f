//! Planted bugs: ways in which the world lies, as a shard with that bug would. Each must make a run
//! fail.

use ringway_protocol::frame::{self, Frame, Kind, REPLY, Split};
use ringway_protocol::limits::FRAME_BYTES_MAX;
use ringway_protocol::{Code, HEADER_BYTES, Header, Level, reply};
use ringway_shards::world::Outgoing;

use crate::chance::Rate;
use crate::faults::Faults;

/// Declares the canaries once: name on the command line, what it stands for.
macro_rules! canaries {
    ($($name:ident = $word:literal, $means:literal;)*) => {
        /// A planted bug.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Canary { $(#[doc = $means] $name,)* }

        impl Canary {
            /// Every planted bug.
            pub const ALL: &[Canary] = &[$(Canary::$name,)*];

            /// The word that chooses it.
            pub fn as_str(self) -> &'static str {
                match self { $(Canary::$name => $word,)* }
            }

            /// What it stands for.
            pub fn meaning(self) -> &'static str {
                match self { $(Canary::$name => $means,)* }
            }
        }
    };
}

canaries! {
    IgnoreMore = "ignore-more", "a receive that ended stays so: a missing F_MORE is overlooked";
    ReceiveTwice = "receive-twice", "received bytes are consumed twice";
    ReceiveSkips = "receive-skips", "a received byte is lost";
    BufferTwice = "buffer-twice", "a receive buffer is overwritten while its bytes are needed";
    FreeEarly = "free-early", "bytes are freed before their send's terminal completion";
    TwoSends = "two-sends", "a second send starts while the first is under way";
    ShortUnsaid = "short-unsaid", "the rest of a short send is forgotten";
    DoorbellLost = "doorbell-lost", "a parked shard is not woken";
    DeadlineIgnored = "deadline-ignored", "a parked shard sleeps past its next timer";
    LeaseForgotten = "lease-forgotten", "leases never run out: the shard's clock stands still";
    LeaseCutShort = "lease-cut-short", "leases run out too early: the shard's clock runs fast";
    StaleSettles = "stale-settles", "an acknowledgement that came too late is reported as settled";
    Phantom = "phantom", "a delivered message is not what was sent";
    ReplyTwice = "reply-twice", "a request is answered twice";
    RefusalHidden = "refusal-hidden", "a put that was refused is acknowledged";
    CloseForgotten = "close-forgotten", "the socket of a connection that has gone is never closed";
}

impl Canary {
    /// The canary of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|canary| canary.as_str() == word)
    }

    /// Makes sure that the world gives the bug its occasion.
    pub fn provoke(self, faults: &mut Faults) {
        match self {
            Canary::IgnoreMore => faults.multishot_ends = Rate(100_000),
            Canary::TwoSends | Canary::FreeEarly | Canary::ShortUnsaid => {
                faults.pipe_bytes = faults.pipe_bytes.min(700);
            }
            _ => {}
        }
    }

    /// What a shard with this bug would send instead of whole frames.
    pub fn tamper(self, outgoing: &Outgoing, bytes: &mut Vec<u8>, once_in_five: bool) {
        if outgoing.sent > 0 {
            return;
        }
        let sent = std::mem::take(bytes);
        let mut rest = &sent[..];
        while let Ok(Split::Frame(frame)) = frame::split(rest, FRAME_BYTES_MAX) {
            let whole = &rest[..HEADER_BYTES + frame.body.len()];
            match self {
                Canary::StaleSettles => stale_settles(frame, whole, bytes),
                Canary::Phantom => phantom(frame, whole, bytes),
                Canary::RefusalHidden => refusal_hidden(frame, whole, bytes),
                Canary::ReplyTwice => {
                    bytes.extend_from_slice(whole);
                    if once_in_five {
                        bytes.extend_from_slice(whole);
                    }
                }
                _ => bytes.extend_from_slice(whole),
            }
            rest = &rest[whole.len()..];
        }
        bytes.extend_from_slice(rest);
    }
}

fn is_reply(frame: Frame<'_>, kind: Kind, code: Code) -> bool {
    frame.header.kind == kind as u8 | REPLY && frame.header.code == code as u16
}

/// Body: settled, stale, unknown, count of verdicts, then the verdicts; all u32.
fn stale_settles(frame: Frame<'_>, whole: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(whole);
    if !is_reply(frame, Kind::Ack, Code::Ok) {
        return;
    }
    let number =
        |at: usize| u32::from_le_bytes(frame.body[at..at + 4].try_into().expect("4 bytes"));
    let body = &mut out[start + HEADER_BYTES..];
    body[..4].copy_from_slice(&(number(0) + number(4)).to_le_bytes());
    body[4..8].fill(0);
    for verdict in body[16..].chunks_exact_mut(12).filter(|verdict| verdict[8] == 2) {
        verdict[8] = 1;
    }
}

fn phantom(frame: Frame<'_>, whole: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(whole);
    if is_reply(frame, Kind::Take, Code::Ok) && frame.body.len() > 64 {
        let last = out.len() - 1;
        out[last] ^= 0x10;
    }
}

fn refusal_hidden(frame: Frame<'_>, whole: &[u8], out: &mut Vec<u8>) {
    let Header { stream, request, .. } = frame.header;
    if is_reply(frame, Kind::Put, Code::QueueFull) {
        reply::put(out, (stream, request), u64::MAX >> 1, 1, Level::Memory);
    } else {
        out.extend_from_slice(whole);
    }
}
