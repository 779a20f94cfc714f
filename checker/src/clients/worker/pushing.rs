//! What a worker subscribes to, with how much credit, and for how long.

use ringway_protocol::request::{Credit, Subscribe};
use ringway_protocol::{QueueId, Request, SubscriptionId};

use super::{Known, Worker};
use crate::clients::Outside;
use crate::clients::peer::{Asked, Peer};
use crate::{Ask, Push};

/// Subscriptions that one connection asks for.
const SUBSCRIPTIONS_MAX: u32 = 4;

/// A subscription of the connection that there is.
#[derive(Clone, Copy, Debug)]
pub struct Subscribed {
    /// The plan of its queue.
    pub index: usize,
    pub queue: QueueId,
    pub id: SubscriptionId,
}

impl Worker {
    /// Subscribes, changes the credit of a subscription, or ends one.
    pub(super) fn push(
        &mut self,
        index: usize,
        known: &Known,
        peer: &mut Peer,
        outside: &mut Outside<'_>,
    ) {
        let own = self.subscriptions.len();
        match self.chance.below(4) {
            0 if own > 0 => {
                let ended = self.subscriptions.swap_remove(self.chance.below(own));
                self.unsubscribe(ended, peer, outside);
            }
            1 if own > 0 => {
                let changed = self.subscriptions[self.chance.below(own)];
                self.credit(changed, peer, outside);
            }
            _ if self.subscribes_asked < SUBSCRIPTIONS_MAX => {
                self.subscribes_asked += 1;
                self.subscribe(index, known, peer, outside);
            }
            _ => self.take(index, known, peer, outside),
        }
    }

    fn subscribe(
        &mut self,
        index: usize,
        known: &Known,
        peer: &mut Peer,
        outside: &mut Outside<'_>,
    ) {
        let (stream, queue) = (self.stream(), known.queue);
        let group = self.any_group(index, known);
        let (scene, chance) = (&self.plans[index].scene, &mut self.chance);
        let messages = chance.magnitude(self.plans[index].credit_max) as u32;
        let subscribe = Subscribe {
            queue,
            group,
            messages,
            bytes: if chance.once_in(2) { 0 } else { chance.magnitude(100_000) as u32 },
            batch_max: if chance.once_in(2) { 0 } else { chance.magnitude(16) as u32 },
            lease_ms: if chance.once_in(2) { 0 } else { scene.ms(chance.between(1, 60)) as u32 },
            rate: if chance.once_in(4) { chance.between(100, 10_000) as u32 } else { 0 },
        };
        let push = Push { queue: queue.0, group: group.0, messages_max: messages };
        let asked = Asked::Subscribe(index, (queue.0, group));
        peer.ask(asked, Ask::Subscribe(push), stream, outside, |name, out| {
            Request::Subscribe(subscribe).encode(name.0, name.1, out);
        });
    }

    fn credit(&mut self, of: Subscribed, peer: &mut Peer, outside: &mut Outside<'_>) {
        let Subscribed { queue, id: subscription, .. } = of;
        let most = self.plans[of.index].credit_max as u64;
        let messages = self.chance.between(0, most) as u32;
        let ask =
            Ask::Credit { queue: queue.0, subscription: subscription.0, messages_max: messages };
        let request = Request::Credit(Credit { queue, subscription, messages, bytes: 0 });
        outside.network.count("credits changed");
        peer.ask(Asked::Other, ask, 0, outside, |name, out| {
            request.encode(name.0, name.1, out);
        });
    }

    fn unsubscribe(&mut self, of: Subscribed, peer: &mut Peer, outside: &mut Outside<'_>) {
        let Subscribed { queue, id: subscription, .. } = of;
        let ask = Ask::Unsubscribe { queue: queue.0, subscription: subscription.0 };
        outside.network.count("subscriptions ended");
        peer.ask(Asked::Other, ask, 0, outside, |name, out| {
            Request::Unsubscribe { queue, subscription }.encode(name.0, name.1, out);
        });
    }
}
