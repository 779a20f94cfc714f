//! A stand-in for the server: speaks enough of the protocol over real sockets, one thread a
//! connection, and misbehaves on request. Slow and simple on purpose.

#![allow(dead_code, missing_docs)]

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use ringway_protocol::frame::{self, Frame, HEADER_BYTES, Header, Kind, Split};
use ringway_protocol::greeting::Welcome;
use ringway_protocol::limits::FRAME_BYTES_MAX;
use ringway_protocol::name::shard_of;
use ringway_protocol::reply::{self, ListEntry, Run, Settlement};
use ringway_protocol::request::Put;
use ringway_protocol::{
    Code, FullPolicy, LeaseId, Level, QueueId, QueueOptions, Rejection, Request, record,
};

/// What the stand-in does beside working well.
#[derive(Clone, Debug, Default)]
pub struct Behaviour {
    pub shards: usize,
    pub token: Vec<u8>,
    /// Shards have addresses of their own.
    pub shard_addresses: bool,
    /// Every n-th message put is acknowledged and thrown away; 1 throws all away.
    pub lose_every: Option<u64>,
    /// Every n-th message put is stored twice.
    pub duplicate_every: Option<u64>,
    /// Every n-th put is refused.
    pub refuse_every: Option<u64>,
    /// A connection is closed after so many requests.
    pub close_after: Option<u64>,
    /// A connection gets no replies after so many requests.
    pub silent_after: Option<u64>,
    /// A take returns at most so many messages, whatever it asks for.
    pub take_at_most: Option<u32>,
}

struct Queue {
    id: QueueId,
    options: QueueOptions,
    next_sequence: u64,
    ready: VecDeque<(u64, Vec<u8>)>,
    leased: u64,
}

#[derive(Default)]
struct Plane {
    names: BTreeMap<String, u64>,
    queues: HashMap<u64, Queue>,
    leases: HashMap<u64, (u64, u32)>,
    counter: u32,
    puts: u64,
}

/// A running stand-in; it ends with the process.
pub struct Responder {
    pub address: String,
    pub accepted: Arc<AtomicU64>,
}

impl Responder {
    pub fn start(behaviour: Behaviour) -> Self {
        let shards = behaviour.shards.max(1);
        let listeners: Vec<TcpListener> = (0..=shards)
            .map(|_| TcpListener::bind("127.0.0.1:0").expect("loopback has a free port"))
            .collect();
        let address = |listener: &TcpListener| listener.local_addr().unwrap().to_string();
        let own = |listener| if behaviour.shard_addresses { address(listener) } else { "".into() };
        let addresses: Vec<String> = listeners[1..].iter().map(own).collect();
        let responder =
            Self { address: address(&listeners[0]), accepted: Arc::new(AtomicU64::new(0)) };
        let plane = Arc::new(Mutex::new(Plane::default()));
        for (index, listener) in listeners.into_iter().enumerate() {
            let (plane, behaviour) = (Arc::clone(&plane), behaviour.clone());
            let (addresses, accepted) = (addresses.clone(), Arc::clone(&responder.accepted));
            std::thread::spawn(move || {
                for (number, stream) in listener.incoming().flatten().enumerate() {
                    accepted.fetch_add(1, Ordering::Relaxed);
                    let shard = if index == 0 { number % shards } else { index - 1 };
                    let plane = Arc::clone(&plane);
                    let welcome = welcome(shard, &addresses);
                    let behaviour = behaviour.clone();
                    std::thread::spawn(move || serve(stream, &plane, &behaviour, &welcome));
                }
            });
        }
        responder
    }
}

pub fn welcome(shard: usize, addresses: &[String]) -> Welcome {
    Welcome {
        version: 1,
        shard: shard as u16,
        frame_bytes_max: FRAME_BYTES_MAX as u32,
        payload_bytes_max: 64 << 10,
        take_messages_max: 4096,
        requests_in_flight_max: 1024,
        wait_bytes_max: 4 << 20,
        heartbeat_ms: 15_000,
        shards: addresses.to_vec(),
    }
}

