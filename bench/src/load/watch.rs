//! How a thread learns that replies are there: look at each connection, sleep in a read, or ask
//! the kernel which connections are ready.

use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use crate::load::settings::WaitMode;
use crate::load::slots::Flow;

/// More connections than these are not read in turn: asking which are ready is cheaper.
const TURN_CONNECTIONS_MAX: usize = 64;
/// Longest sleep, so that a thread sees the end of a stage.
const SLEEP_MAX: Duration = Duration::from_millis(100);
/// Most ready connections that one question returns.
const EVENTS_MAX: usize = 256;

/// The way of waiting, chosen once.
pub enum Watch {
    /// Read every connection that has requests in flight, in turn, without waiting.
    Turn,
    /// Sleep in the read of the only connection.
    Single,
    /// Ask the kernel.
    Ready {
        /// The question.
        poll: Poll,
        /// The answers.
        events: Events,
        /// Whether to sleep until there is an answer.
        block: bool,
    },
}

impl Watch {
    /// Chooses for these connections; `paced` in an open loop, where a thread must wake on time.
    pub fn new(wait: WaitMode, paced: bool, flows: &[Flow]) -> io::Result<Self> {
        let block = wait == WaitMode::Block;
        if !block && flows.len() <= TURN_CONNECTIONS_MAX {
            return Ok(Watch::Turn);
        }
        if block && flows.len() == 1 && !paced {
            return Ok(Watch::Single);
        }
        let poll = Poll::new()?;
        for (index, flow) in flows.iter().enumerate() {
            if let Some(pipeline) = &flow.pipeline {
                let interest = Interest::READABLE | Interest::WRITABLE;
                let fd = pipeline.as_raw_fd();
                poll.registry().register(&mut SourceFd(&fd), Token(index), interest)?;
            }
        }
        Ok(Watch::Ready { poll, events: Events::with_capacity(EVENTS_MAX), block })
    }

    /// Whether the kernel is asked which connections are ready.
    pub fn asks(&self) -> bool {
        matches!(self, Watch::Ready { .. })
    }

    /// Whether a round may sleep.
    pub fn sleeps(&self) -> bool {
        matches!(self, Watch::Single | Watch::Ready { block: true, .. })
    }

    /// Adds to `ready` the connections that became so. Sleeps at most `longest`, and not at all
    /// while some are ready already.
    pub fn wait(
        &mut self,
        flows: &mut [Flow],
        ready: &mut Vec<usize>,
        longest: Duration,
    ) -> io::Result<()> {
        let Watch::Ready { poll, events, block } = self else { return Ok(()) };
        let sleep =
            if *block && ready.is_empty() { longest.min(SLEEP_MAX) } else { Duration::ZERO };
        match poll.poll(events, Some(sleep)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        for event in events.iter() {
            let index = event.token().0;
            if !flows[index].ready {
                flows[index].ready = true;
                ready.push(index);
            }
        }
        Ok(())
    }
}
