//! What the wire can say and this server does not do yet. A refusal goes when its feature comes.

use ringway_protocol::{Code, QueueOptions, Rejection};

const fn unsupported(sentence: &'static str) -> Rejection {
    Rejection::new(Code::Unsupported, sentence)
}

/// Of requests whose kind is known and that is all.
pub(super) const REQUEST: Rejection = unsupported("this kind of request is not supported yet");

/// Refuses options that would do nothing.
pub(super) fn options(options: &QueueOptions) -> Result<(), Rejection> {
    if options.keeps() || options.idle_ms > 0 {
        return Err(unsupported("keep and idle are not supported yet"));
    }
    Ok(())
}
