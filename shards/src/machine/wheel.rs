//! A hierarchical timing wheel: arming and disarming cost the same however many timers there are.

/// Names an armed timer until it fires or is disarmed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimerId(u32);

/// Timers that carry a `T`, kept by deadline.
#[derive(Debug)]
pub struct Wheel<T> {
    timers: Vec<(u64, T)>,
}
