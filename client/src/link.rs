//! A greeted TCP connection: its socket, its two buffers, and whether it can still be used.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use ringway_protocol::frame::{Frame, Kind, REPLY};
use ringway_protocol::greeting::{Greet, Welcome};
use ringway_protocol::limits::TOKEN_BYTES_MAX;
use ringway_protocol::{Code, Rejection, Reply, Request};
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

use crate::error::Error;
use crate::inbox::Inbox;
use crate::outbox::Outbox;
use crate::pushes::Pushes;

/// How to connect. [`Default`] suits a server without a token.
#[derive(Clone, Debug)]
pub struct Options {
    /// The access token; empty for none. At most 1,024 bytes.
    pub token: String,
    /// How long to try one address.
    pub connect_timeout: Duration,
    /// How long to wait for a reply, on top of what a take itself asks to wait and of
    /// [`Options::held_timeout`].
    pub reply_timeout: Duration,
    /// How long a full queue may hold a put back before its reply counts as late: at least the
    /// `wait_max_ms` of the queues that hold, or the fate of a put that waits longer is unknown.
    /// The default is a minute, which queues have unless declared otherwise; the server allows an
    /// hour at most.
    pub held_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            token: String::new(),
            connect_timeout: Duration::from_secs(5),
            reply_timeout: Duration::from_secs(30),
            held_timeout: Duration::from_secs(60),
        }
    }
}

/// How long the kernel keeps a silent connection before it asks whether the server is there.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// How long to look for a goodbye after a write failed.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// How far the time that a socket waits may be from what is left of a wait.
const NEARLY: Duration = Duration::from_millis(1);

/// What [`crate::Client`] and [`crate::Pipeline`] have in common.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) stream: TcpStream,
    pub(crate) outbox: Outbox,
    pub(crate) inbox: Inbox,
    pub(crate) pushes: Pushes,
    read_timeout: Duration,
    unusable: Option<String>,
}

impl Link {
    /// Connects to the first address that answers and greets.
    pub(crate) fn connect(address: &str, options: &Options) -> Result<(Self, Welcome), Error> {
        if options.token.len() > TOKEN_BYTES_MAX {
            let sentence = "the token is longer than 1,024 bytes";
            return Err(Error::Invalid(Rejection::new(Code::TooLarge, sentence)));
        }
        let failed = |source| Error::Connect { address: address.to_owned(), source };
        let stream = reach(address, options.connect_timeout).map_err(failed)?;
        stream.set_read_timeout(Some(options.reply_timeout)).map_err(failed)?;
        stream.set_write_timeout(Some(options.reply_timeout)).map_err(failed)?;
        let mut link = Self {
            stream,
            outbox: Outbox::default(),
            inbox: Inbox::default(),
            pushes: Pushes::default(),
            read_timeout: options.reply_timeout,
            unusable: None,
        };
        link.outbox.request(&Request::Greet(Greet::new(options.token.as_bytes())), 0);
        let welcome = link.exchange(Kind::Greet, 0, options.reply_timeout, |reply| {
            if let Reply::Welcome(welcome) = reply { Some(welcome) } else { None }
        })?;
        Ok((link, welcome))
    }

