//! A client that sends what it is told to, one request or many at a time, and the planes that it
//! meets.

use ringway_protocol::greeting::Greet;
use ringway_protocol::limits::FRAME_BYTES_MAX;
use ringway_protocol::name::shard_of;
use ringway_protocol::request::{Put, Range, Take, encode_settle};
use ringway_protocol::{
    Code, Frame, GroupId, HEADER_BYTES, Header, Kind, LeaseId, QueueId, Records, Reply, Request,
    Split, frame, record,
};
use ringway_shards::plane::{Plane, PlaneConfig};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than anything here takes on a busy host.
const PATIENCE: Duration = Duration::from_secs(20);

/// A plane of so many shards.
pub fn plane(shards: usize) -> Plane {
    Plane::start(PlaneConfig { shards, ..PlaneConfig::default() }).expect("this host can run it")
}

/// A name that belongs to a shard, of so many.
pub fn name_on((shard, shards): (usize, usize), stem: &str) -> String {
    let mut names = (0..).map(|number| format!("{stem}-{number}"));
    names.find(|name| shard_of(name, shards) == shard).expect("a hash reaches every shard")
}

/// Records of these payloads, in wire format.
pub fn batch(payloads: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    payloads.iter().for_each(|payload| record::write(&mut bytes, &[], payload));
    bytes
}

/// One connection.
pub struct Peer {
    socket: TcpStream,
    received: Vec<u8>,
    number: u32,
}

/// A frame that was received.
#[derive(Debug)]
pub struct Received {
    pub header: Header,
    body: Vec<u8>,
}

/// What a take brought.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivered {
    pub lease: LeaseId,
    pub payloads: Vec<Vec<u8>>,
    pub sequences: Vec<u64>,
    /// How often the first has been delivered, 0 if nothing came.
    pub deliveries: u32,
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

    /// What a take brought.
    pub fn delivered(&self) -> Delivered {
        let Reply::Delivery(delivery) = self.reply() else { panic!("{:?}", self.reply()) };
        let records = delivery.records.iter().flat_map(|records| records.iter());
        let sequences = delivery
            .runs()
            .flat_map(|run| (0..u64::from(run.count)).map(move |index| run.first_sequence + index));
        Delivered {
            lease: delivery.lease,
            payloads: records.map(|record| record.payload.to_vec()).collect(),
            sequences: sequences.collect(),
            deliveries: delivery.runs().next().map_or(0, |run| run.deliveries),
        }
    }
}

impl Peer {
    /// Connected and greeted.
    pub fn connect(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).expect("the plane listens");
        socket.set_read_timeout(Some(PATIENCE)).expect("a valid timeout");
        socket.set_nodelay(true).expect("TCP");
        let mut peer = Self { socket, received: Vec::new(), number: 0 };
        let welcome = peer.ask(Request::Greet(Greet::new(b"")));
        assert!(matches!(welcome.reply(), Reply::Welcome(_)), "{welcome:?}");
        peer
    }

    /// Sends bytes as they are.
    pub fn say(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).expect("the plane reads");
    }

    /// A new number for a request.
    pub fn number(&mut self) -> u32 {
        self.number += 1;
        self.number
    }

    /// Sends a request and returns its number.
    pub fn send(&mut self, request: Request<'_>) -> u32 {
        let mut bytes = Vec::new();
        request.encode(0, self.number(), &mut bytes);
        self.say(&bytes);
        self.number
    }

    /// The next frame.
    pub fn next(&mut self) -> Received {
        let mut chunk = [0; 65536];
        loop {
            let split = frame::split(&self.received, FRAME_BYTES_MAX).expect("valid replies");
            if let Split::Frame(Frame { header, body }) = split {
                let received = Received { header, body: body.to_vec() };
                self.received.drain(..HEADER_BYTES + received.body.len());
                return received;
            }
            let count = self.socket.read(&mut chunk).expect("a reply in time");
            assert!(count > 0, "the plane closed the connection");
            self.received.extend_from_slice(&chunk[..count]);
        }
    }

    /// So many frames, in the order of their requests.
    pub fn all(&mut self, count: usize) -> Vec<Received> {
        let mut all: Vec<_> = (0..count).map(|_| self.next()).collect();
        all.sort_by_key(|received| received.header.request);
        all
    }

    /// Sends a request and reads its reply.
    pub fn ask(&mut self, request: Request<'_>) -> Received {
        let number = self.send(request);
        let received = self.next();
        assert_eq!(received.header.request, number, "{received:?}");
        received
    }

    /// Declares a queue with the default options.
    pub fn declare(&mut self, name: &str) -> QueueId {
        match self.ask(Request::Declare { name, options: None }).reply() {
            Reply::Declared { queue, .. } => queue,
            other => panic!("{other:?}"),
        }
    }

    /// Puts a batch; returns the sequence of its first message.
    pub fn put(&mut self, queue: QueueId, payloads: &[&[u8]]) -> u64 {
        let bytes = batch(payloads);
        let records = Records::parse(&bytes, payloads.len() as u32).expect("valid records");
        match self.ask(Request::Put(Put::new(queue, records))).reply() {
            Reply::Put(receipt) => receipt.first_sequence,
            other => panic!("{other:?}"),
        }
    }

    /// Takes under a lease.
    pub fn take(&mut self, queue: QueueId, messages_max: u32) -> Delivered {
        self.ask(Request::Take(take(queue, messages_max))).delivered()
    }

    /// What is ready in a queue, taken for good.
    pub fn drain(&mut self, queue: QueueId) -> Vec<Vec<u8>> {
        let take = Take { acknowledged: true, ..take(queue, 4096) };
        self.ask(Request::Take(take)).delivered().payloads
    }

    /// Acknowledges the first messages of a lease: settled, stale, unknown.
    pub fn ack(&mut self, queue: QueueId, lease: LeaseId, count: u32) -> (u32, u32, u32) {
        let (mut bytes, number) = (Vec::new(), self.number());
        let all = [Range { first: 0, count }];
        encode_settle(Kind::Ack, (queue, lease), &all, (0, number), &mut bytes);
        self.say(&bytes);
        match self.next().reply() {
            Reply::Settled(settled, _) => (settled.settled, settled.stale, settled.unknown),
            other => panic!("{other:?}"),
        }
    }
}

/// A take under a lease that does not wait.
pub fn take(queue: QueueId, messages_max: u32) -> Take {
    Take {
        queue,
        messages_max,
        bytes_max: 0,
        wait_ms: 0,
        lease_ms: 0,
        group: GroupId::DEFAULT,
        acknowledged: false,
    }
}
