//! Routing: each request goes straight to the shard that owns its queue.

use ringway_protocol::QueueId;
use ringway_protocol::name::shard_of;

use crate::client::Client;
use crate::error::Error;
use crate::link::Options;

/// One [`Client`] for each shard, so that no message crosses cores on the server.
///
/// Connections are made when they are first needed, and made anew after an error that ended one.
/// A shard without an address of its own is reached through the address that was given.
///
/// ```no_run
/// use ringway_client::{Options, ShardedClient};
///
/// let mut shards = ShardedClient::connect("127.0.0.1:7311", Options::default())?;
/// let queue = shards.owner_of("orders")?.declare("orders", None)?;
/// shards.owner(queue)?.put(queue, &["hello"])?;
/// # Ok::<(), ringway_client::Error>(())
/// ```
#[derive(Debug)]
pub struct ShardedClient {
    options: Options,
    door_address: String,
    door: Client,
    addresses: Vec<String>,
    owners: Vec<Option<Client>>,
}

impl ShardedClient {
    /// Connects to any address of the plane and learns where its shards listen.
    pub fn connect(address: &str, options: Options) -> Result<Self, Error> {
        let door = Client::connect(address, &options)?;
        let addresses = door.welcome().shards.clone();
        let owners = addresses.iter().map(|_| None).collect();
        Ok(Self { options, door_address: address.to_owned(), door, addresses, owners })
    }

    /// How many shards the plane has.
    pub fn shards(&self) -> usize {
        self.addresses.len()
    }

    /// The connection to the shard that owns a queue.
    pub fn owner(&mut self, queue: QueueId) -> Result<&mut Client, Error> {
        self.shard(queue.shard())
    }

    /// The connection to the shard that owns a name, whether the queue exists or not.
    pub fn owner_of(&mut self, name: &str) -> Result<&mut Client, Error> {
        self.shard(shard_of(name, self.addresses.len()))
    }

    /// The connection to the address that was given: for requests about the plane.
    pub fn door(&mut self) -> Result<&mut Client, Error> {
        if !self.door.is_usable() {
            self.door = Client::connect(&self.door_address, &self.options)?;
        }
        Ok(&mut self.door)
    }

    /// The connection to a shard. A number that the plane lacks goes to the door, which refuses it
    /// with the right code.
    fn shard(&mut self, shard: usize) -> Result<&mut Client, Error> {
        let address = self.addresses.get(shard).filter(|address| !address.is_empty());
        let Some(address) = address else { return self.door() };
        let slot = &mut self.owners[shard];
        match slot.take() {
            Some(client) if client.is_usable() => Ok(slot.insert(client)),
            _ => Ok(slot.insert(Client::connect(address, &self.options)?)),
        }
    }
}
