//! The program: command line, settings, boot and drain.
fn main() {}
