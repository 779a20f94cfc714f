//! Messages come: which are let in, where they go, and what a full queue does.
//!
//! | file | what it knows |
//! |---|---|
//! | `bounds` | put, and what a full queue does |
//! | `drops`, `free` | what `drop-oldest` drops; which messages no group has under a lease |
//! | `hold` | puts that wait for room |
//! | `admit`, `fates` | puts with keys, times, priorities, repeats |
//! | `dedup`, `remember` | which messages have been put before, and until when that is known |
//! | `stored` | where the messages of a put went |
//! | `transfer` | ack and put together |

pub(super) mod admit;
pub(super) mod bounds;
#[allow(dead_code, reason = "tests ask how much it holds")]
pub(super) mod dedup;
pub(super) mod drops;
pub(super) mod fates;
pub(super) mod free;
pub(super) mod hold;
pub(super) mod remember;
pub(super) mod stored;
pub(super) mod transfer;
