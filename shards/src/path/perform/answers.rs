//! Waiting takes are answered: with messages, with nothing when their time is over, or with a
//! refusal.

use super::{Asker, Performed, Performer};
use crate::path::origin::Origin;
use crate::world::Outgoing;
use ringway_protocol::request::Take;
use ringway_protocol::{Kind, Rejection};

impl Performer {
    /// Answers one waiting take, if one can be served or has waited long enough.
    pub fn answer(&mut self) -> Option<(Origin, Take, Result<(), Rejection>)> {
        let answer = self.store.next_answer(self.now, &mut self.taken)?;
        Some((answer.origin, answer.take, answer.outcome))
    }

    /// Writes the reply that [`Performer::answer`] decided on.
    pub fn write_answer(
        &mut self,
        asker: Asker,
        take: &Take,
        outcome: Result<(), Rejection>,
        out: &mut Outgoing,
    ) -> Performed {
        match outcome {
            Ok(()) => self.deliver(asker, take.queue, out),
            Err(why) => self.refuse(asker, Some(Kind::Take), why, out),
        }
    }

    /// Gives back what [`Performer::answer`] took for an asker that is gone.
    pub fn give_back_answer(&mut self, take: &Take) {
        if self.taken.lease.0 != 0 {
            self.store.release(take.queue, self.taken.lease, self.now);
        }
        self.taken.runs.clear();
    }
}
