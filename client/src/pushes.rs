//! What a server sends without being asked again: deliveries of subscriptions, set aside until
//! their subscription is looked at.

use std::collections::VecDeque;

use ringway_protocol::frame::{Frame, Kind, REPLY};
use ringway_protocol::{Code, QueueId, Reply};

use crate::error::Error;
use crate::link::broken;
use crate::taken::Taken;

/// A subscription's deliveries. The server sends no more than the subscription's credit, so they
/// need no bound of their own.
#[derive(Debug)]
pub(crate) struct Pushed {
    number: u32,
    queue: QueueId,
    deliveries: VecDeque<Taken>,
    /// Why the server ended it, until that was said.
    ended: Option<(Code, String)>,
    live: bool,
}

/// The subscriptions of a connection: few, so that a list finds them fastest.
#[derive(Debug, Default)]
pub(crate) struct Pushes {
    subscriptions: Vec<Pushed>,
}

impl Pushes {
    /// Deliveries with this number belong to a subscription from now on.
    pub fn begin(&mut self, number: u32, queue: QueueId) {
        let deliveries = VecDeque::new();
        self.subscriptions.push(Pushed { number, queue, deliveries, ended: None, live: true });
    }

    /// Forgets a subscription and what came for it.
    pub fn end(&mut self, number: u32) {
        self.subscriptions.retain(|pushed| pushed.number != number);
    }

    /// Whether a number is a subscription's, so that no other request may have it.
    pub fn has(&self, number: u32) -> bool {
        self.subscriptions.iter().any(|pushed| pushed.number == number)
    }

    /// Whether the server has not ended it, as far as it was told.
    pub fn is_live(&self, number: u32) -> bool {
        self.subscriptions.iter().any(|pushed| pushed.number == number && pushed.live)
    }

    /// Sets a frame aside if it is a subscription's.
    pub fn accept(&mut self, frame: &Frame<'_>) -> Result<bool, Error> {
        const DELIVERY: u8 = Kind::Take as u8 | REPLY;
        const END: u8 = Kind::Subscribe as u8 | REPLY;
        let number = frame.header.request;
        let subscription = self.subscriptions.iter_mut().find(|pushed| pushed.number == number);
        let (Some(pushed), DELIVERY | END) = (subscription, frame.header.kind) else {
            return Ok(false);
        };
        match Reply::decode(*frame).map_err(broken)? {
            Reply::Delivery(delivery) => {
                pushed.deliveries.push_back(Taken::new(pushed.queue, &delivery));
            }
            Reply::Refused { code, sentence } => {
                pushed.live = false;
                pushed.ended = Some((code, sentence.to_owned()));
            }
            _ => return Err(Error::Protocol("a subscription that begins twice")),
        }
        Ok(true)
    }

    /// The oldest delivery that was set aside; after the last, why the server ended the
    /// subscription if it did.
    pub fn next(&mut self, number: u32) -> Result<Option<Taken>, Error> {
        let subscription = self.subscriptions.iter_mut().find(|pushed| pushed.number == number);
        let Some(pushed) = subscription else { return Ok(None) };
        if let Some(delivery) = pushed.deliveries.pop_front() {
            return Ok(Some(delivery));
        }
        match &pushed.ended {
            Some((code, sentence)) => {
                Err(Error::Refused { code: *code, sentence: sentence.clone() })
            }
            None => Ok(None),
        }
    }
}
