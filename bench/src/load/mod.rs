//! The load generator: many connections, many requests in flight, honest figures.
//!
//! [`run()`] makes a plan (queues, connections), starts its threads, leads them through warm-up,
//! measurement and the end, and returns a [`Report`]. One thread drives any number of connections;
//! nothing is shared between threads but a few flags and counters ([`control`]). Inside a thread,
//! [`slots`] decides what each connection sends next, [`worker`] reads and writes, and [`tally`]
//! counts. [`work`] turns on what queues do beyond put, take and acknowledge.
//!
//! What keeps the figures honest: refusals and failures are never operations; an open loop
//! measures from the intended time of sending ([`pace`]); what is put must be taken exactly once
//! ([`books::Account`]); and a generator that is itself the bottleneck says so.

pub mod books;
pub mod control;
mod feed;
mod groups;
pub mod ledger;
mod live;
mod nacks;
pub mod pace;
pub mod plan;
pub mod puts;
pub mod report;
mod run;
pub mod settings;
mod slot;
pub mod slots;
pub mod tally;
pub mod text;
pub mod watch;
mod window;
pub mod work;
pub mod worker;

pub use plan::LoadError;
pub use report::Report;
pub use run::run;
pub use settings::Settings;
