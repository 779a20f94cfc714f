//! Progress: which operation gets on next, how far, and with which completion.

use ringway_shards::world::{BufferId, BufferSize, Completion, Token};

use super::errno::{
    EAGAIN, ECANCELED, ECONNABORTED, ECONNRESET, EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPIPE,
};
use super::kernel::{Operation, Posted, Stage, Work};
use super::{Network, ServerEnd};
use crate::canary::Canary;
use ringway_checker::clients::ClientSide;

/// Operations that get on in one go, at most.
const STEPS_MAX: u64 = 6;

/// Steps that each operation gets in a calm world.
const CALM_STEPS: usize = 8;

impl Network {
    /// Lets a few operations of a shard get on, chosen by the seed.
    pub fn progress(&mut self, shard: usize) {
        for _ in 0..self.chance.between(1, STEPS_MAX) {
            let kernel = &self.kernels[shard];
            let (cancels, operations) = (kernel.cancels.len(), kernel.operations.len());
            if cancels + operations == 0 {
                return;
            }
            match self.chance.below(cancels + operations) {
                index if index < cancels => self.post_cancel(shard, index),
                index => self.progress_at(shard, index - cancels),
            }
        }
    }

    /// Lets every operation of a shard get on: how a calm world moves.
    pub fn progress_all(&mut self, shard: usize) {
        while !self.kernels[shard].cancels.is_empty() {
            self.post_cancel(shard, 0);
        }
        for index in (0..self.kernels[shard].operations.len()).rev() {
            for _ in 0..CALM_STEPS {
                // A ghost vanishes when it is done.
                if index < self.kernels[shard].operations.len() {
                    self.progress_at(shard, index);
                }
            }
        }
    }

    pub(super) fn progress_at(&mut self, shard: usize, index: usize) {
        let operation = &self.kernels[shard].operations[index];
        match (operation.stage, &operation.work) {
            (Stage::Asked | Stage::Ended, _) => {}
            (_, &Work::Accept { listener }) => self.progress_accept(shard, index, listener),
            (_, &Work::Receive { connection, size }) => {
                self.progress_receive(shard, index, (connection, size));
            }
            (_, &Work::Send { connection, .. }) => self.progress_send(shard, index, connection),
            (_, &Work::Ghost { connection, .. }) => self.progress_ghost(shard, index, connection),
        }
    }

    fn stage(&self, shard: usize, index: usize) -> Stage {
        self.kernels[shard].operations[index].stage
    }

    /// The terminal completion of an operation, without a buffer.
    fn end(&mut self, shard: usize, index: usize, result: i32) {
        self.post(shard, index, (result, false), None);
    }

    fn post(
        &mut self,
        shard: usize,
        index: usize,
        (result, more): (i32, bool),
        received: Option<(BufferId, Vec<u8>)>,
    ) {
        let kernel = &mut self.kernels[shard];
        let operation = &mut kernel.operations[index];
        if !more {
            operation.stage = Stage::Ended;
        }
        let data = received.is_some();
        let told_more = more || data && self.canary == Some(Canary::IgnoreMore);
        let (buffer, bytes) = received.unzip();
        let completion = Completion { token: operation.token, result, more: told_more, buffer };
        kernel.posted.push_back(Posted { completion, bytes: bytes.unwrap_or_default() });
    }

    fn progress_accept(&mut self, shard: usize, index: usize, listener: usize) {
        if self.stage(shard, index) == Stage::Cancelled {
            return self.end(shard, index, ECANCELED);
        }
        let Some(&number) = self.listeners[listener].front() else {
            if self.stage(shard, index) == Stage::Ending {
                self.end(shard, index, ECANCELED);
            }
            return;
        };
        if self.strikes(self.faults.accept_error, "accept errors") {
            let error = self.chance.pick(&[EMFILE, ENFILE, ENOMEM, ECONNABORTED]);
            if error == ECONNABORTED {
                self.listeners[listener].pop_front();
                self.connections[number].server = ServerEnd::Closed;
                self.break_connection(number);
            }
            return self.end(shard, index, error);
        }
        self.listeners[listener].pop_front();
        self.connections[number].server = ServerEnd::Named;
        let ends = self.faults.single_shot
            || self.stage(shard, index) == Stage::Ending
            || self.strikes(self.faults.accept_ends, "accepts that ended");
        self.post(shard, index, (number as i32, !ends), None);
    }

    fn progress_receive(
        &mut self,
        shard: usize,
        index: usize,
        (number, size): (usize, BufferSize),
    ) {
        let stage = self.stage(shard, index);
        if stage == Stage::Cancelled {
            return self.end(shard, index, ECANCELED);
        }
        if self.strikes(self.faults.reset, "resets") {
            self.break_connection(number);
        }
        if self.strikes(self.faults.soft_receive_error, "receives that ended without data") {
            let error = self.chance.pick(&[EAGAIN, EINTR, ENOBUFS]);
            return self.end(shard, index, error);
        }
        let connection = &mut self.connections[number];
        let arrived = connection.to_server.arrived();
        if arrived == 0 {
            let (drained, reset) = (connection.to_server.is_drained(), connection.reset);
            connection.reset_told |= reset;
            match stage {
                _ if reset => self.end(shard, index, ECONNRESET),
                _ if drained => self.end(shard, index, 0),
                Stage::Ending => self.end(shard, index, ECANCELED),
                _ => {}
            }
            return;
        }
        let group = self.kernels[shard].group(size);
        let whole = arrived.min(group.bytes());
        let Some(buffer) = group.lend() else {
            self.count("receives without a buffer");
            return self.end(shard, index, ENOBUFS);
        };
        let partial = whole > 1 && self.strikes(self.faults.partial_receive, "partial receives");
        let length = if partial { self.chance.magnitude(whole) } else { whole };
        let mut bytes = self.connections[number].to_server.read(length);
        self.spoil_received(shard, number, &mut bytes);
        let ends = self.faults.single_shot
            || stage == Stage::Ending
            || self.strikes(self.faults.multishot_ends, "multishots that ended with data");
        self.post(shard, index, (bytes.len() as i32, !ends), Some((buffer, bytes)));
    }

