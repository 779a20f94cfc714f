//! A spread queue is made, or spread further: its parts are declared on their shards, then every
//! shard is told, then the same is done for its dead letters; then the reply goes out.
//!
//! Declaring a part finds it if it is there, so a declaration that was refused half way can be
//! repeated, and so can one that a connection did not live to see the end of.

use crate::path::errand::among::{Change, PART, TELL, part};
use crate::path::errand::runner::Runner;
use crate::path::errand::{Answer, Call, Step};
use ringway_protocol::{Kind, QueueId, QueueName, QueueOptions, Rejection, SpreadOrder, reply};

use super::Spread;

/// What is being made, and how far it has come.
#[derive(Debug)]
pub(in crate::path::errand) struct Make {
    /// The queue's name, then that of its dead letters.
    name: QueueName,
    options: Option<QueueOptions>,
    order: SpreadOrder,
    /// In the order of the shards, the first on this one; 0 for those that have not answered.
    parts: Vec<QueueId>,
    stage: Stage,
    /// The queue, and whether this made it.
    made: (QueueId, bool),
    /// Whether the dead letters come next.
    dead_letters: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// Parts that are there get new options.
    Altering,
    /// Parts are declared.
    Declaring,
    /// Shards are told.
    Telling,
}

/// Over how many shards a queue with these options is spread, of so many.
pub fn spread_over(options: &QueueOptions, shards: usize) -> usize {
    usize::from(options.spread).clamp(1, shards)
}

impl Make {
    /// A declaration. The part of this shard is made first; if it is refused, nothing was done.
    pub fn declare<S>(
        runner: &mut Runner<'_, S>,
        name: &str,
        options: QueueOptions,
    ) -> Result<Self, Rejection> {
        let name = QueueName::new(name)?;
        let (home, made) = runner.performer.declare_part(name.as_str(), Some(options), 0)?;
        let mut parts = vec![QueueId(0); spread_over(&options, runner.handoffs.shards())];
        parts[0] = home;
        Ok(Self {
            name,
            options: Some(options),
            order: options.spread_order,
            parts,
            stage: Stage::Declaring,
            made: (home, made),
            dead_letters: true,
        })
    }

    /// New options, for a queue that is spread or shall be.
    pub fn alter<S>(
        runner: &Runner<'_, S>,
        (queue, name): (QueueId, &str),
        options: QueueOptions,
    ) -> Result<Self, Rejection> {
        let mut parts =
            runner.performer.spreads.get(queue).map_or(vec![queue], |known| known.parts.clone());
        let count = spread_over(&options, runner.handoffs.shards()).max(parts.len());
        parts.resize(count, QueueId(0));
        Ok(Self {
            name: QueueName::new(name)?,
            options: Some(options),
            order: options.spread_order,
            parts,
            stage: Stage::Altering,
            made: (queue, false),
            dead_letters: true,
        })
    }

    /// The first step.
    pub fn begin<S>(&mut self, runner: &mut Runner<'_, S>, call: &mut Call) -> Step {
        match self.stage {
            Stage::Altering => {
                let options = self.options.expect("an alteration has options");
                for part in self.parts.iter().filter(|part| part.0 != 0) {
                    runner.ask(call, (part.shard(), 0), Kind::Alter as u8, |out| {
                        out.extend_from_slice(&part.0.to_le_bytes());
                        options.encode(out);
                    });
                }
            }
            _ => self.declare_parts(runner, call),
        }
        Step::Wait
    }

    fn declare_parts<S>(&mut self, runner: &mut Runner<'_, S>, call: &mut Call) {
        self.stage = Stage::Declaring;
        let (here, shards) = (runner.here(), runner.handoffs.shards());
        for number in 1..self.parts.len() {
            let shard = (here + number) % shards;
            runner.ask(call, (shard, number as u32), PART, |out| {
                part(out, number as u8, self.options.as_ref(), self.name.as_str());
            });
        }
    }

    pub fn heard<S>(
        &mut self,
        runner: &mut Runner<'_, S>,
        call: &mut Call,
        answer: Answer<'_>,
    ) -> Step {
        if answer.frame.header.code != 0 {
            runner.pass_on(call, answer.frame);
            return Step::Done;
        }
        if self.stage == Stage::Declaring {
            let id = answer.frame.body.first_chunk().map_or(0, |id| u64::from_le_bytes(*id));
            self.parts[answer.part as usize] = QueueId(id);
        }
        match self.stage {
            _ if call.open > 0 => Step::Wait,
            Stage::Altering => {
                self.declare_parts(runner, call);
                Step::Wait
            }
            Stage::Declaring => self.tell(runner, call),
            Stage::Telling if std::mem::take(&mut self.dead_letters) => {
                self.make_dead_letters(runner, call)
            }
            Stage::Telling => self.finish(runner, call),
        }
    }

    fn tell<S>(&mut self, runner: &mut Runner<'_, S>, call: &mut Call) -> Step {
        self.stage = Stage::Telling;
        let ids: Vec<u8> = self.parts.iter().flat_map(|part| part.0.to_le_bytes()).collect();
        let change = Change::Spread { order: self.order, parts: &ids };
        change.apply(runner.performer);
        let here = runner.here();
        for shard in (0..runner.handoffs.shards()).filter(|shard| *shard != here) {
            runner.ask(call, (shard, 0), TELL, |out| change.encode(out));
        }
        Step::Wait
    }

    /// Dead letters lie beside the part that they come from; this makes them one queue as well.
    fn make_dead_letters<S>(&mut self, runner: &mut Runner<'_, S>, call: &mut Call) -> Step {
        let name = self.name.dead_letter().filter(|_| !self.name.is_dead_letter());
        let Some(name) = name else { return self.finish(runner, call) };
        match runner.performer.declare_part(name.as_str(), None, 0) {
            Ok((home, _)) => {
                (self.name, self.options, self.order) = (name, None, SpreadOrder::Relaxed);
                self.parts.fill(QueueId(0));
                self.parts[0] = home;
                self.declare_parts(runner, call);
                Step::Wait
            }
            Err(why) => {
                runner.refuse(call, why);
                Step::Done
            }
        }
    }

    fn finish<S>(&self, runner: &mut Runner<'_, S>, call: &Call) -> Step {
        let (queue, made) = self.made;
        runner.reply(call, 0, |out, ids| match call.kind {
            Kind::Declare => reply::declared(out, ids, queue, made),
            _ => reply::done(out, call.kind, ids),
        });
        Step::Done
    }
}

/// What a shard has to know about a queue that is spread.
pub fn spread_of(order: SpreadOrder, ids: &[u8]) -> Spread {
    let (ids, _) = ids.as_chunks::<8>();
    Spread { parts: ids.iter().map(|id| QueueId(u64::from_le_bytes(*id))).collect(), order }
}
