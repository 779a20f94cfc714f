//! What is done to queues and to messages from the side: none of it is on a message's way.
//!
//! | file | what it knows |
//! |---|---|
//! | `alter` | a queue gets other options, another name, or is paused |
//! | `idle` | a queue goes that nobody uses |
//! | `alike` | a part of a spread queue is made like the others |
//! | `browse`, `remove` | messages are shown, or removed one by one |
//! | `moving`, `sieve` | messages are moved to another queue, those that a filter lets through |

pub(super) mod alike;
pub(super) mod alter;
pub(super) mod browse;
pub(super) mod idle;
pub(super) mod moving;
pub(super) mod remove;
pub(super) mod sieve;