    /// Sends what the outbox holds, waits for the one reply and gives it to `read`, which returns
    /// `None` for a reply of the wrong kind.
    pub(crate) fn exchange<T>(
        &mut self,
        kind: Kind,
        number: u32,
        timeout: Duration,
        read: impl FnOnce(Reply<'_>) -> Option<T>,
    ) -> Result<T, Error> {
        self.usable()?;
        let result = self.send_all().and_then(|()| self.await_reply(kind, number, timeout, read));
        self.note(result)
    }

    fn await_reply<T>(
        &mut self,
        kind: Kind,
        number: u32,
        timeout: Duration,
        read: impl FnOnce(Reply<'_>) -> Option<T>,
    ) -> Result<T, Error> {
        let started = Instant::now();
        let frame = loop {
            if !self.await_frame(timeout.saturating_sub(started.elapsed()))? {
                return Err(Error::Timeout { after: timeout });
            }
            let frame = self.inbox.next_frame().map_err(broken)?.ok_or(Error::Closed)?;
            check_goodbye(&frame)?;
            if !self.pushes.accept(&frame)? {
                break frame;
            }
        };
        if frame.header.request != number || frame.header.kind != kind as u8 | REPLY {
            return Err(Error::Protocol("a reply that nobody waits for"));
        }
        match Reply::decode(frame).map_err(broken)? {
            Reply::Refused { code, sentence } => {
                Err(Error::Refused { code, sentence: sentence.to_owned() })
            }
            reply => read(reply).ok_or(Error::Protocol("the reply does not fit its request")),
        }
    }

    /// Reads what comes for subscriptions until `wait` is over or `number` has a delivery.
    pub(crate) fn await_push(&mut self, number: u32, wait: Duration) -> Result<(), Error> {
        let started = Instant::now();
        let result = loop {
            match self.await_frame(wait.saturating_sub(started.elapsed())) {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(error) => break Err(error),
            }
            match self.set_aside() {
                Ok(for_whom) if for_whom == number => break Ok(()),
                Ok(_) => {}
                Err(error) => break Err(error),
            }
        };
        self.note(result)
    }

    /// Sets the next frame aside, which must be a subscription's, and returns its number.
    fn set_aside(&mut self) -> Result<u32, Error> {
        let frame = self.inbox.next_frame().map_err(broken)?.ok_or(Error::Closed)?;
        check_goodbye(&frame)?;
        if !self.pushes.accept(&frame)? {
            return Err(Error::Protocol("a reply that nobody waits for"));
        }
        Ok(frame.header.request)
    }

    /// Blocks until a whole frame is in the inbox, and returns whether one came in time.
    fn await_frame(&mut self, timeout: Duration) -> Result<bool, Error> {
        let started = Instant::now();
        while !self.inbox.has_frame().map_err(broken)? {
            let left = timeout.saturating_sub(started.elapsed());
            if left.is_zero() {
                return self.look();
            }
            self.set_read_timeout(left)?;
            match self.inbox.fill(&mut self.stream) {
                Ok(0) => return Err(Error::Closed),
                Ok(_) => {}
                Err(error) if is_not_now(&error) => {}
                Err(error) => return Err(Error::from_io(error, timeout)),
            }
        }
        Ok(true)
    }

    /// Reads what is there without waiting, and returns whether a whole frame is.
    fn look(&mut self) -> Result<bool, Error> {
        self.stream.set_nonblocking(true).map_err(Error::Io)?;
        let read = self.inbox.fill(&mut self.stream);
        self.stream.set_nonblocking(false).map_err(Error::Io)?;
        match read {
            Ok(0) => Err(Error::Closed),
            Ok(_) => self.inbox.has_frame().map_err(broken),
            Err(error) if is_not_now(&error) => Ok(false),
            Err(error) => Err(Error::from_io(error, Duration::ZERO)),
        }
    }

    /// A system call only where it changes something: the time of whole requests is the same again
    /// and again, give or take what has passed of it.
    fn set_read_timeout(&mut self, timeout: Duration) -> Result<(), Error> {
        let near = self.read_timeout.saturating_sub(NEARLY)..=self.read_timeout;
        if !near.contains(&timeout) {
            self.stream.set_read_timeout(Some(timeout)).map_err(Error::Io)?;
            self.read_timeout = timeout;
        }
        Ok(())
    }

    fn send_all(&mut self) -> Result<(), Error> {
        let Err(error) = self.stream.write_all(self.outbox.unsent()) else {
            self.outbox.advance(self.outbox.unsent().len());
            return Ok(());
        };
        let error = Error::from_io(error, self.read_timeout);
        // A server that refuses to go on says why before it closes: better than "broken pipe".
        if matches!(error, Error::Closed) && self.await_frame(LAST_WORDS).is_ok_and(|came| came) {
            let last = self.inbox.next_frame().map_err(broken)?;
            last.as_ref().map_or(Ok(()), check_goodbye)?;
        }
        Err(error)
    }

    /// [`Error::Unusable`] after an error that ended the connection.
    pub(crate) fn usable(&self) -> Result<(), Error> {
        match &self.unusable {
            None => Ok(()),
            Some(reason) => Err(Error::Unusable(reason.clone())),
        }
    }

    /// Remembers an error that ends the connection.
    pub(crate) fn note<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &result
            && error.ends_connection()
            && self.unusable.is_none()
        {
            self.unusable = Some(error.to_string());
        }
        result
    }
}

/// Whether a read or write should be made again later.
pub(crate) fn is_not_now(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), WouldBlock | Interrupted | TimedOut)
}

/// The error of bytes that are no reply.
#[cold]
pub(crate) fn broken(rejection: Rejection) -> Error {
    Error::Protocol(rejection.sentence)
}

/// Turns the server's last words into an error.
#[inline]
pub(crate) fn check_goodbye(frame: &Frame<'_>) -> Result<(), Error> {
    if frame.header.kind == Kind::Goodbye as u8 | REPLY {
        return Err(goodbye(*frame));
    }
    Ok(())
}

#[cold]
fn goodbye(frame: Frame<'_>) -> Error {
    match Reply::decode(frame) {
        Ok(Reply::Refused { code, sentence }) => {
            Error::Goodbye { code, sentence: sentence.to_owned() }
        }
        Ok(_) => Error::Protocol("a goodbye without a reason"),
        Err(rejection) => broken(rejection),
    }
}

fn reach(address: &str, timeout: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::InvalidInput, "the name has no address");
    for resolved in address.to_socket_addrs()? {
        match reach_one(resolved, timeout) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn reach_one(address: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.connect_timeout(&address.into(), timeout)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))?;
    Ok(socket.into())
}