fn serve(mut stream: TcpStream, plane: &Mutex<Plane>, behaviour: &Behaviour, welcome: &Welcome) {
    stream.set_nodelay(true).unwrap();
    let (mut bytes, mut out) = (Vec::new(), Vec::new());
    let mut piece = vec![0; 256 << 10];
    let mut requests = 0;
    loop {
        let Ok(count @ 1..) = stream.read(&mut piece) else { return };
        bytes.extend_from_slice(&piece[..count]);
        let mut used = 0;
        let mut plane = plane.lock().unwrap();
        while let Ok(Split::Frame(frame)) = frame::split(&bytes[used..], FRAME_BYTES_MAX) {
            used += HEADER_BYTES + frame.body.len();
            requests += 1;
            if behaviour.close_after.is_some_and(|after| requests > after) {
                let _ = stream.shutdown(Shutdown::Both);
                return;
            }
            if behaviour.silent_after.is_some_and(|after| requests > after) {
                continue;
            }
            answer(&mut plane, behaviour, welcome, frame, &mut out);
        }
        drop(plane);
        bytes.drain(..used);
        if stream.write_all(&out).is_err() {
            return;
        }
        out.clear();
    }
}

fn answer(
    plane: &mut Plane,
    behaviour: &Behaviour,
    welcome: &Welcome,
    frame: Frame<'_>,
    out: &mut Vec<u8>,
) {
    let Header { stream, request: number, .. } = frame.header;
    let to = (stream, number);
    let request = match Request::decode(frame) {
        Ok(request) => request,
        Err(rejection) => return reply::refused(out, Kind::Goodbye, (0, 0), rejection),
    };
    let kind = request.kind();
    if let Err(rejection) = carry_out(plane, behaviour, welcome, request, to, out) {
        reply::refused(out, kind, to, rejection);
    }
}

fn carry_out(
    plane: &mut Plane,
    behaviour: &Behaviour,
    welcome: &Welcome,
    request: Request<'_>,
    to: (u32, u32),
    out: &mut Vec<u8>,
) -> Result<(), Rejection> {
    let ok = |kind| Header::reply(kind, Code::Ok, to.0, to.1);
    let absent = Rejection::new(Code::NoSuchQueue, "no queue has that name or id");
    match request {
        Request::Greet(greet) if greet.token != behaviour.token => {
            return Err(Rejection::new(Code::Unauthorized, "the token is wrong"));
        }
        Request::Greet(_) => frame::write(out, ok(Kind::Greet), |out| welcome.encode(out)),
        Request::Declare { name, options } => {
            let created = !plane.names.contains_key(name);
            let id = plane.declare(name, options.unwrap_or_default(), welcome.shards.len());
            if plane.queues[&id.0].options != options.unwrap_or_default() {
                return Err(Rejection::new(Code::Conflict, "the queue has other options"));
            }
            reply::declared(out, to, id, created);
        }
        Request::Open { name } => {
            let id = *plane.names.get(name).ok_or(absent)?;
            reply::number(out, Kind::Open, to, id);
        }
        Request::Put(Put { queue, records, .. }) => {
            plane.puts += 1;
            if behaviour.refuse_every.is_some_and(|every| plane.puts.is_multiple_of(every)) {
                return Err(Rejection::new(Code::QueueFull, "the queue is full"));
            }
            let queue = plane.queues.get_mut(&queue.0).ok_or(absent)?;
            let first = queue.put(records, behaviour)?;
            reply::put(out, to, first, records.count(), Level::Memory);
        }
        Request::Take(mut take) => {
            take.messages_max = take.messages_max.min(behaviour.take_at_most.unwrap_or(u32::MAX));
            plane.take(&take, ok(Kind::Take), out).ok_or(absent)?;
        }
        Request::Nack(_) => {
            return Err(Rejection::new(Code::Unsupported, "the stand-in takes nothing back"));
        }
        Request::Ack(settle) => {
            let named: u32 = settle.ranges.iter().map(|range| range.count).sum();
            let settlement = match plane.leases.remove(&settle.lease.0) {
                Some((queue, count)) if count == named => {
                    plane.queues.get_mut(&queue).ok_or(absent)?.leased -= u64::from(count);
                    Settlement { settled: count, ..Settlement::default() }
                }
                _ => Settlement { stale: named, ..Settlement::default() },
            };
            reply::settled(out, Kind::Ack, to, settlement, &[]);
        }
        Request::Stat { queue: None } => {
            let rows = (0..welcome.shards.len() as u64).map(|shard| {
                let mut row = vec![0; 20];
                row[0] = shard;
                row
            });
            frame::write(out, ok(Kind::Stat), |out| {
                reply::figures(out, 20, rows.collect::<Vec<_>>().into_iter());
            });
        }
        Request::Stat { queue: Some(queue) } => {
            let queue = plane.queues.get(&queue.0).ok_or(absent)?;
            let mut row = vec![0; 15];
            (row[0], row[1]) = (queue.ready.len() as u64, queue.leased);
            frame::write(out, ok(Kind::Stat), |out| reply::figures(out, 15, [row].into_iter()));
        }
        Request::List { cursor, limit, prefix } => {
            let page: Vec<_> = (plane.names.iter().skip(cursor as usize))
                .filter(|(name, _)| name.starts_with(prefix))
                .take(limit.min(2) as usize)
                .collect();
            let more = cursor as usize + page.len() < plane.names.len() && !page.is_empty();
            let next = if more { cursor + page.len() as u64 } else { 0 };
            frame::write(out, ok(Kind::List), |out| {
                out.extend_from_slice(&next.to_le_bytes());
                out.extend_from_slice(&(page.len() as u32).to_le_bytes());
                for (name, id) in page {
                    let ready = plane.queues[id].ready.len() as u64;
                    ListEntry { queue: QueueId(*id), ready, leased: 0, name }.encode(out);
                }
            });
        }
        Request::Purge { queue } => {
            let queue = plane.queues.get_mut(&queue.0).ok_or(absent)?;
            reply::number(out, Kind::Purge, to, queue.ready.len() as u64);
            queue.ready.clear();
        }
        Request::Delete { queue } => {
            plane.names.retain(|_, id| *id != queue.0);
            let queue = plane.queues.remove(&queue.0).ok_or(absent)?;
            reply::number(out, Kind::Delete, to, queue.ready.len() as u64);
        }
        Request::Ping => frame::write(out, ok(Kind::Ping), |_| ()),
        Request::Echo(body) => frame::write(out, ok(Kind::Echo), |out| out.extend_from_slice(body)),
        _ => return Err(Rejection::new(Code::Unsupported, "the stand-in does not do that")),
    }
    Ok(())
}

