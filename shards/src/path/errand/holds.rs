//! What later requests of a connection have to wait for, so that effects on one queue follow the
//! order in which the connection sent its requests.
//!
//! Most of what an errand asks goes out when it begins, in order with everything else. What it asks
//! later is held for it: while a connection has an errand that will touch a queue, its next request
//! about that queue waits. Connections without such errands pay one comparison.

use crate::limits::HOLDS_MAX;
use ringway_protocol::{Frame, Kind, QueueId};

/// What an errand will still touch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Held {
    /// Anything: nothing of the connection may overtake it.
    Everything,
    /// Nothing: it only takes, and ends with its connection.
    Nothing,
    /// One queue, once another queue has answered.
    Queue {
        /// The queue that it will touch.
        queue: QueueId,
        /// The queue that has to answer before.
        after: QueueId,
    },
}

/// What the errands of one connection hold.
///
/// Invariant: at most `HOLDS_MAX` of them hold something.
#[derive(Debug, Default)]
pub struct Holds {
    /// By the name of the errand.
    held: Vec<(u64, Held)>,
    /// How many of them hold something.
    holding: usize,
}

impl Holds {
    /// Whether nothing is held.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.holding == 0
    }

    /// Notes what an errand holds.
    pub fn add(&mut self, errand: u64, held: Held) {
        debug_assert!(self.holding < HOLDS_MAX, "a full list holds every frame back");
        self.holding += usize::from(held != Held::Nothing);
        self.held.push((errand, held));
    }

    /// Forgets what an errand held.
    pub fn let_go(&mut self, errand: u64) {
        if let Some(at) = self.held.iter().position(|(holder, _)| *holder == errand) {
            let (_, held) = self.held.swap_remove(at);
            self.holding -= usize::from(held != Held::Nothing);
        }
    }

    /// How many errands end with their connection.
    pub fn idle_count(&self) -> usize {
        self.held.len() - self.holding
    }

    /// Whether there are errands that end with their connection.
    pub fn has_idle(&self) -> bool {
        self.held.len() > self.holding
    }

    /// The errands that end with their connection.
    pub fn idle(&self) -> impl Iterator<Item = u64> + use<'_> {
        let idle = self.held.iter().filter(|(_, held)| *held == Held::Nothing);
        idle.map(|(errand, _)| *errand)
    }

    /// The errands that end with their connection; they are forgotten.
    pub fn take_idle(&mut self) -> impl Iterator<Item = u64> + use<'_> {
        self.held.extract_if(.., |(_, held)| *held == Held::Nothing).map(|(errand, _)| errand)
    }

    /// Whether a frame has to wait for one of the errands.
    #[cold]
    pub fn hold_back(&self, frame: Frame<'_>) -> bool {
        self.holding >= HOLDS_MAX || self.held.iter().any(|(_, held)| held.holds(frame))
    }
}

impl Held {
    fn holds(&self, frame: Frame<'_>) -> bool {
        let (queue, after) = match *self {
            Held::Everything => return true,
            Held::Nothing => return false,
            Held::Queue { queue, after } => (queue, after),
        };
        match Kind::from_number(frame.header.kind) {
            // These name no queue that an errand could still change.
            Some(
                Kind::Greet
                | Kind::Declare
                | Kind::Open
                | Kind::List
                | Kind::Ping
                | Kind::Echo
                | Kind::Goodbye
                | Kind::Bindings,
            )
            | None => false,
            // These name queues that are not known here, or change what others reach.
            Some(Kind::Publish | Kind::Move | Kind::Bind | Kind::Unbind) => true,
            Some(Kind::Transfer) => {
                let (from, to) = transfer_queues(frame.body);
                // Its own acknowledgement comes after a put to the same queue as ours does, and
                // that queue answers in order.
                to == Some(queue) || from == Some(queue) && to != Some(after)
            }
            Some(_) => id_at(frame.body, 0) == Some(queue),
        }
    }
}

