//! Rows of FAULTS.md against a whole plane: real threads, real sockets, peers that misbehave.
//!
//! Every test has a process of its own, so that its counts of descriptors and memory are exact.
//! Deadlines are generous: what is asserted is that something happens, not how fast.

mod broken_off;
mod deadlines;
mod descriptors;
mod half_open;
mod in_flight;
mod nonsense;
mod peer;
mod process;
mod redelivery;
mod slow_reader;
mod storm;
