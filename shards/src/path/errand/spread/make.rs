//! A queue is spread over more shards: parts are declared on theirs, then every shard is told, then
//! the same is done for its dead letters; then the reply goes out.
//!
//! A new part gets the groups and the pause of the first one before any shard knows of it; if those
//! have changed meanwhile, it gets them again. Only when all new parts are there do the old ones
//! get other options, so what is refused has changed nothing: the new parts are deleted again.
//! Who waited at the old parts is told to ask again, since the new ones are not his.
//!
//! Declaring a part finds it if it is there: many may declare one queue at once.

use crate::path::errand::among::{Change, PART, TELL, part};
use crate::path::errand::runner::Runner;
use crate::path::errand::{Answer, Call, Step};
use ringway_protocol::{
    Code, Header, Kind, QueueId, QueueName, QueueOptions, Rejection, SpreadOrder, frame, reply,
};

use super::Spread;

/// How often new parts are made like the first one, whose groups change meanwhile.
const ROUNDS_MAX: u32 = 16;

const ASK_AGAIN: Rejection = Rejection::new(
    Code::NoSuchLease,
    "the queue lies on more shards from now on, and this waited at those before: ask again",
);
const RESTLESS: Rejection = Rejection::new(
    Code::Conflict,
    "the groups of the queue change all the time: spread it when they are made",
);
const REMEMBERS: Rejection = Rejection::new(
    Code::InvalidOption,
    "what a queue remembers of earlier puts is not spread: alter its dedup_ms to 0, spread it, and \
     alter it back",
);
const SINGLE_ACTIVE: Rejection = Rejection::new(
    Code::Unsupported,
    "the parts of a spread queue have a consumer each: alter its groups with a single active one",
);

/// What is being made, and how far it has come.
#[derive(Debug)]
pub(in crate::path::errand) struct Make {
    /// The queue's name, then that of its dead letters.
    name: QueueName,
    options: QueueOptions,
    order: SpreadOrder,
    /// In the order of the shards, the first on this one; 0 for those that have not answered.
    parts: Vec<QueueId>,
    /// How many of them were there before.
    known: usize,
    /// Parts that this has made.
    fresh: Vec<QueueId>,
    /// What the new parts were told of the first one's groups, and how often.
    traits: Vec<u8>,
    rounds: u32,
    stage: Stage,
    /// Why it is not made: the code and the sentence.
    refusal: Option<(u16, Box<[u8]>)>,
    /// The queue, and whether this made it.
    made: (QueueId, bool),
    /// Whether this is about the dead letters.
    dead_letters: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// New parts are declared.
    Declaring,
    /// Parts that were there get new options.
    Altering,
    /// Shards are told.
    Telling,
    /// What was made is deleted again.
    Undoing,
}

/// Over how many shards a queue with these options is spread, of so many.
pub fn spread_over(options: &QueueOptions, shards: usize) -> usize {
    usize::from(options.spread).clamp(1, shards)
}

impl Make {
    fn new<S>(
        runner: &Runner<'_, S>,
        (name, options): (QueueName, QueueOptions),
        (home, made): (QueueId, bool),
    ) -> Self {
        let mut parts = runner.performer.spreads.parts(home);
        let known = parts.len();
        let count = spread_over(&options, runner.handoffs.shards()).max(known);
        parts.resize(count, QueueId(0));
        Self {
            name,
            options,
            order: options.spread_order,
            parts,
            known,
            fresh: Vec::new(),
            traits: Vec::new(),
            rounds: 0,
            stage: Stage::Declaring,
            refusal: None,
            made: (home, made),
            dead_letters: false,
        }
    }

    /// A declaration. The part of this shard is made first; if it is refused, nothing was done.
    pub fn declare<S>(
        runner: &mut Runner<'_, S>,
        name: &str,
        options: QueueOptions,
    ) -> Result<Self, Rejection> {
        let name = QueueName::new(name)?;
        let home = runner.performer.declare_part(name.as_str(), Some(options), 0)?;
        Ok(Self::new(runner, (name, options), home))
    }

