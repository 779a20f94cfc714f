//! One message, in order: the files in alphabetical order of their stages are the order of execution.

pub mod origin;
