//! One connection of a client: bytes out and in, requests that wait for their replies.

use std::collections::BTreeMap;

use ringway_protocol::greeting::Greet;
use ringway_protocol::limits::FRAME_BYTES_MAX;
use ringway_protocol::request::Browse;
use ringway_protocol::{Frame, GroupId, HEADER_BYTES, Header, Reply, Request, Split, frame};

use super::{Outside, Read};
use crate::chance::Chance;
use crate::{Answer, Ask, Event, Moment, Traits, wire};

/// Longest piece that a client writes or reads at once.
const PIECE_BYTES_MAX: usize = 8 << 10;

/// Pieces that are read in one go, at most.
const PIECES_MAX: usize = 32;

/// A client's end of one connection.
#[derive(Debug)]
pub struct Peer {
    /// The network's number of the connection.
    pub connection: usize,
    /// The checker's number of it.
    name: u64,
    /// Bytes to write; the first `written` of them are.
    outbox: Vec<u8>,
    written: usize,
    inbox: Vec<u8>,
    next_request: u32,
    /// Whether it has sent what is no request: the server may wait for the rest of it.
    pub spoiled: bool,
    outstanding: BTreeMap<(u32, u32), Asked>,
    /// Subscriptions that were answered: what comes under their names.
    subscribed: BTreeMap<(u32, u32), Asked>,
}

/// A request that waits for its reply, as far as the client needs to know it again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Asked {
    /// The greeting.
    Greet,
    /// A declaration of one of the run's queues.
    Declare(usize),
    /// Opening one of the run's queues.
    Open(usize),
    /// Opening the dead-letter queue of one of the run's queues.
    OpenDead(usize),
    /// A put into one of the run's queues.
    Put(usize, Sending),
    /// A put into something that is not tried again.
    PutOnce(usize),
    /// A take from a group of one of the run's queues.
    Take(usize, (u64, GroupId)),
    /// The making of a group of one of the run's queues; as many messages had been made before.
    Group((usize, u64), usize, u64),
    /// A binding of one of the run's queues.
    Bind(usize),
    /// A listing of a queue's groups.
    Groups(u64),
    /// A subscription to one of the run's queues; answered again and again once it is there.
    Subscribe(usize, (u64, GroupId)),
    /// A page of a queue's messages.
    Browse(Browse),
    /// Statistics of a queue.
    Stat(u64),
    /// An echo of these bytes.
    Echo(Vec<u8>),
    /// That this is done is all that is wanted; it is counted under that name.
    Counted(&'static str),
    /// A reply is all that is wanted.
    Other,
}

/// Messages on their way into a queue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sending {
    /// Each message's number and attributes.
    pub messages: Vec<(u64, Traits)>,
    /// The producer and its number for the first of them, if it numbers them.
    pub producer: Option<(u64, u64)>,
}

/// A reply that arrived, with what was asked.
pub struct Arrival {
    /// What was asked.
    pub asked: Asked,
    /// The checker's number of the connection.
    pub connection: u64,
    header: Header,
    body: Vec<u8>,
}

impl Arrival {
    /// The reply; it was decoded once before.
    pub fn reply(&self) -> Reply<'_> {
        let frame = Frame { header: self.header, body: &self.body };
        Reply::decode(frame).expect("an arrival is kept only if it can be decoded")
    }
}

/// How a connection stands after it was read from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It lives.
    Alive,
    /// It has ended; the peer is to be dropped.
    Gone,
}

impl Peer {
    /// Connects to a listener and greets. `None` if the listener's backlog is full.
    pub fn connect(listener: usize, outside: &mut Outside<'_>) -> Option<Self> {
        let connection = outside.network.connect(listener)?;
        *outside.connections += 1;
        let mut peer = Self {
            connection,
            name: *outside.connections,
            outbox: Vec::new(),
            written: 0,
            inbox: Vec::new(),
            next_request: 0,
            spoiled: false,
            outstanding: BTreeMap::new(),
            subscribed: BTreeMap::new(),
        };
        let token = outside.network.token().to_vec();
        let greeting = Request::Greet(Greet::new(&token));
        peer.ask(Asked::Greet, Ask::Other, 0, outside, |name, out| {
            greeting.encode(name.0, name.1, out);
        });
        Some(peer)
    }

    /// How many requests wait for their replies.
    pub fn outstanding(&self) -> usize {
        self.outstanding.len()
    }

    /// What the requests are that wait.
    pub fn waiting(&self) -> Vec<String> {
        let of_it = |(name, asked): (&(u32, u32), &Asked)| {
            format!("connection {}: {name:?} {asked:?}", self.connection)
        };
        self.outstanding.iter().map(of_it).collect()
    }

    /// Bytes that are still to be written.
    pub fn unwritten(&self) -> usize {
        self.outbox.len() - self.written
    }

    /// Asks for something on a stream: `write` appends the frame under the name that it is given.
    pub fn ask(
        &mut self,
        asked: Asked,
        ask: Ask,
        stream: u32,
        outside: &mut Outside<'_>,
        write: impl FnOnce((u32, u32), &mut Vec<u8>),
    ) {
        self.next_request += 1;
        let name = (stream, self.next_request);
        write(name, &mut self.outbox);
        self.outstanding.insert(name, asked);
        let at_ns = outside.network.now_ns();
        let moment = Moment { at_ns, connection: self.name, name };
        outside.checker.record(Event::Asked { moment, ask });
    }

    /// Adds bytes that are no request; the server may close the connection after them.
    pub fn spoil(&mut self, bytes: &[u8], outside: &mut Outside<'_>) {
        self.outbox.extend_from_slice(bytes);
        self.spoiled = true;
        outside.network.excuse(self.connection);
    }

