//! A queue gets another name, on whatever shard the name lives.

use ringway_protocol::name::DEAD_LETTER_SUFFIX;
use ringway_protocol::{Code, QueueId};

use super::queues::Described;
use super::{Client, MoveOptions, Paused};
use crate::error::Error;

/// A queue under its new name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Renamed {
    /// Its id now.
    pub queue: QueueId,
    /// Messages that were moved one by one: the new name lives on another shard.
    pub moved: u64,
    /// Messages that stayed in the queue of the old name, which therefore is still there.
    pub left: u64,
}

/// What a queue may have that cannot go to another shard with its messages, by its figure.
const STAYS: [(&str, &str); 6] = [
    ("leased", "messages of it are leased: settle them first"),
    ("blocked", "messages of it wait for others of their key: settle those first"),
    ("delayed", "messages of it wait for their back-off: rename it when they are settled"),
    ("scheduled", "messages of it are scheduled: rename it when they are due, or remove them"),
    ("held_puts", "puts to it wait for room: take messages first"),
    ("kept_messages", "it keeps messages that are done: alter it to keep none first"),
];

fn refused(code: Code, sentence: String) -> Error {
    Error::Refused { code, sentence }
}

impl Client {
    /// Gives a queue another name, on whatever shard it lives, and its dead letters with it.
    ///
    /// Where one shard has both names this is [`Client::rename`]. Else the queue is paused, a new
    /// one is declared with the same options and gets its bindings and messages, and the old one is
    /// deleted if nothing is left in it; who waits there for messages is told that it is gone.
    /// What cannot be carried to another shard is refused before anything is done, with
    /// [`Code::OtherShard`]: a spread queue, groups other than `default`, messages that are not
    /// ready or are kept, a window of deduplication.
    pub fn rename_or_move(&mut self, queue: QueueId, name: &str) -> Result<Renamed, Error> {
        match self.rename(queue, name) {
            Ok(queue) => return Ok(Renamed { queue, moved: 0, left: 0 }),
            Err(Error::Refused { code: Code::OtherShard, .. }) => {}
            Err(error) => return Err(error),
        }
        let old = self.describe(queue)?;
        self.check_carried(queue, &old)?;
        let letters = self.find(&format!("{}{DEAD_LETTER_SUFFIX}", old.name))?;
        let Some(letters) = letters else { return self.carry(queue, &old, name) };
        let (letters_name, letters_old) =
            (format!("{name}{DEAD_LETTER_SUFFIX}"), self.describe(letters)?);
        self.check_carried(letters, &letters_old)?;
        if self.find(&letters_name)?.is_some() {
            return Err(refused(
                Code::Conflict,
                format!("a queue named '{letters_name}' is there already, for its dead letters"),
            ));
        }
        let renamed = self.carry(queue, &old, name)?;
        if renamed.left == 0 {
            self.carry(letters, &letters_old, &letters_name)?;
        }
        Ok(renamed)
    }

    /// The queue of a name, if there is one.
    fn find(&mut self, name: &str) -> Result<Option<QueueId>, Error> {
        // An open would make it where the server declares by itself.
        let listed = self.list(name)?;
        Ok(listed.iter().find(|listed| listed.name == name).map(|listed| listed.queue))
    }

    /// Refuses what would not be the same queue on another shard.
    fn check_carried(&mut self, queue: QueueId, old: &Described) -> Result<(), Error> {
        let name = &old.name;
        let stays = |why: &str| {
            let sentence = format!("{name} cannot get a name of another shard: {why}");
            Err(refused(Code::OtherShard, sentence))
        };
        if old.parts > 1 || old.options.parts() > 1 {
            return stays("it is spread, and its name places its parts");
        }
        if old.options.dedup_ms > 0 {
            return stays("what it remembers of earlier puts would stay: alter its dedup_ms to 0");
        }
        let groups = self.groups(queue)?;
        let plain = |flags: ringway_protocol::request::GroupFlags| flags == Default::default();
        match &groups[..] {
            [group] if group.name == "default" && plain(group.flags) => {}
            _ => return stays("it has groups other than a plain 'default'"),
        }
        let figures = self.stat_queue(queue)?;
        let standing = STAYS.iter().find(|(column, _)| figures.get(0, column) > 0);
        standing.map_or(Ok(()), |(_, why)| stays(why))
    }

    /// Makes a queue what another one is, and removes that one when it is empty.
    fn carry(&mut self, queue: QueueId, old: &Described, name: &str) -> Result<Renamed, Error> {
        let (new, created) = match self.declare_new(name, Some(old.options)) {
            Err(Error::Refused { code: Code::Conflict, .. }) => (queue, false),
            declared => declared?,
        };
        if !created {
            let sentence = format!("a queue named '{name}' is there already");
            return Err(refused(Code::Conflict, sentence));
        }
        let carried = self.carry_to(queue, old, new);
        if !matches!(carried, Ok(Renamed { left: 0, .. })) {
            // The first error is the one to tell.
            let restored = self.restore_pause(queue, old.paused);
            return carried.and_then(|renamed| restored.map(|()| renamed));
        }
        carried
    }

    fn carry_to(
        &mut self,
        queue: QueueId,
        old: &Described,
        new: QueueId,
    ) -> Result<Renamed, Error> {
        self.pause(queue, Paused::Both)?;
        // Bound twice for a moment rather than not at all; what is paused refuses its copy.
        for bound in self.bindings()?.iter().filter(|bound| bound.queue == queue) {
            self.bind(new, &bound.pattern)?;
            self.unbind(queue, &bound.pattern)?;
        }
        let moved = self.move_messages(queue, new, &MoveOptions::default())?.moved;
        let left = self.stat_queue(queue)?.get(0, "messages");
        if left == 0 {
            self.delete(queue)?;
        }
        self.restore_pause(new, old.paused)?;
        Ok(Renamed { queue: new, moved, left })
    }

    fn restore_pause(&mut self, queue: QueueId, paused: Option<Paused>) -> Result<(), Error> {
        match paused {
            Some(what) => self.pause(queue, what),
            None => self.resume(queue),
        }
    }
}
