//! What those who wait are answered: what is due first, then held puts, then messages in turn.

use ringway_protocol::request::Take;
use ringway_protocol::{QueueId, Rejection};

use crate::path::origin::Origin;
use crate::path::queue::waits::{Asks, Place, Wait};
use crate::path::queue::{Store, Stored, Taken};
use crate::world::Now;

/// An answer to somebody who waited.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// Who asked.
    pub origin: Origin,
    /// What was asked.
    pub asked: Asked,
    /// Whether messages came (they are in the [`Taken`]), the wait ran out (none are), a held put
    /// is stored (the [`Stored`] says where), or why not.
    pub outcome: Result<(), Rejection>,
}

/// What was asked by somebody who waited.
#[derive(Clone, Copy, Debug)]
pub enum Asked {
    /// Messages, once.
    Take(Take),
    /// Messages of this queue as they come: a delivery that others may follow.
    Push(QueueId),
    /// Messages as they come: the subscription has ended; its credit was so many bytes.
    Subscription(u32),
    /// Room for a put.
    Put,
}

impl Store {
    /// The next answer to somebody who waits. Asks each queue that can serve in turn.
    #[inline]
    pub fn next_answer(
        &mut self,
        now: Now,
        taken: &mut Taken,
        stored: &mut Stored,
    ) -> Option<Answer> {
        if !self.waits.due.is_empty() {
            taken.clear();
            return self.waits.take_answer().map(answer_due);
        }
        if !self.segments.room.is_empty()
            && let Some(answer) = self.next_admission(now, stored)
        {
            return Some(answer);
        }
        if self.offers.is_empty() && self.starved.is_empty() {
            None
        } else {
            self.serve(now, taken)
        }
    }

    /// Serves the next in turn for whom something comes.
    fn serve(&mut self, now: Now, taken: &mut Taken) -> Option<Answer> {
        while let Some(turn) = self.next_turn() {
            taken.clear();
            let Wait { asks, origin, .. } = self.waits[turn.slot];
            match asks {
                Asks::Subscription(index) => {
                    if self.push(turn, index, now, taken) {
                        let asked = Asked::Push(turn.id);
                        return Some(Answer { origin, asked, outcome: Ok(()) });
                    }
                }
                Asks::Take(take) => {
                    let outcome = self.deliver(&take, turn.group, turn.share, now, taken);
                    if outcome.is_ok() && taken.count == 0 {
                        self.look_further(turn);
                        continue;
                    }
                    self.end_turn(turn);
                    return Some(Answer { origin, asked: Asked::Take(take), outcome });
                }
                _ => unreachable!("nothing else waits at a group"),
            }
        }
        None
    }

    /// Drops what waits for an asker that is gone, and the answers that it was due. What was pushed
    /// to it comes back, in this turn or the next ones; where it was the single active consumer,
    /// the next one takes over. Says how many of its requests end without a reply.
    pub fn forget(&mut self, shard: u8, peer: u64, now: Now) -> u32 {
        let (mut requests, mut active) = (0, Vec::new());
        while let Some(slot) = self.waits.latest_of((shard, peer)) {
            let Wait { asks, place, queue, group, .. } = self.waits[slot];
            requests += u32::from(matches!(asks, Asks::Take(_) | Asks::Put(_)));
            match asks {
                _ if place == Place::Due => {
                    self.waits.drop_answer(slot);
                    self.waits.remove(slot);
                }
                Asks::Subscription(index) => drop(self.end_subscription(index, now)),
                Asks::Put(_) => self.drop_held(slot),
                Asks::Activity => {
                    self.forget_activity(queue, group.into());
                    active.push((queue, group.into()));
                }
                Asks::Take(_) | Asks::Ended(_) => {
                    self.leave_group(slot);
                    self.waits.remove(slot);
                }
            }
        }
        active.into_iter().for_each(|place| self.succeed(place));
        requests
    }

    /// Those of other shards than this one of whom anything waits.
    pub fn askers_of_others(&self, here: u8) -> Vec<(u8, u64)> {
        let mut others: Vec<_> = self.waits.askers().filter(|(shard, _)| *shard != here).collect();
        others.sort_unstable();
        others
    }
}

fn answer_due(wait: Wait) -> Answer {
    let Wait { asks, origin, outcome, .. } = wait;
    let asked = match asks {
        Asks::Take(take) => Asked::Take(take),
        Asks::Ended(promised) => Asked::Subscription(promised),
        Asks::Put(_) => Asked::Put,
        Asks::Subscription(_) | Asks::Activity => unreachable!("these are never due"),
    };
    Answer { origin, asked, outcome }
}
