//! Which messages have been put before, and what the answer was: by an id of their own
//! ([`Window`]), or by the numbers that a producer gives its batches ([`Producers`]).
//!
//! Both remember for a time and up to a count, and are exact about either: what is out of the
//! window is not found, whether or not its memory has been given back yet. Giving it back is
//! bounded work a call, some with each insertion and the rest in `forget_old`.

mod batch;
mod bucket;
mod history;
mod index;
mod producers;
mod window;

pub(super) use self::batch::Batch;
pub(in crate::path::queue) use self::producers::{Producers, ProducersConfig, Seen, Stretch};
pub(in crate::path::queue) use self::window::Window;
