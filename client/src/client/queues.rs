//! Queues: declared, found, listed, counted, changed, paused, emptied, removed.

use ringway_protocol::limits::{FRAME_BYTES_MAX, LIST_ENTRIES_MAX};
use ringway_protocol::pattern::Pattern;
use ringway_protocol::reply::{Description, QUEUE_COLUMNS, SHARD_COLUMNS};
use ringway_protocol::{Code, QueueId, QueueOptions, Reply, Request};

use super::{Client, check_name, invalid};
use crate::error::Error;
use crate::figures::FigureTable;

/// A queue in a listing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its id.
    pub queue: QueueId,
    /// Messages ready.
    pub ready: u64,
    /// Messages leased.
    pub leased: u64,
}

/// What of a queue is stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Paused {
    /// Puts are refused with [`Code::Paused`].
    Puts,
    /// Takes wait, or come back empty; subscriptions get nothing.
    Takes,
    /// Both.
    Both,
}

/// What a queue is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Described {
    /// Its name.
    pub name: String,
    /// All of its options.
    pub options: QueueOptions,
    /// What of it is stopped.
    pub paused: Option<Paused>,
    /// On how many shards it lies; 1 if it is not spread.
    pub parts: u16,
}

impl Client {
    /// Makes a queue, or finds it there with the same options; `None` for the server's defaults.
    /// A queue of dead letters, `NAME.dead`, must be given a `deliveries_max` of 0.
    ///
    /// ```no_run
    /// use ringway_client::{Client, FullPolicy, Options, QueueOptions};
    ///
    /// let mut client = Client::connect("127.0.0.1:7311", &Options::default())?;
    /// let queue = client.declare("orders", Some(QueueOptions {
    ///     deliveries_max: 5,
    ///     backoff_ms: 1_000,       // a second after the first failure, doubled
    ///     backoff_max_ms: 60_000,  // up to a minute
    ///     dedup_ms: 600_000,       // a put that is repeated within ten minutes is stored once
    ///     full_policy: FullPolicy::Hold,
    ///     ..QueueOptions::default()
    /// }))?;
    /// # Ok::<(), ringway_client::Error>(())
    /// ```
    pub fn declare(&mut self, name: &str, options: Option<QueueOptions>) -> Result<QueueId, Error> {
        self.declare_new(name, options).map(|(queue, _)| queue)
    }

    /// Like [`Client::declare`]; also tells whether this request made the queue.
    pub fn declare_new(
        &mut self,
        name: &str,
        options: Option<QueueOptions>,
    ) -> Result<(QueueId, bool), Error> {
        check_name(name)?;
        options.map_or(Ok(()), |options| options.check()).map_err(Error::Invalid)?;
        self.call(&Request::Declare { name, options }, |reply| match reply {
            Reply::Declared { queue, created } => Some((queue, created)),
            _ => None,
        })
    }

    /// What a queue is: its options, its name, and what of it is stopped.
    pub fn describe(&mut self, queue: QueueId) -> Result<Described, Error> {
        self.call(&Request::Describe { queue }, |reply| {
            let Reply::Described(what) = reply else { return None };
            let paused = match (what.puts_paused, what.takes_paused) {
                (true, true) => Some(Paused::Both),
                (true, false) => Some(Paused::Puts),
                (false, true) => Some(Paused::Takes),
                (false, false) => None,
            };
            let Description { options, parts, .. } = what;
            Some(Described { name: what.name.to_owned(), options, paused, parts })
        })
    }

    /// Changes a queue's options: all of them, so start from what it has.
    ///
    /// ```no_run
    /// # use ringway_client::{Client, Options, QueueOptions};
    /// # let mut client = Client::connect("127.0.0.1:7311", &Options::default())?;
    /// let queue = client.open("orders")?;
    /// let options = client.describe(queue)?.options;
    /// client.alter(queue, QueueOptions { lease_ms: 60_000, ..options })?;
    /// # Ok::<(), ringway_client::Error>(())
    /// ```
    pub fn alter(&mut self, queue: QueueId, options: QueueOptions) -> Result<(), Error> {
        options.check().map_err(Error::Invalid)?;
        self.call(&Request::Alter { queue, options }, done)
    }

    /// Turns a name into a queue's id.
    pub fn open(&mut self, name: &str) -> Result<QueueId, Error> {
        check_name(name)?;
        self.call(&Request::Open { name }, |reply| match reply {
            Reply::Opened { queue } => Some(queue),
            _ => None,
        })
    }