    /// Writes a piece of what is to be written, of any length.
    pub fn write(&mut self, chance: &mut Chance, outside: &mut Outside<'_>) {
        let rest = &self.outbox[self.written..];
        if rest.is_empty() {
            self.outbox.clear();
            self.written = 0;
            return;
        }
        let most = rest.len().min(PIECE_BYTES_MAX);
        let length = if chance.once_in(2) { most } else { chance.magnitude(most) };
        self.written += outside.network.write(self.connection, &rest[..length]);
    }

    /// Reads pieces until there is nothing more, or many were read: how a client in a calm world
    /// reads.
    pub fn read_much(
        &mut self,
        chance: &mut Chance,
        outside: &mut Outside<'_>,
        arrivals: &mut Vec<Arrival>,
    ) -> Standing {
        for _ in 0..PIECES_MAX {
            if self.read(chance, outside, arrivals) == Standing::Gone {
                return Standing::Gone;
            }
        }
        Standing::Alive
    }

    /// Reads a piece and takes the replies that it completes.
    pub fn read(
        &mut self,
        chance: &mut Chance,
        outside: &mut Outside<'_>,
        arrivals: &mut Vec<Arrival>,
    ) -> Standing {
        let length = chance.magnitude(PIECE_BYTES_MAX);
        match outside.network.read(self.connection, length) {
            Read::Nothing => Standing::Alive,
            Read::Bytes(bytes) => {
                self.inbox.extend_from_slice(&bytes);
                self.take_replies(outside, arrivals);
                Standing::Alive
            }
            Read::End { excused } => {
                if !excused {
                    self.complain(outside, "the server closed the connection for no reason");
                }
                if !self.inbox.is_empty() {
                    self.complain(outside, "the server closed the connection within a reply");
                }
                outside.network.close(self.connection);
                self.end(outside, true);
                Standing::Gone
            }
            Read::Reset { excused } => {
                if !excused {
                    self.complain(outside, "the server broke the connection for no reason");
                }
                outside.network.abort(self.connection);
                self.end(outside, true);
                Standing::Gone
            }
        }
    }

    /// The puts whose outcome will stay unknown when this connection goes.
    pub fn unsure_puts(&self) -> impl Iterator<Item = (usize, Sending)> + '_ {
        self.outstanding.values().filter_map(|asked| match asked {
            Asked::Put(queue, sending) => Some((*queue, sending.clone())),
            _ => None,
        })
    }

    /// Closes in order; what was written still arrives.
    pub fn close(&mut self, outside: &mut Outside<'_>) {
        let broken = outside.network.is_excused(self.connection);
        outside.network.close(self.connection);
        self.end(outside, broken);
    }

    /// Closes at once; what was written may be lost.
    pub fn abort(&mut self, outside: &mut Outside<'_>) {
        let broken = outside.network.is_excused(self.connection);
        outside.network.abort(self.connection);
        self.end(outside, broken);
    }

    fn end(&mut self, outside: &mut Outside<'_>, broken: bool) {
        let (connection, at_ns) = (self.name, outside.network.now_ns());
        outside.checker.record(Event::Ended { connection, at_ns, broken });
    }

    fn complain(&self, outside: &mut Outside<'_>, sentence: &str) {
        let connection = self.name;
        let sentence = format!("{sentence} (connection {} of the network)", self.connection);
        outside.checker.record(Event::Unreadable { connection, sentence });
    }

    fn take_replies(&mut self, outside: &mut Outside<'_>, arrivals: &mut Vec<Arrival>) {
        let mut consumed = 0;
        let inbox = std::mem::take(&mut self.inbox);
        loop {
            match frame::split(&inbox[consumed..], FRAME_BYTES_MAX) {
                Ok(Split::Frame(frame)) => {
                    self.take_reply(frame, outside, arrivals);
                    consumed += HEADER_BYTES + frame.body.len();
                }
                Ok(Split::NeedMore(_)) => break,
                Err(why) => {
                    self.complain(outside, &format!("what came is no frame: {why}"));
                    consumed = inbox.len();
                    break;
                }
            }
        }
        self.inbox = inbox;
        self.inbox.drain(..consumed);
    }

    fn take_reply(
        &mut self,
        frame: Frame<'_>,
        outside: &mut Outside<'_>,
        arrivals: &mut Vec<Arrival>,
    ) {
        let header = frame.header;
        let name = (header.stream, header.request);
        let reply = match Reply::decode(frame) {
            Ok(reply) => reply,
            Err(why) => return self.complain(outside, &format!("what came is no reply: {why}")),
        };
        if header.request == 0 {
            // Last words: the connection ends next, and that is judged then.
            return;
        }
        let moment = Moment { at_ns: outside.network.now_ns(), connection: self.name, name };
        let answer = wire::answer(&reply);
        outside.checker.record(Event::Answered { moment, answer: answer.clone() });
        let Some(asked) = self.known(name, &answer) else { return };
        match (&asked, &reply) {
            (Asked::Echo(sent), Reply::Echo(back)) if sent != back => {
                self.complain(outside, "an echo came back changed");
            }
            _ => {}
        }
        let body = frame.body.to_vec();
        arrivals.push(Arrival { asked, connection: self.name, header, body });
    }

    /// What a reply answers.
    fn known(&mut self, name: (u32, u32), answer: &Answer) -> Option<Asked> {
        if let Some(asked) = self.outstanding.remove(&name) {
            if matches!(answer, Answer::Subscribed(_)) {
                self.subscribed.insert(name, asked.clone());
            }
            return Some(asked);
        }
        match answer {
            Answer::Refused => self.subscribed.remove(&name),
            _ => self.subscribed.get(&name).cloned(),
        }
    }

    /// Whether anything is pushed to it.
    pub fn is_subscribed(&self) -> bool {
        !self.subscribed.is_empty()
    }
}
