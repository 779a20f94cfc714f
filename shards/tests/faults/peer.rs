//! A client that says whatever bytes it is told to, and reads frame by frame.

use crate::process::PATIENCE;
use ringway_protocol::greeting::Greet;
use ringway_protocol::limits::FRAME_BYTES_MAX;
use ringway_protocol::name::shard_of;
use ringway_protocol::request::{Put, Take};
use ringway_protocol::{
    Code, Frame, GroupId, HEADER_BYTES, Header, Kind, QueueId, Records, Reply, Request, Split,
    frame, record,
};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

/// One connection.
pub struct Peer {
    pub socket: TcpStream,
    received: Vec<u8>,
    number: u32,
}

/// A frame that was received.
#[derive(Debug)]
pub struct Received {
    pub header: Header,
    pub body: Vec<u8>,
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

    /// Messages of a delivery, and how often the first of them was delivered.
    pub fn delivered(&self) -> (u32, u32) {
        match self.reply() {
            Reply::Delivery(delivery) => {
                let runs: Vec<_> = delivery.runs().collect();
                let deliveries = runs.first().map_or(0, |run| run.deliveries);
                (runs.iter().map(|run| run.count).sum(), deliveries)
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The bytes of a request.
pub fn encoded(request: Request<'_>, number: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    request.encode(0, number, &mut bytes);
    bytes
}

/// The bytes of a greeting without a token.
pub fn greeting() -> Vec<u8> {
    encoded(Request::Greet(Greet::new(b"")), 1)
}

/// The bytes of a put of one message.
pub fn put_of(queue: QueueId, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    record::write(&mut bytes, &[], payload);
    let records = Records::parse(&bytes, 1).expect("valid records");
    encoded(Request::Put(Put::new(queue, records)), 2)
}

/// A take of one message.
pub fn take_of(queue: QueueId, wait_ms: u32, lease_ms: u32) -> Take {
    Take {
        queue,
        messages_max: 1,
        bytes_max: 1024,
        wait_ms,
        lease_ms,
        group: GroupId::DEFAULT,
        acknowledged: false,
    }
}

impl Peer {
    /// Connected, and silent so far.
    pub fn silent(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).expect("the plane listens"))
    }

    /// Over a connection that stands.
    pub fn over(socket: TcpStream) -> Self {
        socket.set_read_timeout(Some(PATIENCE)).expect("a valid timeout");
        socket.set_write_timeout(Some(PATIENCE)).expect("a valid timeout");
        socket.set_nodelay(true).expect("TCP");
        Self { socket, received: Vec::new(), number: 10 }
    }

    /// Connected and greeted.
    pub fn connect(address: SocketAddr) -> Self {
        Self::silent(address).greeted()
    }

    /// Greets and reads the welcome.
    pub fn greeted(mut self) -> Self {
        self.say(&greeting());
        let welcome = self.next().expect("a welcome");
        assert!(matches!(welcome.reply(), Reply::Welcome(_)), "{welcome:?}");
        self
    }

    /// Sends bytes as they are.
    pub fn say(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).expect("the plane reads");
    }

    /// The next frame, or `None` at the end of the stream.
    pub fn next(&mut self) -> Option<Received> {
        let mut chunk = [0; 16384];
        loop {
            let split = frame::split(&self.received, FRAME_BYTES_MAX).expect("valid replies");
            if let Split::Frame(Frame { header, body }) = split {
                let received = Received { header, body: body.to_vec() };
                self.received.drain(..HEADER_BYTES + received.body.len());
                return Some(received);
            }
            match self.socket.read(&mut chunk).expect("an orderly end or a reply in time") {
                0 => return None,
                count => self.received.extend_from_slice(&chunk[..count]),
            }
        }
    }

    /// Sends a request and reads its reply.
    pub fn ask(&mut self, request: Request<'_>) -> Received {
        self.number += 1;
        self.say(&encoded(request, self.number));
        let received = self.next().expect("a reply");
        assert_eq!(received.header.request, self.number, "{received:?}");
        received
    }

    /// Asserts that it is served.
    pub fn is_served(&mut self) {
        let pong = self.ask(Request::Ping);
        assert!(matches!(pong.reply(), Reply::Pong), "{pong:?}");
    }

    /// Declares a queue of this shard, of two.
    pub fn declare_on(&mut self, shard: usize, name: &str) -> QueueId {
        let mut names = (0..).map(|number| format!("{name}-{number}"));
        let name = names.find(|name| shard_of(name, 2) == shard).expect("a hash");
        match self.ask(Request::Declare { name: &name, options: None }).reply() {
            Reply::Declared { queue, .. } => queue,
            other => panic!("{other:?}"),
        }
    }

    /// Puts one message.
    pub fn put(&mut self, queue: QueueId, payload: &[u8]) {
        self.say(&put_of(queue, payload));
        let reply = self.next().expect("a reply");
        assert!(matches!(reply.reply(), Reply::Put(_)), "{reply:?}");
    }

    /// Takes up to so many messages for good and returns how many came.
    pub fn drain(&mut self, queue: QueueId, messages_max: u32) -> u32 {
        let take = Take { messages_max, bytes_max: 0, acknowledged: true, ..take_of(queue, 0, 0) };
        self.ask(Request::Take(take)).delivered().0
    }

    /// Asserts that the plane says goodbye with this code, and ends the connection.
    pub fn expect_dismissal(mut self, code: Code, why: &str) {
        let last = self.next().unwrap_or_else(|| panic!("{why}: no last words"));
        let expected = (Kind::Goodbye as u8 | frame::REPLY, code);
        assert_eq!((last.header.kind, last.code()), expected, "{why}");
        assert!(self.next().is_none(), "{why}: something follows the goodbye");
    }
}