/// The id in a body, if it is that long.
fn id_at(body: &[u8], at: usize) -> Option<QueueId> {
    let id = body.get(at..)?.first_chunk()?;
    Some(QueueId(u64::from_le_bytes(*id)))
}

/// The queues of the acknowledgement and of the put in the body of a transfer.
pub fn transfer_queues(body: &[u8]) -> (Option<QueueId>, Option<QueueId>) {
    let put = body.first_chunk().map(|length| 8 + u32::from_le_bytes(*length) as usize);
    (id_at(body, 8), put.and_then(|at| id_at(body, at)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringway_protocol::request::{Move, Publish, Put, Range, encode_transfer};
    use ringway_protocol::{GroupId, HEADER_BYTES, Header, LeaseId, Records, Request, record};

    const A: QueueId = QueueId(1 << 32 | 1);
    const B: QueueId = QueueId(1 << 32 | 2);
    const C: QueueId = QueueId(1 << 32 | 3);

    fn check(holds: &Holds, bytes: &[u8], held_back: bool, why: &str) {
        let header = Header::decode(bytes.first_chunk().expect("a header"));
        let frame = Frame { header, body: &bytes[HEADER_BYTES..] };
        assert_eq!(holds.hold_back(frame), held_back, "{why}");
    }

    fn request(request: Request<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        request.encode(0, 1, &mut bytes);
        bytes
    }

    fn transfer(from: QueueId, to: QueueId) -> Vec<u8> {
        let (mut bytes, mut records) = (Vec::new(), Vec::new());
        record::write(&mut records, &[], b"result");
        let put = Put::new(to, Records::parse(&records, 1).expect("a record"));
        let range = [Range { first: 0, count: 1 }];
        encode_transfer((from, LeaseId::new(1, 0, 0)), &range, &put, (0, 1), &mut bytes);
        bytes
    }

    #[test]
    fn what_touches_the_same_queue_waits() {
        let mut holds = Holds::default();
        assert!(holds.is_empty());
        holds.add(7, Held::Queue { queue: A, after: B });
        check(&holds, &request(Request::Stat { queue: Some(A) }), true, "the queue itself");
        check(&holds, &request(Request::Purge { queue: B }), false, "its put is on its way");
        check(&holds, &request(Request::Ping), false, "no queue");
        check(&holds, &request(Request::Open { name: "a" }), false, "a name");
        check(&holds, &transfer(A, B), false, "the same way in the same order");
        check(&holds, &transfer(A, C), true, "another queue may answer sooner");
        check(&holds, &transfer(B, A), true, "its put would be first");
        check(&holds, &transfer(B, C), false, "other queues");
        let mut records = Vec::new();
        record::write(&mut records, &[], b"news");
        let records = Records::parse(&records, 1).expect("a record");
        check(
            &holds,
            &request(Request::Publish(Publish { name: "a", records })),
            true,
            "any queue",
        );
        let to = Some(C);
        let (group, limit) = (GroupId::DEFAULT, 1);
        let wanted = Move { from: B, to, group, limit, redrive: false, filter: None };
        check(&holds, &request(Request::Move(wanted)), true, "queues by name");
        holds.let_go(8);
        assert!(!holds.is_empty(), "another errand's");
        holds.let_go(7);
        check(&holds, &request(Request::Stat { queue: Some(A) }), false, "nothing is held");
    }

    #[test]
    fn an_errand_that_holds_everything_and_a_full_list_hold_every_frame() {
        let mut holds = Holds::default();
        holds.add(1, Held::Everything);
        check(&holds, &request(Request::Ping), true, "everything");
        holds.let_go(1);
        for errand in 0..HOLDS_MAX as u64 {
            check(&holds, &request(Request::Ping), false, "there is room");
            holds.add(errand, Held::Queue { queue: A, after: B });
        }
        check(&holds, &request(Request::Ping), true, "a full list");
        holds.let_go(3);
        check(&holds, &request(Request::Ping), false, "room again");
    }
}
