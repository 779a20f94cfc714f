//! A stand-in for a server that does the whole job: one queue at a time with groups, keys, delays,
//! deduplication, nacks and pushes, over real sockets, one thread a connection and one that ticks.
//! Slow and simple on purpose, and it misbehaves on request.

use std::collections::{HashMap, HashSet};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ringway_protocol::frame::{self, Frame, HEADER_BYTES, Header, Kind, Split};
use ringway_protocol::greeting::Welcome;
use ringway_protocol::limits::FRAME_BYTES_MAX;
use ringway_protocol::record::record_bytes;
use ringway_protocol::reply::{self, Receipt, Run, Settlement};
use ringway_protocol::request::{Put, Settle};
use ringway_protocol::{
    Attribute, Code, GroupId, LeaseId, Level, QueueId, QueueOptions, Rejection, Request,
    SubscriptionId,
};

use crate::group::{Asker, Group, Message, Subscription};

/// The only queue.
const QUEUE: QueueId = QueueId(1 << 32);
const TICK: Duration = Duration::from_millis(1);

/// What it does beside working well.
#[derive(Clone, Copy, Debug, Default)]
pub struct Behaviour {
    /// Refuses requests of this kind.
    pub refuses: Option<Kind>,
    /// Takes every n-th put for a repeated one.
    pub repeats_every: Option<u64>,
    /// Throws away every n-th message on its way to a subscription.
    pub loses_push_every: Option<u64>,
    /// Forgets what is given back.
    pub forgets_nacks: bool,
}

/// What it saw.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub options: Option<QueueOptions>,
    pub puts: u64,
    pub nacked: u64,
    pub pushes: u64,
    pub takes: u64,
    pub groups: usize,
    pub keys: HashSet<Vec<u8>>,
    pub ids: HashSet<Vec<u8>>,
    pub producers: HashMap<u64, u64>,
    /// Messages delivered before their time: a mistake of the stand-in itself.
    pub early: u64,
    /// Messages neither acknowledged nor dropped when the queue was deleted.
    pub left: usize,
}

#[derive(Default)]
struct Plane {
    behaviour: Behaviour,
    connections: Vec<TcpStream>,
    groups: Vec<Group>,
    scheduled: Vec<Message>,
    counter: u64,
    pushed: u64,
    seen: Seen,
}

/// A running stand-in; it ends with the process.
pub struct Standin {
    pub address: String,
    plane: Arc<Mutex<Plane>>,
}

impl Standin {
    pub fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("it listens").to_string();
        let plane = Arc::new(Mutex::new(Plane { behaviour, ..Plane::default() }));
        let shared = Arc::clone(&plane);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        let ticking = Arc::downgrade(&plane);
        std::thread::spawn(move || {
            while let Some(plane) = ticking.upgrade() {
                plane.lock().expect("nobody panics").pump();
                std::thread::sleep(TICK);
            }
        });
        Self { address, plane }
    }

    pub fn seen(&self) -> Seen {
        self.plane.lock().expect("nobody panics").seen.clone()
    }
}

fn serve(mut stream: TcpStream, plane: &Mutex<Plane>) {
    stream.set_nodelay(true).expect("a socket");
    let connection = {
        let mut plane = plane.lock().expect("nobody panics");
        plane.connections.push(stream.try_clone().expect("a socket"));
        plane.connections.len() - 1
    };
    let (mut bytes, mut piece) = (Vec::new(), vec![0; 64 << 10]);
    while let Ok(count @ 1..) = stream.read(&mut piece) {
        bytes.extend_from_slice(&piece[..count]);
        let mut used = 0;
        let mut plane = plane.lock().expect("nobody panics");
        while let Ok(Split::Frame(frame)) = frame::split(&bytes[used..], FRAME_BYTES_MAX) {
            used += HEADER_BYTES + frame.body.len();
            plane.answer(connection, frame);
        }
        plane.pump();
        drop(plane);
        bytes.drain(..used);
    }
}

impl Plane {
    fn send(&mut self, connection: usize, bytes: &[u8]) {
        // A client that has gone needs no reply.
        let _ = self.connections[connection].write_all(bytes);
    }

