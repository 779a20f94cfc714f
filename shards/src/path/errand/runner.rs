//! Errands begin, ask, hear answers, and end.
//!
//! A question to another shard is an entry of the next batch to it. A question to this shard is
//! carried out at once; its answer waits in the mail until the task that asked has finished its
//! step, so no task is entered twice and nothing recurses.

use super::holds::Held;
use super::spread::SpreadPush;
use super::{ALONE, Answer, Call, Errand, Errands, Step, Task, among};
use crate::path::handoff::{
    Entry, Handoff, Handoffs, complete_entry, entry_prefix, first_entry, mark_pushed,
};
use crate::path::origin::Origin;
use crate::path::perform::{Asker, Performed, Performer, UNLIMITED};
use crate::world::Outgoing;
use ringway_protocol::frame::{self, REPLY};
use ringway_protocol::{Frame, HEADER_BYTES, Header, Kind, LeaseId, QueueId, Request};

/// Where errands reach.
pub struct Runner<'a, S> {
    /// The errands of this shard.
    pub errands: &'a mut Errands,
    /// Carries out what they ask of this shard.
    pub performer: &'a mut Performer,
    /// Leads to the other shards.
    pub handoffs: &'a mut Handoffs<S>,
}

/// How a request became an errand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Begun {
    /// It is under way under this name; its reply comes home, or goes to the shard that asked. It
    /// may hold back what its connection sends next.
    UnderWay(u64, Option<Held>),
    /// The ring to this shard is full, and nothing was done.
    Full(usize),
    /// The publishes before it have stored as much as a turn may, and nothing was done.
    Later,
}

