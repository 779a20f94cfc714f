//! Requests and their replies: who waits for what, and what a reply means for the request.

use super::copies::Source;
use super::event::{Answer, Ask, Moment, Push, Settled, Start};
use super::state::{Credit, Outstanding, Subscription, Unseen};
use super::{Checker, Verdict};

impl Checker {
    pub(super) fn asked(&mut self, moment: Moment, ask: Ask) {
        let Moment { at_ns, connection, name } = moment;
        self.requests += 1;
        let order = self.requests;
        let (mut puts, mut place) = (Vec::new(), 0);
        match &ask {
            Ask::Put(batch) => puts.push(self.put_asked((connection, order), at_ns, batch.clone())),
            Ask::Publish { topic, messages } => {
                puts = self.publish_asked((connection, order), at_ns, *topic, messages);
            }
            Ask::Bind { .. }
            | Ask::Unbind { .. }
            | Ask::Pause { .. }
            | Ask::PauseGroup { .. }
            | Ask::Remove { .. }
            | Ask::Browse { .. } => self.administer_asked((connection, order), at_ns, &ask),
            Ask::Settle(settled, how) => self.settle_asked(settled, *how, at_ns),
            Ask::Transfer(settled, batch) => {
                puts.push(self.put_asked((connection, order), at_ns, batch.clone()));
                place = self.transfer_asked(settled, puts[0], at_ns);
            }
            Ask::Subscribe(push) => {
                place = self.subscribe_asked((connection, order), at_ns, *push);
            }
            Ask::Credit { queue, subscription, messages_max } => {
                let (asked_ns, known_ns) = (at_ns, None);
                let credit = Credit { messages_max: *messages_max, order, asked_ns, known_ns };
                let own = self.subscription(connection, (*queue, *subscription));
                own.into_iter().for_each(|own| own.credits.push(credit));
            }
            Ask::Unsubscribe { queue, subscription } => {
                self.unsubscribe_asked(connection, (*queue, *subscription), at_ns);
            }
            Ask::Delete { queue } => self.queue(*queue).deletions += 1,
            Ask::Move { from, group, to } => {
                let source = self.queue(*from);
                source.moved_to.push(*to);
                // What is taken to be moved and then stays was delivered to nobody.
                let group = source.groups.entry(*group).or_default();
                group.takes_unseen += 1;
                group.unseen.push((at_ns, u64::MAX));
                self.queue(*to).moved_from.push(*from);
            }
            Ask::Group { queue, name, .. } => {
                self.queue(*queue).asked_for.entry(*name).or_insert(at_ns);
            }
            Ask::Take { .. } | Ask::Extend { .. } | Ask::EndGroup { .. } | Ask::Other => {}
        }
        let outstanding = &mut self.connections.entry(connection).or_default().outstanding;
        if outstanding.insert(name, Outstanding { ask, at_ns, order, puts, place }).is_some() {
            // The driver's own mistake: a verdict about the server would be worth nothing.
            panic!("connection {connection} reuses {name:?} while it is unanswered");
        }
    }

    pub(super) fn answered(&mut self, moment: Moment, answer: Answer) {
        let Moment { at_ns, connection, name } = moment;
        let from = self.connections.entry(connection).or_default();
        let Some(outstanding) = from.outstanding.remove(&name) else {
            let sentence = format!("connection {connection}: a reply to {name:?}, never asked");
            return self.violation(Verdict::Reply, sentence);
        };
        let stays = matches!(outstanding.ask, Ask::Subscribe(_)) && answer != Answer::Refused;
        self.meant(connection, &outstanding, at_ns, answer);
        if let Ask::Settle(Settled { queue, .. }, _) | Ask::Take { queue, .. } = outstanding.ask {
            // What comes behind this reply from the same shard was sent after it.
            let heard = &mut self.connections.entry(connection).or_default().heard_ns;
            let heard_ns = heard.entry(queue).or_default();
            *heard_ns = outstanding.at_ns.max(*heard_ns);
        }
        if stays {
            // It is answered again and again.
            let from = self.connections.entry(connection).or_default();
            from.outstanding.insert(name, outstanding);
        }
    }

