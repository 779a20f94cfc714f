//! What the wire can say and this server does not do yet. A refusal goes when its feature comes.

use ringway_protocol::request::{BACK_OFF, Settle};
use ringway_protocol::{Code, QueueOptions, Rejection};

const fn unsupported(sentence: &'static str) -> Rejection {
    Rejection::new(Code::Unsupported, sentence)
}

/// Of requests whose kind is known and that is all.
pub(super) const REQUEST: Rejection = unsupported("this kind of request is not supported yet");

/// Refuses nacks that say when their messages come back.
#[inline]
pub(super) fn delay(settle: &Settle<'_>) -> Result<(), Rejection> {
    if settle.delay_ms == BACK_OFF {
        return Ok(());
    }
    Err(unsupported("a nack with a delay is not supported yet: use 0"))
}

/// Refuses options that would do nothing.
pub(super) fn options(options: &QueueOptions) -> Result<(), Rejection> {
    if options.backoff_ms > 0 || options.keeps() || options.idle_ms > 0 {
        return Err(unsupported("backoff, keep and idle are not supported yet"));
    }
    Ok(())
}
