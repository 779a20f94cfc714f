//! What a figure has to reach, and whether it does.

use super::figure::{Figure, digits};

/// What a figure has to reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// The figure itself, at least.
    AtLeast(f64),
    /// The figure itself, at most.
    AtMost(f64),
    /// So many times the reference, at least.
    TimesAtLeast(f64),
    /// So many times the reference, at most.
    TimesAtMost(f64),
    /// Nothing: it is stated.
    Stated,
}

impl Target {
    /// The target in words, in the unit of `figure`.
    #[must_use]
    pub fn show(self, figure: Figure) -> String {
        match self {
            Self::AtLeast(bound) => format!(">= {}", figure.show(bound)),
            Self::AtMost(bound) => format!("<= {}", figure.show(bound)),
            Self::TimesAtLeast(bound) => format!(">= {} x", digits(bound)),
            Self::TimesAtMost(bound) => format!("<= {} x", digits(bound)),
            Self::Stated => "stated".to_owned(),
        }
    }

    /// Whether it is reached; nothing when what it asks about was not measured.
    #[must_use]
    pub fn is_met(self, ours: Option<f64>, ratio: Option<f64>) -> Option<bool> {
        match self {
            Self::AtLeast(bound) => ours.map(|ours| ours >= bound),
            Self::AtMost(bound) => ours.map(|ours| ours <= bound),
            Self::TimesAtLeast(bound) => ratio.map(|ratio| ratio >= bound),
            Self::TimesAtMost(bound) => ratio.map(|ratio| ratio <= bound),
            Self::Stated => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `ours` and `ratio` as text, `-` where not measured.
    fn check(target: Target, ours: &str, ratio: &str, wanted: Option<bool>) {
        let (ours, ratio) = (ours.parse().ok(), ratio.parse().ok());
        assert_eq!(target.is_met(ours, ratio), wanted, "{target:?} of {ours:?}, {ratio:?}");
    }

    #[test]
    fn targets_are_met_at_their_bound() {
        check(Target::AtLeast(20.0), "20", "-", Some(true));
        check(Target::AtLeast(20.0), "19.9", "-", Some(false));
        check(Target::AtLeast(20.0), "-", "5", None);
        check(Target::AtMost(0.5), "0.5", "-", Some(true));
        check(Target::AtMost(0.5), "0.51", "-", Some(false));
        check(Target::TimesAtLeast(6.0), "1", "6", Some(true));
        check(Target::TimesAtLeast(6.0), "1", "5.9", Some(false));
        check(Target::TimesAtLeast(6.0), "100", "-", None);
        check(Target::TimesAtMost(1.15), "1", "1.15", Some(true));
        check(Target::TimesAtMost(1.15), "1", "1.2", Some(false));
        check(Target::Stated, "1", "1", None);
    }

    #[test]
    fn targets_read_like_the_table() {
        let shown = Target::AtLeast(20e6).show(Figure::MessagesPerSecond);
        assert_eq!(shown, ">= 20 M/s");
        assert_eq!(Target::TimesAtMost(1.15).show(Figure::P50Ns), "<= 1.15 x");
        assert_eq!(Target::AtMost(31_457_280.0).show(Figure::ResidentBytes), "<= 30 MiB");
    }
}
