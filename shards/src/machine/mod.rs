//! All unsafe code of the data plane: what must talk to the kernel or to raw memory.
#![allow(unsafe_code)]

pub mod memory;
pub mod wheel;
