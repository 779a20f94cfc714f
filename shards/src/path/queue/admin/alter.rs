//! A queue gets other options or another name, or is paused; what it holds stays as it is.

use ringway_protocol::name::DEAD_LETTER_SUFFIX;
use ringway_protocol::{Code, QueueId, QueueName, QueueOptions, Rejection};

use crate::limits::{PRODUCER_BATCHES_MAX, PRODUCERS_MAX};
use crate::path::queue::Store;
use crate::path::queue::catalog::{Queue, fit};
use crate::path::queue::put::dedup::ProducersConfig;
use crate::path::queue::state::{Memory, Pause};
use crate::world::Now;

impl Store {
    /// Changes all options of a queue, at once for all that it holds. A bound that is lower than
    /// what it holds takes nothing away. Visits each segment if what is kept changes.
    pub fn alter(&mut self, id: QueueId, options: QueueOptions, now: Now) -> Result<(), Rejection> {
        let queue = self.catalog.get_mut(id)?;
        let options = fit(&queue.name, options)?;
        let before = std::mem::replace(&mut queue.options, options);
        queue.note_specialities();
        queue.remember_within(now);
        queue.bands.keep(&mut self.segments, options.keeps());
        queue.trim_kept(&mut self.segments);
        queue.linger(&mut self.lingering);
        queue.check();
        let slot = id.slot() as u32;
        if options.ttl_ms != before.ttl_ms {
            if let Some(timer) = queue.lifetimes.take() {
                self.wheel.disarm(timer);
            }
            self.look_at_lifetimes(slot, now);
        }
        if options.keep_ms != before.keep_ms {
            if let Some(timer) = self.catalog.at_mut(slot).rare().kept.take() {
                self.wheel.disarm(timer);
            }
            self.look_at_kept(slot, now);
        }
        if options.idle_ms != before.idle_ms {
            self.stir(id, now.ns);
            self.watch_use(slot);
        }
        self.note_held(id);
        self.look_at_line(id);
        self.offer_all(id);
        Ok(())
    }

    /// Refuses options that a queue could not be altered to.
    pub fn check_options(&self, id: QueueId, options: &QueueOptions) -> Result<(), Rejection> {
        fit(&self.catalog.get(id)?.name, *options).map(|_| ())
    }

    /// Stops or resumes a queue's puts, which are refused, and its takes, which find nothing.
    pub fn pause(&mut self, id: QueueId, puts: bool, takes: bool) -> Result<(), Rejection> {
        let queue = self.catalog.get_mut(id)?;
        queue.pause = Pause { puts, takes };
        queue.note_specialities();
        self.look_at_line(id);
        self.offer_all(id);
        Ok(())
    }

    /// Gives a queue another name. Its dead-letter queue goes with it, under the name that belongs
    /// to the new one. Whether the name belongs to this shard is the caller's to know.
    pub fn rename(&mut self, id: QueueId, name: &str) -> Result<(), Rejection> {
        let (slot, name) = (id.slot() as u32, QueueName::new(name)?);
        let queue = self.catalog.get(id)?;
        if queue.name == name {
            return Ok(());
        }
        let taken = |name: &QueueName| self.catalog.named(name);
        let letters = queue.name.dead_letter().and_then(|letters| taken(&letters));
        if taken(&name).is_some() {
            return Err(Rejection::new(Code::Conflict, "another queue has that name"));
        }
        fit(&name, queue.options)?;
        let letters_name = name.dead_letter();
        if letters.is_some() && letters_name.as_ref().is_none_or(|name| taken(name).is_some()) {
            let sentence = "the name that its dead-letter queue would get is too long, or taken";
            return Err(Rejection::new(Code::Conflict, sentence));
        }
        self.give_name(slot, name);
        if let (Some(letters), Some(name)) = (letters, letters_name) {
            self.give_name(letters, name);
        }
        Ok(())
    }

    fn give_name(&mut self, slot: u32, name: QueueName) {
        let before = self.catalog.at(slot).name.clone();
        self.catalog.rename(slot, name);
        let queue = self.catalog.at_mut(slot);
        if let Some(ledger) = &mut self.uses.ledger {
            ledger.place(queue);
        }
        // Dead letters go by name: they may be another queue's from now on, or go to another one.
        queue.dead_letters = None;
        if let Some(base) = before.as_str().strip_suffix(DEAD_LETTER_SUFFIX)
            && let Some(base) = QueueName::new(base).ok().and_then(|name| self.catalog.named(&name))
        {
            self.catalog.at_mut(base).dead_letters = None;
        }
    }
}

impl Queue {
    /// Remembers earlier puts within the limits of its options.
    fn remember_within(&mut self, now: Now) {
        let (window_ms, messages) = (self.options.dedup_ms.into(), self.options.dedup_messages());
        let memory = self.known_memory();
        if window_ms == 0 {
            *memory = None;
        }
        let Some(memory) = memory else { return };
        let Memory { window, producers } = &mut **memory;
        window.set_limits(window_ms, messages, now.ms());
        producers.set_config(ProducersConfig {
            window_ms,
            batches_max: PRODUCER_BATCHES_MAX,
            silence_ms: window_ms,
            producers_max: PRODUCERS_MAX,
        });
    }
}
