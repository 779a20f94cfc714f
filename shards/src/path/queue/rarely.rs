//! What most queues never need: read as nothing until it is written to, and a pointer until then.

use std::ops::{Deref, DerefMut};

/// What a value is that nobody has written to.
pub(super) trait Nothing: Sized + 'static {
    /// Where it can be read.
    const NOTHING: &'static Self;

    /// The same, to be written to.
    fn nothing() -> Self;
}

/// A value in memory of its own, once it is written to.
#[derive(Debug)]
pub(super) struct Rarely<T>(Option<Box<T>>);

impl<T> Rarely<T> {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self(None)
    }
}

impl<T> Default for Rarely<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Nothing> Deref for Rarely<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or(T::NOTHING)
    }
}

impl<T: Nothing> DerefMut for Rarely<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_with(|| Box::new(T::nothing()))
    }
}
