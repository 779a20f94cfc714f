//! The shard's part in errands: those that waited for a commit go on, and what has ended goes home.

use super::Runner;
use crate::path::connection::Stall;
use crate::path::handoff::first_entry;
use crate::shard::Shard;
use crate::world::World;

/// How often a turn looks again for what replies have led to: a connection that gets one may go on.
const ROUNDS_PER_TURN_MAX: usize = 4;

impl<W: World> Shard<W> {
    pub(crate) fn errand_runner(&mut self) -> Runner<'_, W::Socket> {
        let Self { errands, performer, handoffs, .. } = self;
        Runner { errands, performer, handoffs }
    }

    /// Queues that have gone by themselves are forgotten by every shard.
    pub(crate) fn forget_deleted(&mut self) {
        while let Some(queue) = self.performer.store.next_deleted() {
            self.worked(1);
            self.errand_runner().forget(queue);
        }
    }

    /// Dead letters that a part has made for itself become those of the whole queue.
    pub(crate) fn ask_for_letters(&mut self) {
        while let Some(part) = self.performer.store.next_letters_alone() {
            self.worked(1);
            self.errand_runner().ask_for_letters(part);
        }
    }

    /// Lets errands go on, and gives connections their replies.
    pub(crate) fn run_errands(&mut self) {
        for _ in 0..ROUNDS_PER_TURN_MAX {
            if !self.errands.have_work(self.performer.journal.committed()) {
                break;
            }
            let went_on = self.errand_runner().go_on();
            self.worked(1 + went_on);
            self.send_home();
            self.let_go();
        }
    }

    /// Replies go to their connections as if another shard had brought them.
    fn send_home(&mut self) {
        let mut batch = std::mem::take(&mut self.errands.home);
        let mut rest = &batch[..];
        while let Some((entry, after)) = first_entry(rest) {
            self.bring_home(self.config.shard, entry);
            rest = after;
        }
        batch.clear();
        // Replies that came meanwhile have begun a new batch.
        if self.errands.home.is_empty() {
            self.errands.home = batch;
        }
    }

    /// Errands that only take end with their connection.
    pub(crate) fn end_idle_errands(&mut self, slot: u32) {
        let Self { connections, errands, performer, handoffs, .. } = self;
        let Some(connection) = connections.at(slot) else { return };
        let mut runner = Runner { errands, performer, handoffs };
        let ended = connection.holds.take_idle().filter_map(|errand| runner.cancel(errand));
        for (promised, waits, requests) in ended {
            connection.elsewhere -= requests;
            let counted = if waits { &mut connection.promised } else { &mut connection.expected };
            *counted -= promised as usize;
        }
    }

    /// Connections whose next request waited for an errand try it again.
    fn let_go(&mut self) {
        for _ in 0..self.errands.let_go.len() {
            let Some((peer, errand)) = self.errands.let_go.pop_front() else { break };
            let Some((slot, connection)) = self.connections.of_peer(peer) else { continue };
            connection.holds.let_go(errand);
            if connection.stall == Some(Stall::Errand) {
                self.serve_kept(slot);
            }
        }
    }
}
