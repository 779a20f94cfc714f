//! Names that reach many queues: bindings, and what is published under a name.

use ringway_protocol::limits::{FRAME_BYTES_MAX, LIST_ENTRIES_MAX};
use ringway_protocol::reply::Published;
use ringway_protocol::request::{Binding, Publish};
use ringway_protocol::{Code, Pattern, QueueId, Reply, Request};

use super::traffic::check_batch;
use super::{Client, check_name, invalid};
use crate::batch::Batch;
use crate::error::Error;
use crate::outbox::records;

/// A queue and a pattern of names that reach it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bound {
    /// The queue.
    pub queue: QueueId,
    /// The pattern.
    pub pattern: String,
}

impl Client {
    /// Gives a queue what is published under names that match a pattern, and returns whether that
    /// is new. Names are cut at `.` and `/`; `*` stands for one piece, a last `>` for one or more.
    ///
    /// ```no_run
    /// # use ringway_client::{Batch, Client, Options};
    /// # let mut client = Client::connect("127.0.0.1:7311", &Options::default())?;
    /// let (all, audit) = (client.declare("all", None)?, client.declare("audit", None)?);
    /// client.bind(all, "orders.>")?;
    /// client.bind(audit, "orders.*.paid")?;
    /// let published = client.publish("orders.eu.paid", &Batch::of(&["order 7"])?)?;
    /// assert_eq!((published.matched, published.stored), (2, 2));
    /// # Ok::<(), ringway_client::Error>(())
    /// ```
    pub fn bind(&mut self, queue: QueueId, pattern: &str) -> Result<bool, Error> {
        let pattern = Pattern::new(pattern).map_err(Error::Invalid)?;
        self.call(&Request::Bind(Binding { queue, pattern }), changed)
    }

    /// Takes a pattern back, and returns whether it was there.
    pub fn unbind(&mut self, queue: QueueId, pattern: &str) -> Result<bool, Error> {
        let pattern = Pattern::new(pattern).map_err(Error::Invalid)?;
        self.call(&Request::Unbind(Binding { queue, pattern }), changed)
    }

    /// Every binding of the plane, page by page.
    pub fn bindings(&mut self) -> Result<Vec<Bound>, Error> {
        let mut bound = Vec::new();
        let page = |cursor| Request::Bindings { cursor, limit: LIST_ENTRIES_MAX };
        self.pages(page, |reply| {
            let Reply::Bindings(page) = reply else { return None };
            bound.extend(page.iter().map(|Binding { queue, pattern }| Bound {
                queue,
                pattern: pattern.as_str().to_owned(),
            }));
            Some(page.next_cursor)
        })?;
        Ok(bound)
    }

    /// Puts a batch into every queue with a binding that matches `name`. A queue that refuses does
    /// not stop the others: the answer counts both.
    pub fn publish(&mut self, name: &str, batch: &Batch) -> Result<Published, Error> {
        check_name(name)?;
        check_batch(batch, None)?;
        if batch.as_bytes().len() + name.len() + 8 > FRAME_BYTES_MAX {
            return Err(invalid(Code::TooLarge, "the batch does not fit a frame of 1 MiB"));
        }
        self.call(&Request::Publish(Publish { name, records: records(batch) }), |reply| {
            if let Reply::Published(published) = reply { Some(published) } else { None }
        })
    }
}

fn changed(reply: Reply<'_>) -> Option<bool> {
    if let Reply::Bound { changed } = reply { Some(changed) } else { None }
}
