//! The fast face: many requests in flight, written and read in batches.

use std::io::Write;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use ringway_protocol::frame::Frame;
use ringway_protocol::greeting::Welcome;
use socket2::SockRef;

use crate::error::Error;
use crate::link::{Link, Options, broken, check_goodbye, is_not_now};
use crate::outbox::Outbox;

/// A connection whose requests are queued, sent with one write, and answered in batches.
///
/// It never blocks unless [`Pipeline::receive_blocking`] is asked to, and fits a loop that polls
/// as well as one that waits for readiness: register its descriptor, and after each event call
/// [`Pipeline::receive`] until [`Pipeline::drained`]. Numbers of requests are the caller's to
/// choose. Replies about one queue come in the order of the requests; others may overtake each
/// other.
///
/// ```no_run
/// use ringway_client::{Batch, Options, Pipeline, Reply, Template};
///
/// # let queue = ringway_client::QueueId::new(1, 0, 0);
/// let mut pipeline = Pipeline::connect("127.0.0.1:7311", &Options::default())?;
/// let put = Template::put(queue, &Batch::of(&["hello"])?);
/// for number in 0..64 {
///     pipeline.outbox().template(&put, number);
/// }
/// let mut answered = 0;
/// while answered < 64 {
///     pipeline.flush()?;
///     pipeline.receive()?;
///     answered += pipeline.replies(|frame, _outbox| {
///         let reply = Reply::decode(frame);
///         println!("{}: {reply:?}", frame.header.request);
///     })?;
/// }
/// # Ok::<(), ringway_client::Error>(())
/// ```
#[derive(Debug)]
pub struct Pipeline {
    link: Link,
    welcome: Welcome,
    blocking: bool,
}

/// The longest that [`Pipeline::receive_blocking`] waits before it returns without bytes.
const BLOCK: Duration = Duration::from_millis(250);

impl Pipeline {
    /// Connects to `host:port` and greets; that much blocks.
    pub fn connect(address: &str, options: &Options) -> Result<Self, Error> {
        let (link, welcome) = Link::connect(address, options)?;
        link.stream.set_read_timeout(Some(BLOCK)).map_err(Error::Io)?;
        link.stream.set_nonblocking(true).map_err(Error::Io)?;
        Ok(Self { link, welcome, blocking: false })
    }

    /// What the server said about itself: limits, and where its shards listen.
    pub fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    /// Where requests are queued.
    #[inline]
    pub fn outbox(&mut self) -> &mut Outbox {
        &mut self.link.outbox
    }

    /// Writes what is queued, once. Returns whether everything is sent; what is not stays queued
    /// until the next call.
    #[inline]
    pub fn flush(&mut self) -> Result<bool, Error> {
        if self.link.outbox.is_empty() {
            return Ok(true);
        }
        self.link.usable()?;
        let written = self.write_once();
        match self.link.note(written)? {
            Some(count) => self.link.outbox.advance(count),
            None => return Ok(false),
        }
        Ok(self.link.outbox.is_empty())
    }

    /// One write that does not wait, whatever mode the socket is in; `None` if there is no room.
    fn write_once(&mut self) -> Result<Option<usize>, Error> {
        let Link { stream, outbox, .. } = &mut self.link;
        let written = if self.blocking {
            let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
            SockRef::from(&*stream).send_with_flags(outbox.unsent(), flags)
        } else {
            stream.write(outbox.unsent())
        };
        match written {
            Ok(count) => Ok(Some(count)),
            Err(error) if is_not_now(&error) => Ok(None),
            Err(error) => Err(Error::from_io(error, Duration::ZERO)),
        }
    }

    /// Reads once without waiting and returns how many bytes came, 0 if there are none yet.
    ///
    /// Give them to [`Pipeline::replies`] before the next call. [`Error::Closed`] at the end of the
    /// stream: what was in flight then is of unknown fate.
    #[inline]
    pub fn receive(&mut self) -> Result<usize, Error> {
        self.set_blocking(false)?;
        self.read_once()
    }

    /// Whether the last read took all that there was, so that the next one can wait for readiness.
    #[inline]
    pub fn drained(&self) -> bool {
        self.link.inbox.drained()
    }

    /// Like [`Pipeline::receive`], but waits up to a quarter of a second for bytes.
    pub fn receive_blocking(&mut self) -> Result<usize, Error> {
        self.set_blocking(true)?;
        self.read_once()
    }

    fn read_once(&mut self) -> Result<usize, Error> {
        self.link.usable()?;
        let Link { stream, inbox, .. } = &mut self.link;
        let read = match inbox.fill(stream) {
            Ok(0) => Err(Error::Closed),
            Ok(count) => Ok(count),
            Err(error) if is_not_now(&error) => Ok(0),
            Err(error) => Err(Error::from_io(error, Duration::ZERO)),
        };
        self.link.note(read)
    }

    #[inline]
    fn set_blocking(&mut self, blocking: bool) -> Result<(), Error> {
        if self.blocking != blocking {
            self.link.stream.set_nonblocking(!blocking).map_err(Error::Io)?;
            self.blocking = blocking;
        }
        Ok(())
    }

    /// Calls `on_reply` for each whole reply received, with the outbox for what should follow it,
    /// and returns how many there were. `Reply::decode` gives a frame its meaning.
    #[inline]
    pub fn replies(
        &mut self,
        mut on_reply: impl FnMut(Frame<'_>, &mut Outbox),
    ) -> Result<usize, Error> {
        let Link { inbox, outbox, .. } = &mut self.link;
        let mut count = 0;
        let result = loop {
            match inbox.next_frame() {
                Ok(Some(frame)) => {
                    if let Err(error) = check_goodbye(&frame) {
                        break Err(error);
                    }
                    on_reply(frame, outbox);
                    count += 1;
                }
                Ok(None) => break Ok(count),
                Err(rejection) => break Err(broken(rejection)),
            }
        };
        self.link.note(result)
    }
}

impl AsRawFd for Pipeline {
    fn as_raw_fd(&self) -> RawFd {
        self.link.stream.as_raw_fd()
    }
}
