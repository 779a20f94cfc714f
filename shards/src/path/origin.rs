//! Who asked: where an answer that comes later has to go.

/// The asker of a request, kept with a waiting take until it is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Origin {
    /// The shard that the asker is connected to.
    pub shard: u8,
    /// The asker on that shard: a connection's slot and generation, or a lane.
    pub peer: u64,
    /// The logical connection, as the request's header named it.
    pub stream: u32,
    /// The request's number, as its header named it.
    pub request: u32,
}

impl Origin {
    /// The asker alone: his shard, and his name on it.
    #[inline]
    pub fn asker(&self) -> (u8, u64) {
        (self.shard, self.peer)
    }
}
