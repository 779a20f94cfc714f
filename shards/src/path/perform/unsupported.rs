//! What the wire can say and this server does not do yet. A refusal goes when its feature comes.

use ringway_protocol::request::{BACK_OFF, Producer, Settle};
use ringway_protocol::{Code, FullPolicy, GroupId, QueueOptions, Records, Rejection, Tags};

/// Attributes that are acted on, or need nothing to be done.
const ATTRIBUTES: Tags = Tags::HEADER;

const fn unsupported(sentence: &'static str) -> Rejection {
    Rejection::new(Code::Unsupported, sentence)
}

/// Of requests whose kind is known and that is all.
pub(super) const REQUEST: Rejection = unsupported("this kind of request is not supported yet");

/// Refuses records with attributes that nobody would act on.
#[inline]
pub(super) fn attributes(records: &Records<'_>) -> Result<(), Rejection> {
    if ATTRIBUTES.contains(records.tags()) {
        return Ok(());
    }
    Err(unsupported("of the attributes of a message only headers are supported yet"))
}

/// Refuses a producer's numbers.
#[inline]
pub(super) fn producer(producer: Option<Producer>) -> Result<(), Rejection> {
    match producer {
        None => Ok(()),
        Some(_) => Err(unsupported("a put with a producer is not supported yet")),
    }
}

/// Refuses every group but the one that is made with its queue.
#[inline]
pub(super) fn group(group: GroupId) -> Result<(), Rejection> {
    if group == GroupId::DEFAULT {
        return Ok(());
    }
    Err(unsupported("groups are not supported yet: use 0"))
}

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
    let old = QueueOptions {
        messages_max: options.messages_max,
        bytes_max: options.bytes_max,
        lease_ms: options.lease_ms,
        wait_max_ms: options.wait_max_ms,
        deliveries_max: options.deliveries_max,
        full_policy: options.full_policy,
        level: options.level,
        ..QueueOptions::default()
    };
    if options.full_policy == FullPolicy::Hold {
        return Err(unsupported("the policy 'hold' is not supported yet"));
    }
    if *options != old {
        return Err(unsupported(
            "priorities, times, deduplication and spread are not supported yet",
        ));
    }
    Ok(())
}