    fn meant(&mut self, connection: u64, asked: &Outstanding, at_ns: u64, answer: Answer) {
        let Outstanding { ask, at_ns: asked_ns, order, puts, place } = asked;
        match (ask, answer) {
            (_, Answer::Refused) => self.refused(connection, asked, at_ns),
            (Ask::Put(_), Answer::Stored(stretches)) => {
                self.put_answered(puts[0], at_ns, stretches)
            }
            (Ask::Publish { topic, messages }, Answer::Published { matched, stored }) => {
                let when = (*asked_ns, at_ns);
                self.published(
                    (connection, *order),
                    (*topic, messages),
                    when,
                    puts,
                    (matched, stored),
                );
            }
            (
                Ask::Bind { .. }
                | Ask::Unbind { .. }
                | Ask::Pause { .. }
                | Ask::PauseGroup { .. }
                | Ask::Remove { .. }
                | Ask::Browse { .. },
                answer,
            ) => self.administered(connection, asked, at_ns, answer),
            (
                Ask::Take { queue, group, messages_max, for_good, waits },
                Answer::Delivered(delivery),
            ) => {
                if delivery.messages.len() > *messages_max as usize {
                    let sentence = format!("a take of {messages_max} got more");
                    self.violation(Verdict::Reply, sentence);
                }
                let (group, for_good) = (*group, *for_good);
                if *waits {
                    self.waited_at_parts((*queue, group), (*asked_ns, at_ns));
                }
                if group != 0 {
                    // Whoever made it may never have heard: it was there by now at the latest.
                    let known = self.queue(*queue).groups.entry(group).or_default();
                    known.made.get_or_insert((0, at_ns, Start::Anywhere));
                }
                let source = Source { connection, queue: *queue, group, for_good, push: None };
                self.delivered(source, (*asked_ns, at_ns), &delivery);
            }
            (Ask::Subscribe(push), Answer::Delivered(delivery)) => {
                let Push { queue, group, .. } = *push;
                let push = Some(*place);
                let source = Source { connection, queue, group, for_good: false, push };
                self.delivered(source, (*asked_ns, at_ns), &delivery);
            }
            (Ask::Subscribe(_), Answer::Subscribed(name)) => {
                self.subscriptions[*place].name = Some(name);
            }
            (Ask::Settle(settled, how), Answer::Settled(outcomes)) => {
                self.settled(settled, (*how, *asked_ns), &outcomes);
            }
            (Ask::Transfer(settled, _), Answer::Transferred(all, stretches)) => {
                self.put_answered(puts[0], at_ns, stretches);
                self.transferred(settled, *place, *asked_ns, all);
            }
            (Ask::Extend { queue, lease, .. }, Answer::Extended(lease_ms)) => {
                let lease = self.lease_names.get(&(*queue, *lease)).copied();
                if let Some(lease) = lease {
                    let until_ns = asked_ns + u64::from(lease_ms) * 1_000_000;
                    let lease = &mut self.leases[lease];
                    lease.until_ns = until_ns.min(lease.cut_ns);
                }
            }
            (Ask::Group { queue, name, start, single }, Answer::Group(group, made)) => {
                let queue = self.queue(*queue);
                // Another request may have made it, as early as its name was asked for.
                let first_ns = queue.asked_for.get(name).copied().unwrap_or(*asked_ns);
                let group = queue.groups.entry(group).or_default();
                (group.name, group.single) = (Some(*name), *single);
                if made {
                    group.made = Some((*asked_ns, at_ns, *start));
                } else {
                    group.made.get_or_insert((first_ns, at_ns, Start::Anywhere));
                }
            }
            (Ask::EndGroup { queue, .. }, Answer::Group(group, _)) => {
                self.queue(*queue).groups.entry(group).or_default().removed = true;
            }
            (Ask::Credit { queue, subscription, .. }, Answer::Other) => {
                let own = self.subscription(connection, (*queue, *subscription));
                let credits = own.into_iter().flat_map(|own| &mut own.credits);
                let asked = credits.filter(|credit| credit.order == *order);
                asked.for_each(|credit| credit.known_ns = Some(at_ns));
            }
            (
                Ask::Unsubscribe { .. } | Ask::Delete { .. } | Ask::Move { .. } | Ask::Other,
                Answer::Other,
            ) => {}
            (ask, answer) => {
                let sentence = format!("connection {connection}: {answer:?} in reply to {ask:?}");
                self.violation(Verdict::Reply, sentence);
            }
        }
    }

