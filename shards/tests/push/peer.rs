//! A client to which things are pushed between the replies to what it asks.

use ringway_protocol::greeting::Greet;
use ringway_protocol::limits::FRAME_BYTES_MAX;
use ringway_protocol::name::shard_of;
use ringway_protocol::reply::QUEUE_COLUMNS;
use ringway_protocol::request::{
    ChangeGroup, GroupFlags, GroupOperation, Put, Range, Start, Subscribe, Take, encode_settle,
};
use ringway_protocol::{
    Code, Frame, GroupId, HEADER_BYTES, Header, Kind, LeaseId, QueueId, QueueOptions, Records,
    Reply, Request, Split, SubscriptionId, frame, record,
};
use ringway_shards::plane::{Plane, PlaneConfig};
use socket2::SockRef;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy host.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// How long nothing must come for "nothing comes".
const QUIET: Duration = Duration::from_millis(60);

/// Runs a test on planes of so many shards, with a queue of each shard.
pub fn on_planes(test: impl Fn(&Plane, usize)) {
    for shards in [1, 2, 4] {
        let config = PlaneConfig { shards, ..PlaneConfig::default() };
        let plane = Plane::start(config).expect("this host can run it");
        (0..shards).for_each(|shard| test(&plane, shard));
        plane.stop().expect("shards end");
    }
}

/// One connection, to the first shard.
pub struct Peer {
    pub socket: TcpStream,
    received: Vec<u8>,
    /// What was pushed while a reply was awaited.
    pushed: VecDeque<Received>,
    number: u32,
    shards: usize,
}

/// A frame that was received.
#[derive(Debug)]
pub struct Received {
    pub header: Header,
    body: Vec<u8>,
}

impl Received {
    /// What it means.
    pub fn reply(&self) -> Reply<'_> {
        Reply::decode(Frame { header: self.header, body: &self.body }).expect("a valid reply")
    }

    /// The code of a refusal, or that there was none.
    pub fn code(&self) -> Code {
        Code::from_number(self.header.code).expect("a known code")
    }

    /// The lease, the payloads, and how often the first was delivered.
    pub fn delivered(&self) -> (LeaseId, Vec<String>, u32) {
        let Reply::Delivery(delivery) = self.reply() else { panic!("{:?}", self.reply()) };
        let records = delivery.records.iter().flat_map(|records| records.iter());
        let text = |payload: &[u8]| String::from_utf8_lossy(payload).into_owned();
        let payloads = records.map(|record| text(record.payload)).collect();
        (delivery.lease, payloads, delivery.runs().next().map_or(0, |run| run.deliveries))
    }
}

/// A subscription with this credit in messages.
pub fn subscribe(queue: QueueId, messages: u32) -> Subscribe {
    let group = GroupId::DEFAULT;
    Subscribe { queue, group, messages, bytes: 0, batch_max: 0, lease_ms: 0, rate: 0 }
}

impl Peer {
    /// Connected and greeted.
    pub fn connect(plane: &Plane) -> Self {
        let socket = TcpStream::connect(plane.shard_addresses()[0]).expect("the plane listens");
        socket.set_nodelay(true).expect("TCP");
        let (received, pushed) = Default::default();
        let shards = plane.stats().len();
        let mut peer = Self { socket, received, pushed, number: 0, shards };
        let welcome = peer.ask(Request::Greet(Greet::new(b"")));
        assert!(matches!(welcome.reply(), Reply::Welcome(_)), "{welcome:?}");
        peer
    }

    /// Sends a request and returns its number.
    pub fn send(&mut self, request: Request<'_>) -> u32 {
        self.number += 1;
        let mut bytes = Vec::new();
        request.encode(0, self.number, &mut bytes);
        self.socket.write_all(&bytes).expect("the plane reads");
        self.number
    }

