//! What must hold for the bytes themselves: round trips, splits, refusals, hostile input.

mod hostile;
mod patterns;
mod refusals;
mod round_trips;
mod splits;
mod stream;
mod values;
