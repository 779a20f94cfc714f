//! Ringway.
pub mod machine;