    /// A request changed nothing.
    fn refused(&mut self, connection: u64, asked: &Outstanding, at_ns: u64) {
        for put in &asked.puts {
            self.put_refused(*put);
        }
        match &asked.ask {
            Ask::Bind { .. }
            | Ask::Unbind { .. }
            | Ask::Pause { .. }
            | Ask::PauseGroup { .. }
            | Ask::Remove { .. } => self.administration_refused(asked),
            Ask::Settle(settled, how) => self.settle_refused(settled, *how),
            Ask::Transfer(..) => self.transfer_refused(asked.place),
            Ask::Delete { queue } => self.queue(*queue).deletions -= 1,
            Ask::Credit { queue, subscription, .. } => {
                let own = self.subscription(connection, (*queue, *subscription));
                own.into_iter().for_each(|own| own.credits.retain(|it| it.order != asked.order));
            }
            Ask::Subscribe(_) => {
                // One that there was the server has ended before, nobody knows when.
                let ended_ns = self.subscriptions[asked.place].name.map_or(at_ns, |_| 0);
                let known_ns = self.subscriptions[asked.place].ended_ns.get_or_insert(ended_ns);
                *known_ns = ended_ns.min(*known_ns);
                let own = &mut self.connections.entry(connection).or_default().subscriptions;
                own.retain(|other| *other != asked.place);
            }
            _ => {}
        }
    }

    fn subscribe_asked(
        &mut self,
        (connection, order): (u64, u64),
        asked_ns: u64,
        push: Push,
    ) -> usize {
        let place = self.subscriptions.len();
        let Push { queue, messages_max, .. } = push;
        let known_ns = Some(asked_ns);
        self.subscriptions.push(Subscription {
            queue,
            credits: vec![Credit { messages_max, order, asked_ns, known_ns }],
            name: None,
            ended_ns: None,
            deliveries: Vec::new(),
        });
        self.connections.entry(connection).or_default().subscriptions.push(place);
        place
    }

    /// A connection's own subscription of this queue and name.
    fn subscription(&mut self, connection: u64, name: (u64, u64)) -> Option<&mut Subscription> {
        let places = &self.connections.get(&connection)?.subscriptions;
        let named = |place: &&usize| {
            let subscription = &self.subscriptions[**place];
            subscription.name.is_some_and(|id| (subscription.queue, id) == name)
        };
        let place = *places.iter().find(named)?;
        Some(&mut self.subscriptions[place])
    }

    fn unsubscribe_asked(&mut self, connection: u64, name: (u64, u64), at_ns: u64) {
        let from = self.connections.entry(connection).or_default();
        from.unsubscribed.insert(name.0);
        if let Some(own) = self.subscription(connection, name) {
            own.ended_ns.get_or_insert(at_ns);
        }
    }

    /// A connection has gone: what it had asked has an unknown outcome.
    pub(super) fn ended(&mut self, connection: u64, at_ns: u64, broken: bool) {
        let from = self.connections.entry(connection).or_default();
        // One that broke by itself may have ended for its server at any time before.
        from.ended_ns = Some(if broken { 0 } else { at_ns });
        let (outstanding, subscriptions) =
            (std::mem::take(&mut from.outstanding), std::mem::take(&mut from.subscriptions));
        for place in subscriptions {
            let ended_ns = if broken { 0 } else { at_ns };
            let known_ns = self.subscriptions[place].ended_ns.get_or_insert(ended_ns);
            *known_ns = ended_ns.min(*known_ns);
        }
        for Outstanding { ask, at_ns: asked_ns, order, puts, .. } in outstanding.into_values() {
            match ask {
                Ask::Publish { topic, messages } => {
                    let from = (connection, order);
                    let unseen = Unseen { from, topic, messages, asked_ns, puts };
                    self.unseen_publishes.push(unseen);
                }
                Ask::Take { queue, group, messages_max, for_good, .. } => {
                    let group = self.queue(queue).groups.entry(group).or_default();
                    group.takes_unseen += 1;
                    group.unseen.push((asked_ns, at_ns));
                    if for_good {
                        group.gone = group.gone.saturating_add(u64::from(messages_max));
                    }
                }
                Ask::Subscribe(Push { queue, group, .. }) => {
                    // Any number of deliveries may have been on their way.
                    let group = self.queue(queue).groups.entry(group).or_default();
                    group.takes_unseen = u64::MAX >> 1;
                    group.unseen.push((asked_ns, at_ns));
                }
                Ask::EndGroup { queue, name } => {
                    self.queue(queue).ends_unseen.insert(name);
                }
                Ask::Extend { queue, lease, lease_ms } => {
                    // It may have cut the lease short.
                    if let Some(lease) = self.lease_names.get(&(queue, lease)) {
                        let until_ns = asked_ns + u64::from(lease_ms) * 1_000_000;
                        let lease = &mut self.leases[*lease];
                        lease.cut_ns = lease.cut_ns.min(until_ns);
                        lease.until_ns = lease.until_ns.min(until_ns);
                    }
                }
                _ => {}
            }
        }
    }
}
