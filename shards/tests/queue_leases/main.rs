//! What becomes of leases, against the store alone: given back now or later, dead, extended,
//! settled together with a put.

#[path = "../support/mod.rs"]
mod support;

mod bounded;
mod dead;
mod delays;
mod stage;
mod transfer;