impl<S> Runner<'_, S> {
    /// This shard.
    #[inline]
    pub(super) fn here(&self) -> usize {
        self.performer.shard
    }

    /// Makes an errand, and takes its first step.
    pub(super) fn start(
        &mut self,
        (origin, kind): (Origin, Kind),
        held: Option<Held>,
        first: impl FnOnce(&mut Self, &mut Call) -> (Task, Step),
    ) -> Begun {
        let held = held.filter(|_| usize::from(origin.shard) == self.here());
        let mut call = self.errands.open(origin, kind);
        call.holds = held.is_some();
        let peer = call.peer;
        let (task, step) = first(self, &mut call);
        self.finish_step(Errand { call, task }, step);
        self.read_mail();
        Begun::UnderWay(peer, held)
    }

    /// An answer from another shard arrived for an errand.
    pub fn arrived(&mut self, shard: usize, entry: &Entry<'_>) {
        self.hear(shard, entry);
        self.read_mail();
    }

    /// A question to this shard that had to wait is answered now, by what `write` appends.
    pub fn answered(
        &mut self,
        peer: u64,
        pushed: bool,
        write: impl FnOnce(&mut Performer, &mut Outgoing) -> Performed,
    ) {
        self.post((peer, pushed), write);
        self.read_mail();
    }

    /// Lets errands go on that waited for a commit which has happened.
    pub fn go_on(&mut self) -> usize {
        let committed = self.performer.journal.committed();
        let mut count = 0;
        while let Some((_, peer)) =
            self.errands.committing.pop_front_if(|(position, _)| *position <= committed)
        {
            let Some(mut errand) = self.errands.take(peer) else { continue };
            count += 1;
            let step = errand.committed(self);
            self.finish_step(errand, step);
            self.read_mail();
        }
        count
    }

    /// Ends an errand that only waits for messages, because its connection is gone; returns what
    /// it had promised and how many requests it leaves without a reply, `None` if it goes on.
    pub fn cancel(&mut self, peer: u64) -> Option<(u32, bool, u32)> {
        match self.errands.take(peer) {
            Some(Errand { call, task: Task::SpreadTake(take) }) if take.can_end() => {
                take.call_off(self, &call);
                let (promised, waits) = call.promise;
                self.errands.close(call);
                Some((promised, waits, 1))
            }
            Some(Errand { call, task: Task::SpreadPush(push) }) => {
                push.call_off(self, &call);
                self.errands.close(call);
                Some((push.promised(), true, push.requests()))
            }
            Some(errand) => {
                self.errands.put_back(errand);
                None
            }
            None => None,
        }
    }

    fn hear(&mut self, shard: usize, entry: &Entry<'_>) {
        let Some(mut errand) = self.errands.take(entry.peer) else {
            // It has ended without this answer: what was delivered goes back.
            return self.return_delivery(entry);
        };
        errand.call.open -= u32::from(!entry.pushed);
        let (part, queue, frame) = (entry.frame.header.request, entry.queue, entry.frame);
        let answer = Answer { shard, part, queue, pushed: entry.pushed, frame };
        let step = if entry.frame.header.kind == Kind::Goodbye as u8 | REPLY {
            // What was asked broke the protocol, so the request did: the connection ends.
            self.reply(&errand.call, 0, |out, _| out.extend_from_slice(entry.frame_bytes));
            Step::Done
        } else {
            errand.heard(self, answer)
        };
        self.finish_step(errand, step);
    }

    fn finish_step(&mut self, mut errand: Errand, mut step: Step) {
        let journal = &self.performer.journal;
        let appended = journal.appended();
        if step == Step::Commit && journal.committed() >= appended {
            step = errand.committed(self);
        }
        match step {
            Step::Done => self.errands.close(errand.call),
            Step::Wait => self.errands.put_back(errand),
            Step::Commit => {
                self.errands.committing.push_back((appended, errand.call.peer));
                self.errands.put_back(errand);
            }
        }
    }

    /// Hears the answers of this shard, and those to what is asked meanwhile.
    fn read_mail(&mut self) {
        while !self.errands.mail.is_empty() {
            let mut batch = std::mem::take(&mut self.errands.reading);
            std::mem::swap(&mut batch, &mut self.errands.mail);
            let mut rest = &batch[..];
            while let Some((entry, after)) = first_entry(rest) {
                self.hear(self.here(), &entry);
                rest = after;
            }
            batch.clear();
            self.errands.reading = batch;
        }
    }

    /// Asks a shard; `body` appends what stands after the header, and `part` comes back with the
    /// answer.
    pub(super) fn ask(
        &mut self,
        call: &mut Call,
        (shard, part): (usize, u32),
        kind: u8,
        body: impl FnOnce(&mut Vec<u8>),
    ) {
        let header = Header { length: 0, kind, flags: 0, code: 0, stream: ALONE, request: part };
        self.ask_frame(call, (shard, part), |out| frame::write(out, header, body));
    }

    /// Asks a shard; `write` appends one frame whose request is `part`.
    pub(super) fn ask_frame(
        &mut self,
        call: &mut Call,
        (shard, part): (usize, u32),
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        call.open += 1;
        if shard != self.here() {
            return self.handoffs.ask_for(shard, call.peer, self.performer.stats(), write);
        }
        let mut question = std::mem::take(&mut self.errands.question);
        write(&mut question);
        let header = Header::decode(question.first_chunk().expect("a frame has a header"));
        let origin = Origin { shard: shard as u8, peer: call.peer, stream: 0, request: part };
        // The connection's shard has counted what the request promises.
        let asker = Asker { origin, wait_bytes: UNLIMITED, may_pin: false };
        let frame = Frame { header, body: &question[HEADER_BYTES..] };
        let perform = |performer: &mut Performer, out: &mut Outgoing| {
            among::perform(performer, asker, frame, out)
        };
        self.post((call.peer, false), perform);
        question.clear();
        self.errands.question = question;
    }

    /// Asks a shard what a client could ask.
    pub(super) fn ask_request(
        &mut self,
        call: &mut Call,
        (shard, part): (usize, u32),
        request: &Request<'_>,
    ) {
        self.ask_frame(call, (shard, part), |out| request.encode(ALONE, part, out));
    }

    /// Puts an answer of this shard into the mail, unless it has to wait.
    fn post(
        &mut self,
        (peer, pushed): (u64, bool),
        write: impl FnOnce(&mut Performer, &mut Outgoing) -> Performed,
    ) {
        let bytes = std::mem::take(&mut self.errands.mail);
        let mut out = Outgoing { bytes, ..Outgoing::default() };
        let start = out.bytes.len();
        entry_prefix(&mut out.bytes, peer, 0, 0, false);
        if pushed {
            mark_pushed(&mut out.bytes, start);
        }
        let performed = write(self.performer, &mut out);
        debug_assert!(out.pins.is_empty(), "what errands are told is copied");
        self.errands.mail = out.bytes;
        complete_entry(&mut self.errands.mail, start, performed);
    }

    /// Gives back what was delivered to an errand that has ended.
    fn return_delivery(&mut self, entry: &Entry<'_>) {
        let Some((queue, lease)) = entry.delivered() else { return };
        self.give_back(queue, lease);
    }

    /// Gives back what a lease still holds, as if it had not been delivered.
    pub fn give_back(&mut self, queue: QueueId, lease: LeaseId) {
        if queue.shard() == self.here() {
            let now = self.performer.now;
            self.performer.store.release(queue, lease, now);
        } else {
            self.handoffs.signal(queue.shard(), Handoff::Undelivered(queue, lease));
        }
    }

    /// Writes an errand's reply, which `write` appends as one frame; `queue` is that of a lease
    /// which must go back if nobody is there any more, else 0.
    pub(super) fn reply(
        &mut self,
        call: &Call,
        queue: u64,
        write: impl FnOnce(&mut Vec<u8>, (u32, u32)),
    ) {
        self.reply_to((call.origin, call.promise), queue, write);
    }

    /// The same for another request of the connection, which is freed of another promise.
    pub(super) fn reply_to(
        &mut self,
        (origin, (released, waits)): (Origin, (u32, bool)),
        queue: u64,
        write: impl FnOnce(&mut Vec<u8>, (u32, u32)),
    ) {
        let Origin { shard, peer, stream, request } = origin;
        let shard = shard as usize;
        if shard == self.here() {
            entry_prefix(&mut self.errands.home, peer, queue, released, waits);
            write(&mut self.errands.home, (stream, request));
        } else {
            let mut batch = self.handoffs.begin_replies(shard);
            entry_prefix(&mut batch, peer, queue, released, waits);
            write(&mut batch, (stream, request));
            self.handoffs.end_replies(shard, batch, self.performer.journal.appended());
        }
    }

    /// Replies with an answer as it came: its code and its body.
    pub(super) fn pass_on(&mut self, call: &Call, answer: Frame<'_>) {
        self.deliver(call, 0, answer);
    }

    /// Replies with an answer as it came, which may deliver a lease of a queue.
    pub(super) fn deliver(&mut self, call: &Call, queue: u64, answer: Frame<'_>) {
        let mut header = answer.header;
        header.kind = call.kind as u8 | REPLY;
        (header.stream, header.request) = (call.origin.stream, call.origin.request);
        self.reply(call, queue, |out, _| {
            out.extend_from_slice(&header.encode());
            out.extend_from_slice(answer.body);
        });
    }

    /// Pushes what a subscription to a part has brought; `released` is what the connection is
    /// promised no longer.
    pub(super) fn push(&mut self, call: &Call, queue: u64, pushed: Frame<'_>, released: u32) {
        let Origin { peer, stream, request, .. } = call.origin;
        let header = Header { stream, request, ..pushed.header };
        let home = &mut self.errands.home;
        let start = home.len();
        entry_prefix(home, peer, queue, released, true);
        mark_pushed(home, start);
        home.extend_from_slice(&header.encode());
        home.extend_from_slice(pushed.body);
    }

    /// Asks something further for a subscription that stands.
    pub(super) fn change_push(
        &mut self,
        name: u64,
        change: impl FnOnce(&mut SpreadPush, &mut Self, &mut Call),
    ) {
        let Some(mut errand) = self.errands.take(name) else { return };
        if let Task::SpreadPush(push) = &mut errand.task {
            change(push, self, &mut errand.call);
        }
        self.errands.put_back(errand);
        self.read_mail();
    }
}