    fn progress_send(&mut self, shard: usize, index: usize, number: usize) {
        let stage = self.stage(shard, index);
        if self.strikes(self.faults.reset, "resets") {
            self.break_connection(number);
        }
        let connection = &mut self.connections[number];
        let (reset, told) = (connection.reset, connection.reset_told);
        connection.reset_told |= reset;
        let Work::Send { bytes, written, .. } = &self.kernels[shard].operations[index].work else {
            return;
        };
        // Bytes to a client that has gone are taken, as a kernel does until it hears of the reset.
        let space = if connection.client_open { connection.to_client.space() } else { usize::MAX };
        let (before, rest) = (*written, bytes.len() - *written);
        if stage == Stage::Cancelled || reset {
            let error = match stage {
                Stage::Cancelled => ECANCELED,
                _ if told => EPIPE,
                _ => ECONNRESET,
            };
            return self.end_send(shard, index, if before > 0 { before as i32 } else { error });
        }
        if before == 0 && self.strikes(self.faults.soft_send_error, "sends that failed softly") {
            let error = self.chance.pick(&[EAGAIN, EINTR]);
            return self.end(shard, index, error);
        }
        let whole = rest.min(space);
        let length = match whole {
            0 => 0,
            whole if self.chance.once_in(4) => self.chance.magnitude(whole),
            whole => whole,
        };
        self.write_to_client(shard, index, number, length);
        let after = before + length;
        let short = after > 0 && length < rest;
        if length == rest || short && self.strikes(self.faults.short_send, "short sends") {
            self.end_send(shard, index, after as i32);
        } else if stage == Stage::Ending {
            self.end_send(shard, index, if after > 0 { after as i32 } else { ECANCELED });
        } else if after > 0 {
            self.spoil_sending(shard, index, number);
        }
    }

    fn write_to_client(&mut self, shard: usize, index: usize, number: usize, length: usize) {
        let due_ns = self.due_ns();
        let work = &mut self.kernels[shard].operations[index].work;
        let (Work::Send { bytes, written, .. } | Work::Ghost { bytes, written, .. }) = work else {
            return;
        };
        let connection = &mut self.connections[number];
        if connection.client_open {
            connection.to_client.write(&bytes[*written..*written + length], due_ns);
        } else if length > 0 {
            connection.reset = true;
        }
        *written += length;
    }

    /// The terminal completion of a send: what the shard is told was sent of its own bytes.
    fn end_send(&mut self, shard: usize, index: usize, result: i32) {
        let Work::Send { outgoing, bytes, .. } = &self.kernels[shard].operations[index].work else {
            return;
        };
        let asked = outgoing.len() - outgoing.sent;
        let result = if result == bytes.len() as i32 { asked as i32 } else { result };
        self.end(shard, index, result.min(asked as i32));
    }
}

/// The planted bugs that sit in the kernel.
impl Network {
    fn spoil_received(&mut self, shard: usize, number: usize, bytes: &mut Vec<u8>) {
        match self.canary {
            Some(Canary::ReceiveTwice) if self.chance.once_in(20) => {
                self.connections[number].to_server.unread(bytes);
            }
            Some(Canary::ReceiveSkips) if bytes.len() > 1 && self.chance.once_in(20) => {
                bytes.pop();
            }
            Some(Canary::BufferTwice) => {
                let mut posted = self.kernels[shard].posted.iter_mut();
                if let Some(earlier) = posted.find(|earlier| !earlier.bytes.is_empty()) {
                    let common = earlier.bytes.len().min(bytes.len());
                    earlier.bytes[..common].copy_from_slice(&bytes[..common]);
                }
            }
            Some(canary) => canary.mishear(&mut self.connections[number].heard, bytes),
            None => {}
        }
    }

    fn spoil_sending(&mut self, shard: usize, index: usize, connection: usize) {
        let work = &mut self.kernels[shard].operations[index].work;
        let Work::Send { bytes, written, .. } = work else { return };
        match self.canary {
            Some(Canary::FreeEarly) => bytes[*written..].fill(0xdd),
            Some(Canary::ShortUnsaid) => {
                let whole = bytes.len() as i32;
                self.end_send(shard, index, whole);
            }
            Some(Canary::TwoSends) => {
                let (written, bytes) = (*written, bytes.clone());
                self.end_send(shard, index, bytes.len() as i32);
                let work = Work::Ghost { connection, bytes, written };
                let ghost = Operation { token: Token(u64::MAX), work, stage: Stage::Running };
                self.kernels[shard].operations.push(ghost);
            }
            _ => {}
        }
    }

    fn progress_ghost(&mut self, shard: usize, index: usize, number: usize) {
        let work = &self.kernels[shard].operations[index].work;
        let Work::Ghost { bytes, written, .. } = work else { return };
        let rest = bytes.len() - written;
        let connection = &self.connections[number];
        let gone = connection.reset
            || !connection.client_open
            || connection.to_client.is_ending()
            || !matches!(connection.server, ServerEnd::Open(_));
        let length = rest.min(connection.to_client.space());
        if gone || rest == 0 {
            self.kernels[shard].operations.swap_remove(index);
        } else {
            self.write_to_client(shard, index, number, length);
        }
    }
}
