//! Times as people write them, and as they are shown.

use std::fmt::{self, Display};
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A time of the wall clock: `2026-11-21T10:00:00Z`, or with a space and without the `Z`; always
/// UTC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moment(pub SystemTime);

impl Moment {
    /// The time of so many milliseconds since 1970.
    pub fn of_ms(ms: u64) -> Self {
        Self(UNIX_EPOCH + Duration::from_millis(ms))
    }

    /// Milliseconds since 1970; 0 for what was before.
    pub fn ms(self) -> u64 {
        let since = self.0.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        humantime::parse_rfc3339_weak(text).map(Self).map_err(|error| {
            format!("'{text}' is not a time ({error}): write one like 2026-11-21T10:00:00Z")
        })
    }
}

impl Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339_millis(self.0).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_people_write_them() {
        for text in ["2026-11-21T10:00:00Z", "2026-11-21 10:00:00"] {
            assert_eq!(text.parse().map(Moment::ms), Ok(1_795_255_200_000), "{text}");
        }
        assert_eq!(Moment::of_ms(1_795_255_200_001).to_string(), "2026-11-21T10:00:00.001Z");
        assert!("tomorrow".parse::<Moment>().is_err_and(|sentence| sentence.contains("write")));
    }
}
