//! What the server answers.

use crate::bytes::{Reader, text};
use crate::code::{Code, Rejection};
use crate::frame::{self, Frame, Header, Kind, REPLY};
use crate::greeting::Welcome;
use crate::id::{GroupId, QueueId, SubscriptionId};
use crate::listing;
use crate::moving::decode_transferred;
use crate::push::subscription_id;
use crate::request::queue_id;

pub use crate::binding::{BindingsPage, Published, bindings, published};
pub use crate::browse::{BrowseEntry, BrowsePage, Removal, Standing, browse_entry, browse_page};
pub use crate::description::{Description, described};
pub use crate::figures::{Figures, GROUP_COLUMNS, QUEUE_COLUMNS, SHARD_COLUMNS, figures};
pub use crate::group::{GroupEntry, Groups, group, group_entry, groups};
pub use crate::listing::{ListEntry, page};
pub use crate::moving::{Moved, moved, transferred};
pub use crate::put::{PUT_RUN_BYTES, PutOutcome, PutRun, Receipt, put, receipt};
pub use crate::settle::{RangeVerdict, Settlement, Verdict, Verdicts, settled};
pub use crate::take::{DELIVERY_BYTES, Delivery, RUN_BYTES, Run, delivery_prefix};

/// Every reply of version 1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply<'a> {
    /// To a greeting.
    Welcome(Welcome),
    /// To a declaration.
    Declared {
        /// The queue.
        queue: QueueId,
        /// Whether this request made it.
        created: bool,
    },
    /// To an open.
    Opened {
        /// The queue.
        queue: QueueId,
    },
    /// To a put: the batch is held.
    Put(Receipt<'a>),
    /// To a take, and to a subscribe again and again.
    Delivery(Delivery<'a>),
    /// To an ack or a nack.
    Settled(Settlement, Verdicts<'a>),
    /// To a stat.
    Figures(Figures<'a>),
    /// To a list.
    Page {
        /// Where the next page starts; 0 after the last.
        next_cursor: u64,
        /// The queues of this page.
        entries: Vec<ListEntry<'a>>,
    },
    /// To a purge or a delete: how many messages went.
    Removed(u64),
    /// To a ping.
    Pong,
    /// To an echo.
    Echo(&'a [u8]),
    /// To a credit, an alter or a pause.
    Done,
    /// To an extend.
    Extended {
        /// How long the lease lasts from now, in milliseconds.
        lease_ms: u32,
        /// How many of its messages are not settled.
        unsettled: u32,
    },
    /// To a subscribe, once.
    Subscribed {
        /// The subscription.
        subscription: SubscriptionId,
    },
    /// To an unsubscribe: how many messages came back.
    Unsubscribed(u64),
    /// To the change of a group.
    Group {
        /// The group.
        group: GroupId,
        /// Whether this request changed anything.
        changed: bool,
    },
    /// To groups.
    Groups(Groups<'a>),
    /// To a browse.
    Browsed(BrowsePage<'a>),
    /// To a remove.
    Removal(Removal),
    /// To a move.
    Moved(Moved),
    /// To a transfer.
    Transferred(Settlement, Receipt<'a>),
    /// To a bind or an unbind.
    Bound {
        /// Whether this request changed anything.
        changed: bool,
    },
    /// To bindings.
    Bindings(BindingsPage<'a>),
    /// To a publish.
    Published(Published),
    /// To a rename.
    Renamed {
        /// The queue.
        queue: QueueId,
    },
    /// To a describe.
    Described(Description<'a>),
    /// To any request that was refused, and as the server's last words.
    Refused {
        /// The stable code.
        code: Code,
        /// What was wrong.
        sentence: &'a str,
    },
}

impl<'a> Reply<'a> {
    /// Gives a reply's frame its meaning.
    pub fn decode(frame: Frame<'a>) -> Result<Self, Rejection> {
        let Header { kind, code, .. } = frame.header;
        let kind = Kind::from_number(kind & !REPLY).filter(|_| kind & REPLY != 0);
        let kind =
            kind.ok_or(Rejection::new(Code::UnknownKind, "the kind of a reply is unknown"))?;
        frame::check_flags(frame.header)?;
        if code != 0 {
            let code = Code::from_number(code);
            let code = code.ok_or(Rejection::malformed("the code of a reply is unknown"))?;
            return Ok(Reply::Refused { code, sentence: text(frame.body)? });
        }
        let mut reader = Reader::new(frame.body);
        let reply = Self::decode_body(kind, &mut reader)?;
        reader.end()?;
        Ok(reply)
    }

    fn decode_body(kind: Kind, reader: &mut Reader<'a>) -> Result<Self, Rejection> {
        Ok(match kind {
            Kind::Put => Reply::Put(Receipt::decode(reader)?),
            Kind::Take => Reply::Delivery(Delivery::decode(reader)?),
            Kind::Ack | Kind::Nack => {
                let (settlement, verdicts) = Settlement::decode(reader)?;
                Reply::Settled(settlement, verdicts)
            }
            Kind::Greet => Reply::Welcome(Welcome::decode(reader.rest())?),
            Kind::Declare => {
                let (queue, created) = (queue_id(reader)?, reader.u8()?);
                reader.reserved(7)?;
                if created > 1 {
                    return Err(Rejection::malformed("a queue was created (1) or was there (0)"));
                }
                Reply::Declared { queue, created: created == 1 }
            }
            Kind::Open => Reply::Opened { queue: queue_id(reader)? },
            Kind::Stat => Reply::Figures(Figures::decode(reader)?),
            Kind::List => {
                let (next_cursor, entries) = listing::decode(reader)?;
                Reply::Page { next_cursor, entries }
            }
            Kind::Purge | Kind::Delete => Reply::Removed(reader.u64()?),
            Kind::Ping => Reply::Pong,
            Kind::Echo => Reply::Echo(reader.rest()),
            Kind::Goodbye => return Err(Rejection::malformed("a goodbye without a reason")),
            _ => return Self::decode_further(kind, reader),
        })
    }

    /// The kinds from [`Kind::Credit`] on.
    fn decode_further(kind: Kind, reader: &mut Reader<'a>) -> Result<Self, Rejection> {
        Ok(match kind {
            Kind::Credit | Kind::Alter | Kind::Pause => Reply::Done,
            Kind::Extend => Reply::Extended { lease_ms: reader.u32()?, unsettled: reader.u32()? },
            Kind::Subscribe => Reply::Subscribed { subscription: subscription_id(reader)? },
            Kind::Unsubscribe => Reply::Unsubscribed(reader.u64()?),
            Kind::Group => {
                let (group, changed) = (GroupId(reader.u32()?), reader.u8()?);
                reader.reserved(3)?;
                Reply::Group { group, changed: flag(changed.into())? }
            }
            Kind::Groups => Reply::Groups(Groups::decode(reader)?),
            Kind::Browse => Reply::Browsed(BrowsePage::decode(reader)?),
            Kind::Remove => {
                Reply::Removal(Removal { removed: reader.u32()?, missing: reader.u32()? })
            }
            Kind::Move => Reply::Moved(Moved::decode(reader)?),
            Kind::Transfer => {
                let (settlement, receipt) = decode_transferred(reader)?;
                Reply::Transferred(settlement, receipt)
            }
            Kind::Bind | Kind::Unbind => Reply::Bound { changed: flag(reader.u64()?)? },
            Kind::Bindings => Reply::Bindings(BindingsPage::decode(reader)?),
            Kind::Publish => Reply::Published(Published::decode(reader)?),
            Kind::Rename => Reply::Renamed { queue: queue_id(reader)? },
            Kind::Describe => Reply::Described(Description::decode(reader)?),
            _ => unreachable!("the other kinds are decoded by the caller"),
        })
    }

    /// Appends this reply to a request of `kind` as one frame. The server's hot paths use the
    /// writers below instead; this is for programs that stand in for one.
    pub fn encode(&self, kind: Kind, (stream, request): (u32, u32), out: &mut Vec<u8>) {
        let ids = (stream, request);
        let body = |out: &mut Vec<u8>, append: &dyn Fn(&mut Vec<u8>)| {
            frame::write(out, Header::reply(kind, Code::Ok, stream, request), append);
        };
        match self {
            Reply::Welcome(welcome) => body(out, &|out| welcome.encode(out)),
            Reply::Declared { queue, created } => declared(out, ids, *queue, *created),
            Reply::Opened { queue } => number(out, kind, ids, queue.0),
            Reply::Put(stored) => receipt(out, ids, stored),
            Reply::Delivery(delivery) => body(out, &|out| delivery.encode(out)),
            Reply::Settled(settlement, verdicts) => {
                settled(out, kind, ids, *settlement, &verdicts.iter().collect::<Vec<_>>());
            }
            Reply::Figures(figures) => body(out, &|out| figures.encode(out)),
            Reply::Page { next_cursor, entries } => {
                page(out, ids, *next_cursor, entries.iter().copied());
            }
            Reply::Removed(messages) => number(out, kind, ids, *messages),
            Reply::Pong => done(out, kind, ids),
            Reply::Echo(echo) => body(out, &|out| out.extend_from_slice(echo)),
            Reply::Refused { code, sentence } => {
                frame::write(out, Header::reply(kind, *code, stream, request), |out| {
                    out.extend_from_slice(sentence.as_bytes());
                });
            }
            Reply::Done => done(out, kind, ids),
            Reply::Extended { lease_ms, unsettled } => {
                pair(out, kind, ids, (*lease_ms, *unsettled));
            }
            Reply::Subscribed { subscription } => number(out, kind, ids, subscription.0),
            Reply::Unsubscribed(messages) => number(out, kind, ids, *messages),
            Reply::Group { group: id, changed } => group(out, ids, *id, *changed),
            Reply::Groups(groups) => body(out, &|out| groups.encode(out)),
            Reply::Browsed(page) => body(out, &|out| page.encode(out)),
            Reply::Removal(Removal { removed, missing }) => {
                pair(out, kind, ids, (*removed, *missing));
            }
            Reply::Moved(outcome) => moved(out, ids, *outcome),
            Reply::Transferred(settlement, receipt) => {
                transferred(out, ids, *settlement, receipt);
            }
            Reply::Bound { changed } => number(out, kind, ids, u64::from(*changed)),
            Reply::Bindings(page) => body(out, &|out| page.encode(out)),
            Reply::Published(outcome) => published(out, ids, *outcome),
            Reply::Renamed { queue } => number(out, kind, ids, queue.0),
            Reply::Described(what) => described(out, ids, what),
        }
    }
}

/// Whether a request changed something.
fn flag(number: u64) -> Result<bool, Rejection> {
    match number {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Rejection::malformed("something was changed (1) or not (0)")),
    }
}

/// Appends a refusal: the code in the header, the sentence as the body.
#[cold]
pub fn refused(out: &mut Vec<u8>, kind: Kind, (stream, request): (u32, u32), why: Rejection) {
    frame::write(out, Header::reply(kind, why.code, stream, request), |out| {
        out.extend_from_slice(why.sentence.as_bytes());
    });
}

/// Appends a reply whose body is one number: an id, or how many messages were removed.
pub fn number(out: &mut Vec<u8>, kind: Kind, (stream, request): (u32, u32), number: u64) {
    frame::write(out, Header::reply(kind, Code::Ok, stream, request), |out| {
        out.extend_from_slice(&number.to_le_bytes());
    });
}

/// Appends a reply without a body: to a ping, a credit, an alter or a pause.
pub fn done(out: &mut Vec<u8>, kind: Kind, (stream, request): (u32, u32)) {
    out.extend_from_slice(&Header::reply(kind, Code::Ok, stream, request).encode());
}

/// Appends a reply whose body is two numbers: to an extend or a remove.
pub fn pair(
    out: &mut Vec<u8>,
    kind: Kind,
    (stream, request): (u32, u32),
    (first, second): (u32, u32),
) {
    number(out, kind, (stream, request), u64::from(first) | u64::from(second) << 32);
}

/// Appends the reply to a declaration.
pub fn declared(out: &mut Vec<u8>, (stream, request): (u32, u32), queue: QueueId, created: bool) {
    frame::write(out, Header::reply(Kind::Declare, Code::Ok, stream, request), |out| {
        out.extend_from_slice(&queue.0.to_le_bytes());
        out.extend_from_slice(&[u8::from(created), 0, 0, 0, 0, 0, 0, 0]);
    });
}
