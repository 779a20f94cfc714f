//! The median of several rounds, with the lowest and the highest.

use serde::Serialize;

/// What several rounds gave.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The middle one; of an even number, the mean of the two in the middle.
    pub median: f64,
    /// The lowest.
    pub lowest: f64,
    /// The highest.
    pub highest: f64,
}

impl Spread {
    /// The spread of `values`; nothing when there are none.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (lowest, highest) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        };
        Some(Self { median, lowest, highest })
    }

    /// The spread of `ours / reference` over the rounds that have both.
    ///
    /// Each ratio is taken within its round: the quotient of two medians would compare minutes in
    /// which the machine may have been in different moods.
    #[must_use]
    pub fn of_ratios(rounds: &[(Option<f64>, Option<f64>)]) -> Option<Self> {
        let within = |round: &(Option<f64>, Option<f64>)| match *round {
            (Some(ours), Some(reference)) if reference != 0.0 => Some(ours / reference),
            _ => None,
        };
        Self::of(&rounds.iter().filter_map(within).collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(spread: Option<Spread>) -> String {
        spread.map_or("none".into(), |s| format!("{} ({}..{})", s.median, s.lowest, s.highest))
    }

    fn check(values: &str, wanted: &str) {
        let values: Vec<f64> =
            values.split_whitespace().map(|word| word.parse().expect("a number")).collect();
        assert_eq!(shown(Spread::of(&values)), wanted, "{values:?}");
    }

    #[test]
    fn medians() {
        check("", "none");
        check("3", "3 (3..3)");
        check("3 1", "2 (1..3)");
        check("9 1 5", "5 (1..9)");
        check("4 1 3 2", "2.5 (1..4)");
        check("-1 0.5 -7", "-1 (-7..0.5)");
    }

    /// Rounds as `ours/reference`, `-` where one was not measured.
    fn check_ratios(rounds: &str, wanted: &str) {
        let rounds: Vec<_> = rounds
            .split_whitespace()
            .map(|round| {
                let (ours, reference) = round.split_once('/').expect("ours/reference");
                (ours.parse().ok(), reference.parse().ok())
            })
            .collect();
        assert_eq!(shown(Spread::of_ratios(&rounds)), wanted, "{rounds:?}");
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        check_ratios("", "none");
        check_ratios("6/2", "3 (3..3)");
        // Medians alone would say 20 / 10 = 2; no round was like that.
        check_ratios("10/10 20/10 100/100", "1 (1..2)");
        check_ratios("6/- -/2 8/2", "4 (4..4)");
        check_ratios("6/0 8/2", "4 (4..4)");
        check_ratios("6/-", "none");
    }
}