    fn answer(&mut self, connection: usize, frame: Frame<'_>) {
        let asker = Asker { connection, number: frame.header.request };
        let ids = (frame.header.stream, asker.number);
        let mut out = Vec::new();
        match Request::decode(frame) {
            Err(rejection) => reply::refused(&mut out, Kind::Goodbye, (0, 0), rejection),
            Ok(request) if self.behaviour.refuses == Some(request.kind()) => {
                let rejection = Rejection::new(Code::Unsupported, "not supported yet");
                reply::refused(&mut out, request.kind(), ids, rejection);
            }
            Ok(request) => self.carry_out(asker, request, ids, &mut out),
        }
        self.send(connection, &out);
    }

    fn carry_out(
        &mut self,
        asker: Asker,
        request: Request<'_>,
        ids: (u32, u32),
        out: &mut Vec<u8>,
    ) {
        let kind = request.kind();
        let ok = Header::reply(kind, Code::Ok, ids.0, ids.1);
        match request {
            Request::Greet(_) => frame::write(out, ok, |out| welcome().encode(out)),
            Request::Declare { options, .. } => {
                self.groups = vec![Group::default()];
                self.seen.options = options;
                reply::declared(out, ids, QUEUE, true);
            }
            Request::Stat { .. } => frame::write(out, ok, |out| {
                reply::figures(out, 20, [vec![0; 20]].into_iter());
            }),
            Request::Group(_) => {
                self.groups.push(Group::default());
                self.seen.groups = self.groups.len();
                let group = GroupId::new(0, self.groups.len() as u16 - 1);
                reply::group(out, ids, group, true);
            }
            Request::Delete { .. } => {
                let left = |group: &Group| {
                    let leased: usize =
                        group.leases.values().map(|(m, _)| m.iter().flatten().count()).sum();
                    group.ready.len() + leased
                };
                self.seen.left = self.scheduled.len() + self.groups.iter().map(left).sum::<usize>();
                reply::number(out, kind, ids, 0);
            }
            Request::Put(put) => self.put(&put, ids, out),
            Request::Take(take) => {
                self.seen.takes += 1;
                let until = Instant::now() + Duration::from_millis(take.wait_ms.into());
                self.groups[take.group.index()].waits.push_back((asker, take, until));
            }
            Request::Subscribe(subscribe) => {
                let group = &mut self.groups[subscribe.group.index()];
                group.subscriptions.push(Subscription { asker, subscribe, held: 0 });
                let id = SubscriptionId::new(1, 0, group.subscriptions.len() as u32);
                reply::number(out, kind, ids, id.0);
            }
            Request::Ack(settle) | Request::Nack(settle) => {
                let settled = self.settle(&settle, kind == Kind::Nack);
                let settlement = Settlement { settled, ..Settlement::default() };
                reply::settled(out, kind, ids, settlement, &[]);
            }
            _ => {
                let rejection = Rejection::new(Code::Unsupported, "the stand-in cannot do that");
                reply::refused(out, kind, ids, rejection);
            }
        }
    }

    fn put(&mut self, put: &Put<'_>, ids: (u32, u32), out: &mut Vec<u8>) {
        self.seen.puts += 1;
        let first = self.counter;
        let mut rest = put.records.as_bytes();
        for record in put.records.iter() {
            let (bytes, after) = rest.split_at(record_bytes(rest));
            rest = after;
            let (mut key, mut due) = (None, Instant::now());
            for attribute in record.attributes() {
                match attribute {
                    Attribute::Key(bytes) => key = Some(bytes.to_vec()),
                    Attribute::DelayMs(delay) => due += Duration::from_millis(delay),
                    Attribute::DeduplicationId(id) => {
                        assert!(self.seen.ids.insert(id.to_vec()), "an id came twice");
                    }
                    _ => {}
                }
            }
            self.seen.keys.extend(key.clone());
            let (sequence, record) = (self.counter, bytes.to_vec());
            self.scheduled.push(Message { sequence, record, key, due, deliveries: 0 });
            self.counter += 1;
        }
        let count = put.records.count();
        if let Some(producer) = put.producer {
            let next = self.seen.producers.entry(producer.id).or_default();
            assert_eq!(*next, producer.sequence, "a producer counts its messages");
            *next += u64::from(count);
        }
        let repeated = self.behaviour.repeats_every;
        let repeated = repeated.is_some_and(|every| self.seen.puts.is_multiple_of(every));
        reply::receipt(out, ids, &Receipt::plain(first, count, Level::Memory, repeated));
    }

