//! Which messages of a delivery are given back: an even share of those that come for the first
//! time. None is given back twice, so that every run ends and none becomes a dead letter.

use ringway_client::Range;
use ringway_protocol::reply::Run;

/// Chooses every so-many-th message.
pub struct Nacks {
    /// Messages from one that is given back to the next; at least 1.
    step: f64,
    /// Messages until the next one.
    left: f64,
    /// What of the delivery at hand is acknowledged.
    pub acks: Vec<Range>,
    /// What of it is given back.
    pub nacks: Vec<Range>,
}

impl Nacks {
    /// Gives back `percent` of the messages, if any.
    pub fn new(percent: f64) -> Option<Self> {
        let step = 100.0 / percent;
        (percent > 0.0).then(|| Self { step, left: step, acks: Vec::new(), nacks: Vec::new() })
    }

    /// Divides a delivery. `on_acked` gets the first sequence and the count of each stretch that is
    /// acknowledged.
    pub fn divide(&mut self, runs: impl Iterator<Item = Run>, mut on_acked: impl FnMut(u64, u32)) {
        self.acks.clear();
        self.nacks.clear();
        let mut at = 0;
        for run in runs {
            let mut from = 0;
            while run.deliveries == 1 && self.left <= f64::from(run.count - from) {
                // The next one is the last of as many as are left until then, rounded up.
                let kept = self.left.ceil().max(1.0) as u32 - 1;
                self.keep(at, &run, (from, kept), &mut on_acked);
                extend(&mut self.nacks, at + from + kept, 1);
                from += kept + 1;
                self.left += self.step - f64::from(kept + 1);
            }
            if run.deliveries == 1 {
                self.left -= f64::from(run.count - from);
            }
            self.keep(at, &run, (from, run.count - from), &mut on_acked);
            at += run.count;
        }
    }

    fn keep(
        &mut self,
        at: u32,
        run: &Run,
        (from, count): (u32, u32),
        on_acked: &mut impl FnMut(u64, u32),
    ) {
        if count > 0 {
            extend(&mut self.acks, at + from, count);
            on_acked(run.first_sequence + u64::from(from), count);
        }
    }

    /// Messages of the delivery at hand that are given back.
    pub fn count(&self) -> u32 {
        self.nacks.iter().map(|range| range.count).sum()
    }
}

/// Appends a range, as part of the last one if it follows it.
fn extend(ranges: &mut Vec<Range>, first: u32, count: u32) {
    match ranges.last_mut() {
        Some(last) if last.first + last.count == first => last.count += count,
        _ => ranges.push(Range { first, count }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Divides deliveries given as `sequence+count` or, delivered again, `sequence+count!`; shows
    /// the ranges acknowledged / given back of each, and the sequences acknowledged.
    fn check(percent: f64, deliveries: &[&str], wanted: &[&str]) {
        let mut nacks = Nacks::new(percent).expect("some are given back");
        let show = |ranges: &[Range]| {
            let range = |range: &Range| format!("{}+{}", range.first, range.count);
            ranges.iter().map(range).collect::<Vec<_>>().join(" ")
        };
        for (delivery, wanted) in deliveries.iter().zip(wanted) {
            let runs = delivery.split(' ').map(|run| {
                let deliveries = 1 + u32::from(run.ends_with('!'));
                let (first, count) = run.trim_end_matches('!').split_once('+').expect("a+b");
                let [first, count] = [first, count].map(|digits| digits.parse().expect("digits"));
                Run { first_sequence: first, count: count as u32, deliveries }
            });
            let mut acked = Vec::new();
            nacks.divide(runs, |first, count| acked.push(format!("{first}+{count}")));
            let shown =
                format!("{} / {} : {}", show(&nacks.acks), show(&nacks.nacks), acked.join(" "));
            assert_eq!(&shown, wanted, "{percent} % of {delivery}");
        }
    }

    #[test]
    fn an_even_share_is_given_back_and_nothing_twice() {
        check(
            25.0,
            &["100+8", "108+3", "111+1"],
            &["0+3 4+3 / 3+1 7+1 : 100+3 104+3", "0+3 /  : 108+3", " / 0+1 : "],
        );
        check(100.0, &["0+3", "0+3!"], &[" / 0+3 : ", "0+3 /  : 0+3"]);
        check(50.0, &["7+1! 20+2 9+2!"], &["0+2 3+2 / 2+1 : 7+1 20+1 9+2"]);
        assert!(Nacks::new(0.0).is_none());
    }

    #[test]
    fn shares_that_do_not_divide_evenly_come_out_right_over_many_deliveries() {
        for percent in [0.3, 1.0, 3.0, 33.0, 70.0, 99.5] {
            let mut nacks = Nacks::new(percent).expect("some are given back");
            let (mut acked, mut given_back) = (0_u64, 0_u64);
            for delivery in 0..10_000_u64 {
                let count = 1 + (delivery * 7 % 50) as u32;
                let run = Run { first_sequence: 0, count, deliveries: 1 };
                nacks.divide([run].into_iter(), |_, count| acked += u64::from(count));
                given_back += u64::from(nacks.count());
                let ranges: u32 = nacks.acks.iter().map(|range| range.count).sum();
                assert_eq!(ranges + nacks.count(), count);
            }
            let share = 100.0 * given_back as f64 / (acked + given_back) as f64;
            assert!((share - percent).abs() < 0.01, "{share} and not {percent}");
        }
    }
}
