//! Groups of consumers: made, changed, removed, listed.

use ringway_protocol::reply::GROUP_COLUMNS;
use ringway_protocol::request::{ChangeGroup, GroupFlags, GroupOperation, Start};
use ringway_protocol::{Code, GroupId, QueueId, Reply, Request};

use super::{Client, check_name};
use crate::error::Error;
use crate::figures::FigureTable;

/// A group of consumers in a listing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListedGroup {
    /// Its name.
    pub name: String,
    /// Its number, for takes and subscriptions.
    pub group: GroupId,
    /// What it does with its messages.
    pub flags: GroupFlags,
    /// Its figures, one row.
    pub figures: FigureTable,
}

impl Client {
    /// Makes a group of a queue's consumers, or finds it there with these flags: it gets every
    /// message from `start` on, independently of other groups. [`Code::Conflict`] if it is there
    /// with other flags.
    ///
    /// ```no_run
    /// use ringway_client::{Client, GroupFlags, Options, Start, TakeOptions};
    ///
    /// let mut client = Client::connect("127.0.0.1:7311", &Options::default())?;
    /// let queue = client.declare("orders", None)?;
    /// let audit = client.create_group(queue, "audit", Start::Earliest, GroupFlags::default())?;
    /// let taken = client.take(queue, &TakeOptions { group: audit, ..Default::default() })?;
    /// # Ok::<(), ringway_client::Error>(())
    /// ```
    pub fn create_group(
        &mut self,
        queue: QueueId,
        name: &str,
        start: Start,
        flags: GroupFlags,
    ) -> Result<GroupId, Error> {
        self.create_group_new(queue, name, start, flags).map(|(group, _)| group)
    }

    /// Like [`Client::create_group`]; also tells whether this request made the group.
    pub fn create_group_new(
        &mut self,
        queue: QueueId,
        name: &str,
        start: Start,
        flags: GroupFlags,
    ) -> Result<(GroupId, bool), Error> {
        self.change_group(queue, name, GroupOperation::Create { start, flags })
    }

    /// Sets a group's flags: paused, and whether one consumer at a time gets its messages. Returns
    /// its number.
    pub fn alter_group(
        &mut self,
        queue: QueueId,
        name: &str,
        flags: GroupFlags,
    ) -> Result<GroupId, Error> {
        self.change_group(queue, name, GroupOperation::Alter { flags }).map(|(group, _)| group)
    }

    /// Removes a group; what only it still needed goes. [`Code::Conflict`] for the last one.
    pub fn delete_group(&mut self, queue: QueueId, name: &str) -> Result<(), Error> {
        self.change_group(queue, name, GroupOperation::Delete).map(|_| ())
    }

    fn change_group(
        &mut self,
        queue: QueueId,
        name: &str,
        operation: GroupOperation,
    ) -> Result<(GroupId, bool), Error> {
        check_name(name)?;
        let change = ChangeGroup { queue, name, operation };
        self.call(&Request::Group(change), |reply| match reply {
            Reply::Group { group, changed } => Some((group, changed)),
            _ => None,
        })
    }

    /// The groups of a queue with their figures.
    pub fn groups(&mut self, queue: QueueId) -> Result<Vec<ListedGroup>, Error> {
        self.call(&Request::Groups { queue }, |reply| {
            let Reply::Groups(groups) = reply else { return None };
            let listed = groups.iter().map(|entry| ListedGroup {
                name: entry.name.to_owned(),
                group: entry.group,
                flags: entry.flags,
                figures: FigureTable::new(&GROUP_COLUMNS, vec![entry.figures().collect()]),
            });
            Some(listed.collect())
        })
    }

    /// The number of a group; [`Code::NoSuchGroup`] if the queue has none of that name.
    pub fn group(&mut self, queue: QueueId, name: &str) -> Result<GroupId, Error> {
        check_name(name)?;
        let groups = self.groups(queue)?;
        let found = groups.iter().find(|listed| listed.name == name);
        found.map(|listed| listed.group).ok_or_else(|| Error::Refused {
            code: Code::NoSuchGroup,
            sentence: format!("the queue has no group '{name}'"),
        })
    }
}