    /// New options, for a queue that is spread or shall be.
    pub fn alter<S>(
        runner: &Runner<'_, S>,
        queue: QueueId,
        options: QueueOptions,
    ) -> Result<Self, Rejection> {
        let store = &runner.performer.store;
        let name = QueueName::new(store.name(queue)?)?;
        store.check_options(queue, &options)?;
        let make = Self::new(runner, (name, options), (queue, false));
        if spread_over(&options, runner.handoffs.shards()) < make.known {
            let sentence = "a queue is not spread over fewer shards than it is";
            return Err(Rejection::new(Code::InvalidOption, sentence));
        }
        if make.known < make.parts.len() {
            if options.dedup_ms > 0 && store.options(queue)?.dedup_ms > 0 {
                return Err(REMEMBERS);
            }
            if store.has_single_active(queue)? {
                return Err(SINGLE_ACTIVE);
            }
        }
        Ok(make)
    }

    /// The dead letters of a queue, which are to lie on as many shards as the queue.
    pub fn dead_letters<S>(
        runner: &mut Runner<'_, S>,
        queue: QueueId,
    ) -> Result<Option<Self>, Rejection> {
        let name = QueueName::new(runner.performer.store.name(queue)?)?;
        let Some(name) = name.dead_letter().filter(|_| !name.is_dead_letter()) else {
            return Ok(None);
        };
        let home = runner.performer.declare_part(name.as_str(), None, 0)?;
        let options = *runner.performer.store.options(home.0)?;
        let count = runner.performer.spreads.parts(queue).len();
        let mut make = Self::new(runner, (name, options), home);
        make.parts.resize(count.max(make.known), QueueId(0));
        make.dead_letters = true;
        Ok(Some(make))
    }

    /// The first step, and the first after new dead letters were made.
    pub fn begin<S>(&mut self, runner: &mut Runner<'_, S>, call: &mut Call) -> Step {
        if self.known < self.parts.len() {
            return self.declare_parts(runner, call);
        }
        self.go_on(runner, call)
    }

    /// The queue that this makes something of.
    pub fn home(&self) -> QueueId {
        self.parts[0]
    }

    fn declare_parts<S>(&mut self, runner: &mut Runner<'_, S>, call: &mut Call) -> Step {
        self.stage = Stage::Declaring;
        self.rounds += 1;
        self.traits.clear();
        if let Err(why) = runner.performer.store.write_traits(self.home(), &mut self.traits) {
            self.refusal = Some((why.code as u16, why.sentence.as_bytes().into()));
            return self.undo(runner, call);
        }
        let (here, shards) = (runner.here(), runner.handoffs.shards());
        for number in self.known..self.parts.len() {
            let shard = (here + number) % shards;
            runner.ask(call, (shard, number as u32), PART, |out| {
                part(out, (number as u8, &self.options, &self.traits), self.name.as_str());
            });
        }
        Step::Wait
    }

    pub fn heard<S>(
        &mut self,
        runner: &mut Runner<'_, S>,
        call: &mut Call,
        answer: Answer<'_>,
    ) -> Step {
        let header = answer.frame.header;
        if header.code != 0 && self.stage != Stage::Undoing {
            self.refusal.get_or_insert_with(|| (header.code, answer.frame.body.into()));
        } else if self.stage == Stage::Declaring {
            let (ids, _) = answer.frame.body.as_chunks::<8>();
            let part = QueueId(ids.first().map_or(0, |id| u64::from_le_bytes(*id)));
            self.parts[answer.part as usize] = part;
            if ids.get(1).is_some_and(|made| *made != [0; 8]) {
                self.fresh.push(part);
            }
        }
        match self.stage {
            _ if call.open > 0 => Step::Wait,
            Stage::Undoing => self.refused(runner, call),
            Stage::Telling => self.told(runner, call),
            // Old parts only refuse when the queue is being deleted.
            _ if self.refusal.is_some() => self.undo(runner, call),
            Stage::Declaring => self.declared(runner, call),
            // Groups may have come while the old parts were asked.
            Stage::Altering if self.is_outdated(runner) => self.declare_again(runner, call),
            Stage::Altering => self.tell(runner, call),
        }
    }

    /// All parts are there: nobody knows of the new ones yet.
    fn declared<S>(&mut self, runner: &mut Runner<'_, S>, call: &mut Call) -> Step {
        if self.is_outdated(runner) {
            return self.declare_again(runner, call);
        }
        self.go_on(runner, call)
    }

