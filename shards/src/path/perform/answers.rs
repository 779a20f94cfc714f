//! Those who wait are answered: with messages, with nothing when their time is over, with a put's
//! receipt, or with a refusal.

use super::{Asker, Performed, Performer, promised_bytes};
use crate::path::queue::{Answer, Asked};
use crate::world::Outgoing;
use ringway_protocol::{Kind, Rejection};

/// What an answer means for the asker's connection beside its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Closure {
    /// Whether a request of it is answered by that: one that waited.
    pub ends_request: bool,
    /// Bytes of replies that it is promised no longer.
    pub released: usize,
}

impl Performer {
    /// Answers one of those who wait, if one can be served or has waited long enough.
    pub fn answer(&mut self) -> Option<Answer> {
        let answer = self.store.next_answer(self.now, &mut self.taken, &mut self.stored)?;
        if let (Asked::Put, Ok(())) = (answer.asked, answer.outcome) {
            self.journal.append();
            self.stats().puts.add(self.stored.new_messages());
        }
        Some(answer)
    }

    /// Writes the reply that [`Performer::answer`] decided on.
    pub fn write_answer(&mut self, asker: Asker, answer: &Answer, out: &mut Outgoing) -> Performed {
        let why = match (answer.asked, answer.outcome) {
            (_, Err(why)) => why,
            (Asked::Take(take), Ok(())) => return self.deliver(asker, take.queue, out),
            (Asked::Push(queue), Ok(())) => return self.deliver(asker, queue, out),
            (Asked::Put, Ok(())) => {
                self.write_receipt(asker, out);
                return Performed::Answered;
            }
            (Asked::Subscription(_), Ok(())) => unreachable!("a subscription ends for a reason"),
        };
        self.refuse(asker, Some(kind_of(answer)), why, out)
    }

    /// Gives back what [`Performer::answer`] took for an asker that is gone.
    pub fn give_back_answer(&mut self, answer: &Answer) {
        let queue = match answer.asked {
            Asked::Take(take) => take.queue,
            Asked::Push(queue) => queue,
            Asked::Subscription(_) | Asked::Put => return,
        };
        if self.taken.lease.0 != 0 {
            self.store.release(queue, self.taken.lease, self.now);
        }
        self.taken.runs.clear();
    }

    /// The shard goes down: no put waits for room any longer.
    pub fn refuse_held(&mut self, why: Rejection) {
        self.store.refuse_held(why);
    }
}

impl Closure {
    /// What this answer means.
    pub fn of(answer: &Answer) -> Self {
        let (ends_request, released) = match answer.asked {
            Asked::Take(take) => (true, promised_bytes(&take)),
            Asked::Put => (true, 0),
            Asked::Push(_) => (false, 0),
            Asked::Subscription(promised) => (false, promised as usize),
        };
        Self { ends_request, released }
    }
}

fn kind_of(answer: &Answer) -> Kind {
    match answer.asked {
        Asked::Take(_) | Asked::Push(_) => Kind::Take,
        Asked::Subscription(_) => Kind::Subscribe,
        Asked::Put => Kind::Put,
    }
}