    /// The next frame, if one comes in time.
    pub fn receive(&mut self, within: Duration) -> Option<Received> {
        let until = Instant::now() + within;
        let mut chunk = [0; 65536];
        loop {
            let split = frame::split(&self.received, FRAME_BYTES_MAX).expect("valid replies");
            if let Split::Frame(Frame { header, body }) = split {
                let received = Received { header, body: body.to_vec() };
                self.received.drain(..HEADER_BYTES + received.body.len());
                return Some(received);
            }
            let left = until.checked_duration_since(Instant::now())?;
            let left = left.max(Duration::from_millis(1));
            self.socket.set_read_timeout(Some(left)).expect("a valid timeout");
            match self.socket.read(&mut chunk) {
                Ok(0) => panic!("the plane closed the connection"),
                Ok(count) => self.received.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// The reply to a request, whatever is pushed meanwhile.
    pub fn reply_to(&mut self, number: u32) -> Received {
        loop {
            let received = self.receive(PATIENCE).expect("a reply in time");
            if received.header.request == number {
                return received;
            }
            self.pushed.push_back(received);
        }
    }

    /// Sends a request and reads its reply.
    pub fn ask(&mut self, request: Request<'_>) -> Received {
        let number = self.send(request);
        self.reply_to(number)
    }

    /// What is pushed next.
    pub fn pushed(&mut self) -> Received {
        let early = self.pushed.pop_front();
        early.unwrap_or_else(|| self.receive(PATIENCE).expect("something is pushed in time"))
    }

    /// So many messages that are pushed, in one delivery or several: the leases and the payloads.
    pub fn pushed_messages(&mut self, count: usize) -> (Vec<(LeaseId, u32)>, Vec<String>) {
        let (mut leases, mut payloads) = (Vec::new(), Vec::new());
        while payloads.len() < count {
            let (lease, more, _) = self.pushed().delivered();
            leases.push((lease, more.len() as u32));
            payloads.extend(more);
        }
        assert_eq!(payloads.len(), count, "no more than that");
        (leases, payloads)
    }

    /// Asserts that nothing comes.
    pub fn is_quiet(&mut self) {
        let next = self.pushed.pop_front().or_else(|| self.receive(QUIET));
        assert!(next.is_none(), "{:?}", next.as_ref().map(Received::reply));
    }

    /// Declares a queue of a shard.
    pub fn declare(&mut self, shard: usize, stem: &str, options: QueueOptions) -> QueueId {
        let mut names = (0..).map(|number| format!("{stem}-{number}"));
        let belongs = |name: &String| shard_of(name, self.shards) == shard;
        let name = names.find(belongs).expect("a hash reaches every shard");
        match self.ask(Request::Declare { name: &name, options: Some(options) }).reply() {
            Reply::Declared { queue, .. } => queue,
            other => panic!("{other:?}"),
        }
    }

    /// Makes a group with a single active consumer.
    pub fn single_active(&mut self, queue: QueueId) -> GroupId {
        let flags = GroupFlags { paused: false, single_active: true };
        let operation = GroupOperation::Create { start: Start::Earliest, flags };
        let change = ChangeGroup { queue, name: "one", operation };
        match self.ask(Request::Group(change)).reply() {
            Reply::Group { group, .. } => group,
            other => panic!("{other:?}"),
        }
    }

    /// Sends a put of these messages and returns its number.
    pub fn send_put(&mut self, queue: QueueId, payloads: &[&str]) -> u32 {
        let mut bytes = Vec::new();
        payloads.iter().for_each(|payload| record::write(&mut bytes, &[], payload.as_bytes()));
        let records = Records::parse(&bytes, payloads.len() as u32).expect("valid records");
        self.send(Request::Put(Put::new(queue, records)))
    }

    /// Puts messages; returns the sequence of the first.
    pub fn put(&mut self, queue: QueueId, payloads: &[&str]) -> u64 {
        let number = self.send_put(queue, payloads);
        match self.reply_to(number).reply() {
            Reply::Put(receipt) => receipt.first_sequence,
            other => panic!("{other:?}"),
        }
    }

    /// Subscribes, or is told why not.
    pub fn subscribe(&mut self, subscribe: Subscribe) -> Result<(SubscriptionId, u32), Code> {
        let received = self.ask(Request::Subscribe(subscribe));
        match received.reply() {
            Reply::Subscribed { subscription } => Ok((subscription, self.number)),
            Reply::Refused { code, .. } => Err(code),
            other => panic!("{other:?}"),
        }
    }

    /// Ends a subscription: how many messages came back.
    pub fn unsubscribe(&mut self, queue: QueueId, subscription: SubscriptionId) -> u64 {
        match self.ask(Request::Unsubscribe { queue, subscription }).reply() {
            Reply::Unsubscribed(messages) => messages,
            other => panic!("{other:?}"),
        }
    }

    /// Acknowledges the first messages of a lease.
    pub fn ack(&mut self, queue: QueueId, (lease, count): (LeaseId, u32)) {
        self.number += 1;
        let (number, mut bytes) = (self.number, Vec::new());
        let all = [Range { first: 0, count }];
        encode_settle(Kind::Ack, (queue, lease), &all, (0, number), &mut bytes);
        self.socket.write_all(&bytes).expect("the plane reads");
        match self.reply_to(number).reply() {
            Reply::Settled(settled, _) => assert_eq!(settled.settled, count),
            other => panic!("{other:?}"),
        }
    }

    /// Takes one message, waiting for so long: its lease, its payload, its deliveries.
    pub fn take(&mut self, queue: QueueId, group: GroupId, wait_ms: u32) -> Received {
        let number = self.send_take(queue, group, wait_ms);
        self.reply_to(number)
    }

    /// Sends such a take and returns its number.
    pub fn send_take(&mut self, queue: QueueId, group: GroupId, wait_ms: u32) -> u32 {
        self.send(Request::Take(Take {
            queue,
            messages_max: 1,
            bytes_max: 0,
            wait_ms,
            lease_ms: 0,
            group,
            acknowledged: false,
        }))
    }

    /// A figure of a queue.
    pub fn figure(&mut self, queue: QueueId, column: &str) -> u64 {
        let at = QUEUE_COLUMNS.iter().position(|known| *known == column).expect("a column");
        match self.ask(Request::Stat { queue: Some(queue) }).reply() {
            Reply::Figures(figures) => figures.rows().next().expect("a row")[at],
            other => panic!("{other:?}"),
        }
    }

    /// Waits until a figure of a queue has a value.
    pub fn until(&mut self, queue: QueueId, column: &str, value: u64) {
        let until = Instant::now() + PATIENCE;
        while self.figure(queue, column) != value {
            assert!(Instant::now() < until, "{column} is {}", self.figure(queue, column));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends the connection with a reset.
    pub fn reset(self) {
        let socket = SockRef::from(&self.socket);
        socket.set_linger(Some(Duration::ZERO)).expect("a socket option");
    }
}
