//! Requests that several shards carry out, on whole planes: real threads, real sockets.

mod administration;
mod bindings;
mod growing;
mod moving;
mod peer;
mod spread;
mod spread_among;
mod spread_push;
mod transfer;
