//! Whether every message that went in came out once.

/// Tells whether every message that was put into a queue was taken once, without keeping any: equal
/// counts, sums and sums of squares of sequences.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Moments {
    count: u64,
    /// Modulo 2^64, like the squares: equal sums stay equal.
    sum: u64,
    squares: u64,
}

impl Moments {
    /// Messages of consecutive sequences, as many as fit a frame at most.
    #[inline]
    pub fn add_run(&mut self, first: u64, count: u32) {
        debug_assert!(count < 1 << 20, "the products below stay exact");
        let n = u64::from(count);
        // The sums over 0..n of i and of i squared, in closed form.
        let ones = n * n.saturating_sub(1) / 2;
        let twos = ones * (2 * n).saturating_sub(1) / 3;
        let first_squares = n.wrapping_mul(first).wrapping_mul(first);
        self.count += n;
        self.sum = self.sum.wrapping_add(n.wrapping_mul(first)).wrapping_add(ones);
        self.squares = (self.squares.wrapping_add(first_squares))
            .wrapping_add(first.wrapping_mul(2 * ones))
            .wrapping_add(twos);
    }

    fn add(&mut self, other: &Moments) {
        self.count += other.count;
        self.sum = self.sum.wrapping_add(other.sum);
        self.squares = self.squares.wrapping_add(other.squares);
    }
}

/// One queue's books.
#[derive(Clone, Copy, Debug, Default)]
pub struct Account {
    /// Messages whose put was acknowledged.
    pub put: Moments,
    /// Messages that were delivered.
    pub taken: Moments,
}

/// What is wrong with the books.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Imbalance {
    /// Messages put and never taken.
    pub lost: u64,
    /// Messages taken more often than they were put.
    pub duplicate: u64,
}

impl Account {
    /// Adds another thread's account of the same queue.
    pub fn add(&mut self, other: &Account) {
        self.put.add(&other.put);
        self.taken.add(&other.taken);
    }

    /// Compares what went in with what came out; `by_count` alone where messages come out with
    /// other sequences than they went in with.
    pub fn balance(&self, by_count: bool) -> Imbalance {
        let (put, taken) = (self.put.count, self.taken.count);
        match put.cmp(&taken) {
            std::cmp::Ordering::Greater => Imbalance { lost: put - taken, duplicate: 0 },
            std::cmp::Ordering::Less => Imbalance { lost: 0, duplicate: taken - put },
            // As many, but others: at least one was lost and another came twice.
            std::cmp::Ordering::Equal if !by_count && self.put != self.taken => {
                Imbalance { lost: 1, duplicate: 1 }
            }
            std::cmp::Ordering::Equal => Imbalance::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_add_up_to_the_same_moments_as_single_messages() {
        let (mut whole, mut single) = (Moments::default(), Moments::default());
        whole.add_run(1_000_000_007, 1000);
        (0..1000).rev().for_each(|index| single.add_run(1_000_000_007 + index, 1));
        assert_eq!(whole, single);
    }

    #[test]
    fn books_tell_a_lost_message_a_duplicate_and_one_for_the_other() {
        let account = |put: &[u64], taken: &[u64]| {
            let mut account = Account::default();
            put.iter().for_each(|sequence| account.put.add_run(*sequence, 1));
            taken.iter().for_each(|sequence| account.taken.add_run(*sequence, 1));
            account.balance(false)
        };
        assert_eq!(account(&[1, 2, 3], &[3, 1, 2]), Imbalance::default());
        assert_eq!(account(&[1, 2, 3], &[1, 3]), Imbalance { lost: 1, duplicate: 0 });
        assert_eq!(account(&[1, 2], &[1, 2, 2]), Imbalance { lost: 0, duplicate: 1 });
        assert_eq!(account(&[1, 2, 3], &[1, 3, 3]), Imbalance { lost: 1, duplicate: 1 });
        // The same sum: only the squares tell.
        assert_eq!(account(&[1, 2, 3], &[2, 2, 2]), Imbalance { lost: 1, duplicate: 1 });
    }

    #[test]
    fn counts_alone_tell_a_lost_message_under_another_sequence() {
        let mut account = Account::default();
        account.put.add_run(1 << 63, 3);
        account.taken.add_run(0, 2);
        assert_eq!(account.balance(true), Imbalance { lost: 1, duplicate: 0 });
        account.taken.add_run(2, 1);
        assert_eq!(account.balance(true), Imbalance::default());
    }
}
