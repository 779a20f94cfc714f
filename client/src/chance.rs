//! Numbers that nobody else draws, for names and producers; not secret.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::SystemTime;

/// A number drawn from the keys that the host gives every hash map, and the time.
pub(crate) fn number() -> u64 {
    let mut hasher = RandomState::new().build_hasher();
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    hasher.write_u128(since_1970.map_or(0, |time| time.as_nanos()));
    hasher.write_u32(std::process::id());
    hasher.finish()
}