    /// Whether the new parts were told something of the first one that is not so any more.
    fn is_outdated<S>(&self, runner: &Runner<'_, S>) -> bool {
        if self.known == self.parts.len() {
            return false;
        }
        let mut traits = Vec::new();
        let alike = runner.performer.store.write_traits(self.home(), &mut traits);
        // Once this shard knows them, the parts hear of every change themselves.
        let known = runner.performer.spreads.parts(self.home()).len() >= self.parts.len();
        alike.is_err() || !known && traits != self.traits
    }

    fn declare_again<S>(&mut self, runner: &mut Runner<'_, S>, call: &mut Call) -> Step {
        if self.rounds < ROUNDS_MAX {
            return self.declare_parts(runner, call);
        }
        self.refusal = Some((RESTLESS.code as u16, RESTLESS.sentence.as_bytes().into()));
        self.undo(runner, call)
    }

    fn go_on<S>(&mut self, runner: &mut Runner<'_, S>, call: &mut Call) -> Step {
        if call.kind != Kind::Alter || self.dead_letters {
            return self.tell(runner, call);
        }
        self.stage = Stage::Altering;
        for part in &self.parts[..self.known] {
            runner.ask(call, (part.shard(), 0), Kind::Alter as u8, |out| {
                out.extend_from_slice(&part.0.to_le_bytes());
                self.options.encode(out);
            });
        }
        Step::Wait
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

    /// Every shard knows the parts. What was sent to the first one before is here by now: an
    /// errand of another shard that waits at several parts ends when one of them refuses it.
    fn told<S>(&mut self, runner: &mut Runner<'_, S>, call: &mut Call) -> Step {
        if self.known < self.parts.len() {
            let now = runner.performer.now;
            runner.performer.store.dismiss(self.home(), ASK_AGAIN, now);
        }
        if self.dead_letters {
            return self.finish(runner, call);
        }
        // Without its dead letters the queue is whole: a part that needs them asks for them.
        let Ok(Some(letters)) = Self::dead_letters(runner, self.home()) else {
            return self.finish(runner, call);
        };
        let Self { made, refusal, .. } = std::mem::replace(self, letters);
        (self.made, self.refusal) = (made, refusal);
        self.begin(runner, call)
    }

    /// Deletes what this has made, unless somebody else makes the same and has found it.
    fn undo<S>(&mut self, runner: &mut Runner<'_, S>, call: &mut Call) -> Step {
        self.stage = Stage::Undoing;
        if runner.errands.makes(self.home()) {
            return self.refused(runner, call);
        }
        if self.made.1 && !self.dead_letters {
            // Somebody else may have deleted it meanwhile.
            let _ = runner.performer.delete(self.home());
        }
        for part in std::mem::take(&mut self.fresh) {
            let body = |out: &mut Vec<u8>| out.extend_from_slice(&part.0.to_le_bytes());
            runner.ask(call, (part.shard(), 0), Kind::Delete as u8, body);
        }
        if call.open > 0 { Step::Wait } else { self.refused(runner, call) }
    }

    fn refused<S>(&mut self, runner: &mut Runner<'_, S>, call: &Call) -> Step {
        if self.dead_letters {
            self.refusal = None;
        }
        self.finish(runner, call)
    }

    fn finish<S>(&self, runner: &mut Runner<'_, S>, call: &Call) -> Step {
        let (queue, made) = self.made;
        runner.reply(call, 0, |out, ids| match (&self.refusal, call.kind) {
            (Some((code, sentence)), kind) => refuse(out, (kind, *code), ids, sentence),
            (None, Kind::Declare) => reply::declared(out, ids, queue, made),
            (None, kind) => reply::done(out, kind, ids),
        });
        Step::Done
    }
}

/// Appends a refusal as another shard has worded it.
fn refuse(
    out: &mut Vec<u8>,
    (kind, code): (Kind, u16),
    (stream, request): (u32, u32),
    sentence: &[u8],
) {
    let mut header = Header::reply(kind, Code::Ok, stream, request);
    header.code = code;
    frame::write(out, header, |out| out.extend_from_slice(sentence));
}

/// What a shard has to know about a queue that is spread.
pub fn spread_of(order: SpreadOrder, ids: &[u8]) -> Spread {
    let (ids, _) = ids.as_chunks::<8>();
    Spread { parts: ids.iter().map(|id| QueueId(u64::from_le_bytes(*id))).collect(), order }
}
