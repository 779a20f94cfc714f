//! Answers of the real store to those who wait.

use super::{Asked, Real};
use crate::support::outcome::Outcome;

impl Real {
    /// Every answer that can be given now.
    pub(super) fn answers(&mut self) -> Outcome {
        let mut answers = Vec::new();
        let now = self.now();
        while let Some(answer) = self.store.next_answer(now, &mut self.taken) {
            let asker = answer.origin.request as usize;
            let Asked { who, subscription } = &self.asked[asker];
            let called = match subscription {
                None => who.to_string(),
                Some(number) => format!("{who}/{number}"),
            };
            assert_eq!(answer.origin, self.origin_of(asker), "an answer goes to who asked");
            let outcome = match answer.outcome {
                Ok(()) => Outcome::Delivery(self.delivery(false)),
                Err(why) => Outcome::Refused(format!("{:?}", why.code)),
            };
            answers.push((called, asker, outcome));
        }
        Outcome::Answers(answers)
    }
}
