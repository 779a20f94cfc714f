//! The real program from outside: real sockets, real signals, exit codes, pipes.

mod blocked;
mod check;
mod command;
mod demo;
mod drain;
mod hosts;
mod queue;
mod serve;
mod shards;