impl Plane {
    fn declare(&mut self, name: &str, options: QueueOptions, shards: usize) -> QueueId {
        if let Some(id) = self.names.get(name) {
            return QueueId(*id);
        }
        self.counter += 1;
        let id = QueueId::new(self.counter, shard_of(name, shards) as u8, self.counter);
        self.names.insert(name.to_owned(), id.0);
        let queue = Queue { id, options, next_sequence: 0, ready: VecDeque::new(), leased: 0 };
        self.queues.insert(id.0, queue);
        id
    }

    fn take(
        &mut self,
        take: &ringway_protocol::request::Take,
        header: Header,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let queue = self.queues.get_mut(&take.queue.0)?;
        let count = queue.ready.len().min(take.messages_max as usize);
        let taken: Vec<(u64, Vec<u8>)> = queue.ready.drain(..count).collect();
        let mut lease = LeaseId::NONE;
        if count > 0 && !take.acknowledged {
            self.counter += 1;
            queue.leased += count as u64;
            lease = LeaseId::new(self.counter, 0, 0);
            self.leases.insert(lease.0, (queue.id.0, count as u32));
        }
        let runs = taken.iter().map(|(sequence, _)| Run {
            first_sequence: *sequence,
            count: 1,
            deliveries: 1,
        });
        frame::write(out, header, |out| {
            reply::delivery_prefix(out, (lease, queue.options.lease_ms), (count as u32, 0), runs);
            taken.iter().for_each(|(_, record)| out.extend_from_slice(record));
        });
        Some(())
    }
}

impl Queue {
    fn put(
        &mut self,
        records: ringway_protocol::Records<'_>,
        behaviour: &Behaviour,
    ) -> Result<u64, Rejection> {
        let first = self.next_sequence;
        let full = self.ready.len() as u64 + u64::from(records.count()) > self.options.messages_max;
        if full && self.options.full_policy == FullPolicy::Reject {
            return Err(Rejection::new(Code::QueueFull, "the queue is full"));
        }
        self.next_sequence += u64::from(records.count());
        if behaviour.lose_every == Some(1) {
            return Ok(first);
        }
        let mut rest = records.as_bytes();
        for sequence in first..self.next_sequence {
            let (message, after) = rest.split_at(record::record_bytes(rest));
            rest = after;
            let hit = |every: Option<u64>| every.is_some_and(|n| sequence % n == n - 1);
            if hit(behaviour.lose_every) {
                continue;
            }
            self.ready.push_back((sequence, message.to_vec()));
            if hit(behaviour.duplicate_every) {
                self.ready.push_back((sequence, message.to_vec()));
            }
        }
        if full {
            let over = self.ready.len().saturating_sub(self.options.messages_max as usize);
            self.ready.drain(..over);
        }
        Ok(first)
    }
}
