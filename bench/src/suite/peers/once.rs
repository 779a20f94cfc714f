//! Whether every message that was put came once and was acknowledged.
//!
//! Each payload begins with its number. A bit a number tells whether it has come, so that not only
//! counts have to agree.

use crate::suite::figure::Failure;

/// What stands at the front of a payload.
pub(super) const NUMBER_BYTES: usize = size_of::<u64>();
/// The rest of a payload.
const FILLER: u8 = 0x5a;

/// The books of one run.
pub(super) struct Once {
    payload: Vec<u8>,
    /// Messages put so far; the number of the next one.
    put: u64,
    /// A bit for each number: whether it has come.
    came: Vec<u64>,
    taken: u64,
    settled: u64,
}

impl Once {
    /// Nothing was put yet. Payloads have `payload_bytes`, at least [`NUMBER_BYTES`].
    pub(super) fn new(payload_bytes: usize) -> Self {
        assert!(payload_bytes >= NUMBER_BYTES, "a payload has room for its number");
        let payload = vec![FILLER; payload_bytes];
        Self { payload, put: 0, came: Vec::new(), taken: 0, settled: 0 }
    }

    /// The payload of the next message.
    pub(super) fn next(&mut self) -> &[u8] {
        self.payload[..NUMBER_BYTES].copy_from_slice(&self.put.to_le_bytes());
        self.put += 1;
        &self.payload
    }

    /// A message came.
    pub(super) fn took(&mut self, payload: &[u8]) -> Result<(), Failure> {
        let wrong = |told: String| Err(Failure::Failed(told));
        let number = match payload.split_first_chunk::<NUMBER_BYTES>() {
            Some((number, rest)) if rest == &self.payload[NUMBER_BYTES..] => {
                u64::from_le_bytes(*number)
            }
            _ => return wrong("a message came that nobody put".to_owned()),
        };
        if number >= self.put {
            return wrong(format!("message {number} came and only {} were put", self.put));
        }
        let (word, bit) = ((number / 64) as usize, 1 << (number % 64));
        if word >= self.came.len() {
            self.came.resize(word + 1, 0);
        }
        if self.came[word] & bit != 0 {
            return wrong(format!("message {number} came twice"));
        }
        self.came[word] |= bit;
        self.taken += 1;
        Ok(())
    }

    /// So many messages were acknowledged.
    pub(super) fn settled(&mut self, count: u64) {
        self.settled += count;
    }

    /// Messages put so far.
    pub(super) fn put_count(&self) -> u64 {
        self.put
    }

    /// Messages acknowledged so far.
    pub(super) fn settled_count(&self) -> u64 {
        self.settled
    }

    /// Whether all that was put was taken and acknowledged.
    pub(super) fn balance(&self) -> Result<(), Failure> {
        if self.put == self.taken && self.taken == self.settled {
            return Ok(());
        }
        let told = format!("{} put, {} taken, {} acknowledged", self.put, self.taken, self.settled);
        Err(Failure::Failed(told))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_once_and_is_acknowledged_balances() {
        let mut once = Once::new(100);
        let payloads: Vec<Vec<u8>> = (0..200).map(|_| once.next().to_vec()).collect();
        for payload in payloads.iter().rev() {
            once.took(payload).expect("it was put");
        }
        assert!(once.balance().expect_err("not acknowledged").to_string().contains("200 taken, 0"));
        once.settled(200);
        once.balance().expect("everything is done");
        assert_eq!((once.put_count(), once.settled_count()), (200, 200));
        once.next();
        assert!(once.balance().is_err(), "one is under way");
    }

    #[test]
    fn what_comes_twice_or_was_never_put_is_found() {
        let mut once = Once::new(16);
        let first = once.next().to_vec();
        once.took(&first).expect("it was put");
        let mut check = |payload: &[u8], wanted: &str| {
            let told = once.took(payload).expect_err(wanted).to_string();
            assert_eq!(told, wanted);
        };
        check(&first, "message 0 came twice");
        check(
            &[&7_u64.to_le_bytes()[..], &[FILLER; 8]].concat(),
            "message 7 came and only 1 were put",
        );
        check(&first[..12], "a message came that nobody put");
        check(&[&first[..15], &[0]].concat(), "a message came that nobody put");
        check(&[], "a message came that nobody put");
    }
}
