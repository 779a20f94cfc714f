//! Subscriptions begin, change and end. What a connection's subscriptions may have unsettled in
//! bytes is promised to it, beside its waiting takes.

use super::{Asker, Performed, Performer};
use ringway_protocol::request::{Credit, Subscribe};
use ringway_protocol::{Code, Header, Kind, QueueId, Rejection, SubscriptionId, frame, reply};

/// To one who asks for more than a connection may be promised.
pub const TOO_MUCH: Rejection = Rejection::new(
    Code::TooManyWaits,
    "the waiting takes and subscriptions of this connection ask for more than 8 MiB together",
);

impl Performer {
    pub(super) fn subscribe(
        &mut self,
        asker: Asker,
        subscribe: &Subscribe,
        out: &mut Vec<u8>,
    ) -> Result<Performed, Rejection> {
        let bytes = subscribe.credit_bytes();
        if bytes as usize > asker.wait_bytes {
            return Err(TOO_MUCH);
        }
        let subscription = self.store.subscribe(subscribe, asker.origin, self.now)?;
        reply::number(out, Kind::Subscribe, asker.ids(), subscription.0);
        Ok(Performed::Promising(i64::from(bytes)))
    }

    pub(super) fn credit(
        &mut self,
        asker: Asker,
        credit: &Credit,
        out: &mut Vec<u8>,
    ) -> Result<Performed, Rejection> {
        let Credit { queue, subscription, .. } = *credit;
        let before = self.store.credit_bytes(queue, subscription, asker.origin)?;
        let more = i64::from(credit.credit_bytes()) - i64::from(before);
        if more > asker.wait_bytes as i64 {
            return Err(TOO_MUCH);
        }
        self.store.credit(credit, asker.origin)?;
        let (stream, request) = asker.ids();
        frame::write(out, Header::reply(Kind::Credit, Code::Ok, stream, request), |_| ());
        Ok(Performed::Promising(more))
    }

    pub(super) fn unsubscribe(
        &mut self,
        asker: Asker,
        queue: QueueId,
        subscription: SubscriptionId,
        out: &mut Vec<u8>,
    ) -> Result<Performed, Rejection> {
        let (messages, promised) =
            self.store.unsubscribe(queue, subscription, asker.origin, self.now)?;
        if messages > 0 {
            self.journal.append();
        }
        reply::number(out, Kind::Unsubscribe, asker.ids(), messages);
        Ok(Performed::Promising(-i64::from(promised)))
    }
}