    fn settle(&mut self, settle: &Settle<'_>, gives_back: bool) -> u32 {
        let forgets = self.behaviour.forgets_nacks;
        let mut settled = 0;
        for group in &mut self.groups {
            let Some((messages, subscription)) = group.leases.get_mut(&settle.lease.0) else {
                continue;
            };
            let mut returned = Vec::new();
            for range in settle.ranges.iter() {
                let range = range.first as usize..(range.first + range.count) as usize;
                for message in messages[range].iter_mut().filter_map(Option::take) {
                    settled += 1;
                    message.key.as_ref().map(|key| group.in_flight.remove(key));
                    returned.extend((gives_back && !forgets).then_some(message));
                }
            }
            if let Some(index) = *subscription {
                group.subscriptions[index].held -= settled;
            }
            returned.into_iter().rev().for_each(|message| group.ready.push_front(message));
        }
        if gives_back {
            self.seen.nacked += u64::from(settled);
        }
        settled
    }

    /// What is due becomes ready in each group; takes and subscriptions are served.
    fn pump(&mut self) {
        let now = Instant::now();
        let (due, later) =
            std::mem::take(&mut self.scheduled).into_iter().partition(|m| m.due <= now);
        let due: Vec<Message> = due;
        self.scheduled = later;
        for index in 0..self.groups.len() {
            self.groups[index].ready.extend(due.iter().cloned());
            while let Some((asker, take, until)) = self.groups[index].waits.pop_front() {
                let messages = self.groups[index].pick(take.messages_max);
                if messages.is_empty() && now < until {
                    self.groups[index].waits.push_front((asker, take, until));
                    break;
                }
                self.deliver(asker, index, messages, take.acknowledged, None);
            }
            for _ in 0..self.groups[index].subscriptions.len() {
                self.push(index);
            }
        }
    }

    /// One delivery to the subscription whose turn it is.
    fn push(&mut self, index: usize) {
        let group = &mut self.groups[index];
        let number = group.turn % group.subscriptions.len();
        group.turn += 1;
        let Subscription { asker, subscribe, held } = group.subscriptions[number];
        let room = subscribe.messages.saturating_sub(held);
        let mut messages = group.pick(room.min(subscribe.batch_max));
        messages.retain(|_| {
            self.pushed += 1;
            let every = self.behaviour.loses_push_every;
            !every.is_some_and(|every| self.pushed.is_multiple_of(every))
        });
        if messages.is_empty() {
            return;
        }
        self.groups[index].subscriptions[number].held += messages.len() as u32;
        self.seen.pushes += 1;
        self.deliver(asker, index, messages, false, Some(number));
    }

    fn deliver(
        &mut self,
        asker: Asker,
        index: usize,
        messages: Vec<Message>,
        is_final: bool,
        subscription: Option<usize>,
    ) {
        self.seen.early += messages.iter().filter(|m| m.due > Instant::now()).count() as u64;
        let (count, mut lease) = (messages.len() as u32, LeaseId::NONE);
        let mut out = Vec::new();
        if count > 0 && !is_final {
            self.counter += 1;
            lease = LeaseId::new(self.counter as u32, 0, 0);
        }
        let runs = messages.iter().map(|m| Run {
            first_sequence: m.sequence,
            count: 1,
            deliveries: m.deliveries,
        });
        frame::write(&mut out, Header::reply(Kind::Take, Code::Ok, 0, asker.number), |out| {
            reply::delivery_prefix(out, (lease, 30_000), (count, 0), runs);
            messages.iter().for_each(|m| out.extend_from_slice(&m.record));
        });
        let group = &mut self.groups[index];
        if lease == LeaseId::NONE {
            messages.iter().filter_map(|m| m.key.as_ref()).for_each(|key| {
                group.in_flight.remove(key);
            });
        } else {
            let messages = messages.into_iter().map(Some).collect();
            group.leases.insert(lease.0, (messages, subscription));
        }
        self.send(asker.connection, &out);
    }
}

fn welcome() -> Welcome {
    Welcome {
        version: 1,
        shard: 0,
        frame_bytes_max: FRAME_BYTES_MAX as u32,
        payload_bytes_max: 64 << 10,
        take_messages_max: 4096,
        requests_in_flight_max: 1024,
        wait_bytes_max: 4 << 20,
        heartbeat_ms: 15_000,
        shards: vec![String::new()],
    }
}
