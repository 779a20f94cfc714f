//! What operators do to queues and messages of the real store: alter, pause, rename, browse,
//! remove, move.

use ringway_protocol::QueueId;
use ringway_protocol::record;
use ringway_protocol::request::{Browse, HeaderFilter, MessageState, Move};

use super::{Real, Result};
use crate::support::clock::Clock;
use crate::support::options::Options;
use crate::support::outcome::Outcome;
use crate::support::spec::record_text;
use crate::support::words::{Words, cursor_of, long, sequence_of, sequence_text};

/// Messages of a page where all of them are asked for: few, so that there are several pages.
const PAGE: u32 = 9;

impl Real {
    /// `alter QUEUE OPTION...`: what it does not name stays.
    pub(super) fn alter(&mut self, words: &Words<'_>) -> Result<Outcome> {
        let queue = self.queue(words.word(0));
        let before = Options::off_the_wire(self.store.options(queue)?);
        let options = words.queue_options(&before).unwrap_or(before);
        self.store.alter(queue, options.on_the_wire(), self.now())?;
        Ok(Outcome::ok())
    }

    pub(super) fn pause(&mut self, words: &Words<'_>) -> Result<Outcome> {
        let what = words.word(1);
        let (puts, takes) = (["puts", "both"].contains(&what), ["takes", "both"].contains(&what));
        self.store.pause(self.queue(words.word(0)), puts, takes)?;
        Ok(Outcome::ok())
    }

    pub(super) fn rename(&mut self, words: &Words<'_>) -> Result<Outcome> {
        let (queue, name) = (self.queue(words.word(0)), long(words.word(1)));
        self.store.rename(queue, &name)?;
        // Nothing is known by a name that it had.
        let store = &self.store;
        for (known, id) in &mut self.queues {
            if let Ok(name) = store.name(*id) {
                name.clone_into(known);
            }
        }
        Ok(Outcome::ok())
    }

    pub(super) fn remove(&mut self, words: &Words<'_>) -> Result<Outcome> {
        let sequences = words.plain()[1..].iter().map(|word| sequence_of(word));
        let removal = self.store.remove(self.queue(words.word(0)), sequences)?;
        Ok(Outcome::said(format!("{} removed, {} missing", removal.removed, removal.missing)))
    }

    /// `move QUEUE to TARGET|origin [limit=N] [group=NAME] [redrive] [filter=HEADER:VALUE]`
    pub(super) fn move_messages(&mut self, words: &Words<'_>) -> Result<Outcome> {
        let from = self.queue(words.word(0));
        let filter = words.get("filter").map(|filter| {
            let (name, value) = filter.split_once(':').expect("HEADER:VALUE");
            HeaderFilter { name, value: value.as_bytes() }
        });
        let to = words.word(2);
        let wanted = Move {
            from,
            to: (to != "origin").then(|| self.queue(to)),
            group: self.group(from, words.group()),
            limit: words.number("limit", 1024) as u32,
            redrive: words.has("redrive"),
            filter,
        };
        let moved = self.store.move_messages(&wanted, self.now())?;
        let more = if moved.more { ", more" } else { "" };
        Ok(Outcome::said(format!("{} moved, {} refused{more}", moved.moved, moved.refused)))
    }

    /// `browse QUEUE STATE [group=NAME] [from=SEQUENCE] [limit=N]`
    pub(super) fn browse_words(&self, words: &Words<'_>) -> Result<Outcome> {
        let queue = self.queue(words.word(0));
        let state = MessageState::ALL.into_iter().find(|state| state.as_str() == words.word(1));
        let limit = words.number("limit", 1024) as u32;
        let from = words.get("from").map(sequence_of);
        let cursor = from.map_or(0, |sequence| cursor_of(words.word(1), sequence));
        let (entries, next) =
            self.browse_page(queue, words.group(), state.expect("a state"), cursor, limit)?;
        let more = if next == 0 { "" } else { ", more" };
        let none = if entries.is_empty() { "none" } else { "" };
        let texts: Vec<_> = entries.into_iter().map(|(_, text)| text).collect();
        Ok(Outcome::said(format!("{}{more}{none}", texts.join(", "))))
    }

    /// What browsing shows, page by page; nothing if there is no such queue.
    pub fn browse(&self, command: &str) -> Option<String> {
        let words = Words::of(command);
        let queue = self.queue(words.word(0));
        let state = MessageState::ALL.into_iter().find(|state| state.as_str() == words.word(1));
        let (mut all, mut cursor) = (Vec::new(), 0);
        loop {
            let state = state.expect("a state");
            let page = self.browse_page(queue, words.group(), state, cursor, PAGE);
            let (entries, next) = page.ok()?;
            assert!(entries.len() <= PAGE as usize, "a page is no longer than was asked");
            all.extend(entries);
            assert!(next == 0 || next > cursor, "a cursor goes on");
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
        // They come lease by lease.
        if state == Some(MessageState::Leased) {
            all.sort();
        }
        let texts: Vec<_> = all.into_iter().map(|(_, text)| text).collect();
        Some(if texts.is_empty() { "none".into() } else { texts.join(", ") })
    }

    fn browse_page(
        &self,
        queue: QueueId,
        group: &str,
        state: MessageState,
        cursor: u64,
        limit: u32,
    ) -> Result<(Vec<(u64, String)>, u64)> {
        let group = self.group(queue, group);
        let browse = Browse { queue, group, state, cursor, limit, bytes_max: 0 };
        let mut entries = Vec::new();
        let next = self.store.browse(&browse, self.now(), |standing, bytes| {
            assert_eq!(standing.state, state);
            let (record, rest) = record::first(bytes).expect("a whole record");
            assert!(rest.is_empty(), "one record");
            let mut text = format!("{} ", sequence_text(standing.sequence));
            text += &record_text(&record, Clock::START_MS);
            if standing.deliveries > 0 {
                text += &format!("#{}", standing.deliveries);
            }
            if standing.due_ms > 0 {
                text += &format!("@{}", standing.due_ms.wrapping_sub(Clock::START_MS) as i64);
            }
            entries.push((standing.sequence, text));
        })?;
        Ok((entries, next))
    }
}