    /// Gives a queue another name, where both names belong to one shard; its id may change.
    /// [`Code::OtherShard`] if they do not: see [`Client::rename_or_move`].
    pub fn rename(&mut self, queue: QueueId, name: &str) -> Result<QueueId, Error> {
        check_name(name)?;
        self.call(&Request::Rename { queue, name }, |reply| match reply {
            Reply::Renamed { queue } => Some(queue),
            _ => None,
        })
    }

    /// Stops a queue's puts, its takes, or both, until [`Client::resume`]. What was paused before
    /// and is not named now goes on.
    pub fn pause(&mut self, queue: QueueId, what: Paused) -> Result<(), Error> {
        let (puts, takes) = (what != Paused::Takes, what != Paused::Puts);
        self.call(&Request::Pause { queue, puts, takes }, done)
    }

    /// Lets a queue's puts and takes go on.
    pub fn resume(&mut self, queue: QueueId) -> Result<(), Error> {
        self.call(&Request::Pause { queue, puts: false, takes: false }, done)
    }

    /// The figures of one queue, one row.
    pub fn stat_queue(&mut self, queue: QueueId) -> Result<FigureTable, Error> {
        self.stat(Some(queue), &QUEUE_COLUMNS)
    }

    /// The figures of the plane, one row a shard.
    pub fn stat_plane(&mut self) -> Result<FigureTable, Error> {
        self.stat(None, &SHARD_COLUMNS)
    }

    fn stat(
        &mut self,
        queue: Option<QueueId>,
        columns: &'static [&'static str],
    ) -> Result<FigureTable, Error> {
        self.call(&Request::Stat { queue }, |reply| match reply {
            Reply::Figures(figures) => Some(FigureTable::new(columns, figures.rows().collect())),
            _ => None,
        })
    }

    /// Every queue whose name starts with a prefix or, if there is a `*` or a `>` in it, matches a
    /// pattern as [`Client::bind`] has them: `orders.*.created`, `mail/>`. Empty for all. In no
    /// order, page by page; a spread queue once, with the sums over its parts.
    ///
    /// The server sends what begins like the pattern, and the rest is looked at here.
    pub fn list(&mut self, pattern: &str) -> Result<Vec<Listed>, Error> {
        let pattern = match pattern.contains(['*', '>']) {
            true => Ok(Pattern::new(pattern).map_err(Error::Invalid)?),
            false => Err(pattern),
        };
        let prefix = pattern.map_or_else(|prefix| prefix, |pattern| pattern.literal_prefix());
        let is_wanted = |name: &str| pattern.is_ok_and(|pattern| pattern.matches(name));
        let mut listed = Vec::new();
        let page = |cursor| Request::List { cursor, limit: LIST_ENTRIES_MAX, prefix };
        self.pages(page, |reply| {
            let Reply::Page { next_cursor, entries } = reply else { return None };
            let entries = entries.iter().filter(|entry| pattern.is_err() || is_wanted(entry.name));
            listed.extend(entries.map(|entry| Listed {
                name: entry.name.to_owned(),
                queue: entry.queue,
                ready: entry.ready,
                leased: entry.leased,
            }));
            Some(next_cursor)
        })?;
        listed.sort_by_key(|listed| listed.queue);
        listed.dedup_by(|part, whole| {
            let same = part.queue == whole.queue;
            if same {
                whole.ready += part.ready;
                whole.leased += part.leased;
            }
            same
        });
        Ok(listed)
    }

    /// Drops every ready message and returns how many there were.
    pub fn purge(&mut self, queue: QueueId) -> Result<u64, Error> {
        self.call(&Request::Purge { queue }, removed)
    }

    /// Removes a queue and returns how many messages went with it.
    pub fn delete(&mut self, queue: QueueId) -> Result<u64, Error> {
        self.call(&Request::Delete { queue }, removed)
    }

    /// Asks whether the server is there.
    pub fn ping(&mut self) -> Result<(), Error> {
        self.call(&Request::Ping, |reply| matches!(reply, Reply::Pong).then_some(()))
    }

    /// Sends bytes and returns what came back: the same bytes.
    pub fn echo(&mut self, body: &[u8]) -> Result<Vec<u8>, Error> {
        if body.len() > FRAME_BYTES_MAX {
            return Err(invalid(Code::TooLarge, "the body does not fit a frame of 1 MiB"));
        }
        self.call(&Request::Echo(body), |reply| match reply {
            Reply::Echo(body) => Some(body.to_vec()),
            _ => None,
        })
    }
}

/// A reply without a body.
pub(super) fn done(reply: Reply<'_>) -> Option<()> {
    matches!(reply, Reply::Done).then_some(())
}

fn removed(reply: Reply<'_>) -> Option<u64> {
    if let Reply::Removed(messages) = reply { Some(messages) } else { None }
}
