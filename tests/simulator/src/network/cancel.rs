//! Cancels, which race with what they cancel: whatever they answer, their target ends exactly once.

use ringway_shards::world::{Completion, Token};

use super::Network;
use super::errno::{EALREADY, ENOENT};
use super::kernel::{Posted, Stage};

impl Network {
    pub(super) fn cancel_one(&mut self, shard: usize, target: Token, token: Token) {
        let operations = self.kernels[shard].operations.iter();
        let index = operations.enumerate().find_map(|(index, operation)| {
            (operation.token == target && operation.stage == Stage::Running).then_some(index)
        });
        let result = index.map_or(ENOENT, |index| self.cancel_at(shard, index));
        self.kernels[shard].cancels.push((token, result));
    }

    /// As IORING_ASYNC_CANCEL_ALL by descriptor: the result counts what it found.
    pub(super) fn cancel_all(&mut self, shard: usize, connection: usize, token: Token) {
        let mut found = 0;
        for index in 0..self.kernels[shard].operations.len() {
            let operation = &self.kernels[shard].operations[index];
            if operation.is_on(connection) && operation.stage == Stage::Running {
                self.cancel_at(shard, index);
                found += 1;
            }
        }
        let result = if found == 0 { ENOENT } else { found };
        self.kernels[shard].cancels.push((token, result));
    }

    /// Cancels a running operation, or meets it at the moment of its completion.
    fn cancel_at(&mut self, shard: usize, index: usize) -> i32 {
        let races = self.strikes(self.faults.cancel_race, "cancels that raced");
        if races && self.chance.once_in(2) {
            self.progress_at(shard, index);
            if self.kernels[shard].operations[index].stage == Stage::Ended {
                return ENOENT;
            }
        } else if races {
            self.kernels[shard].operations[index].stage = Stage::Ending;
            return EALREADY;
        }
        self.kernels[shard].operations[index].stage = Stage::Cancelled;
        0
    }

    /// Posts the completion of a cancel itself.
    pub(super) fn post_cancel(&mut self, shard: usize, index: usize) {
        let (token, result) = self.kernels[shard].cancels.swap_remove(index);
        let completion = Completion { token, result, more: false, buffer: None };
        self.kernels[shard].posted.push_back(Posted { completion, bytes: Vec::new() });
    }
}
