//! A lane into a plane of this process: what it costs a thread of an embedding program.
//!
//! One shard on a CPU of its own; the thread with the lane is pinned to another. The queue is
//! bounded to 256 MiB and drops its oldest messages, so that puts alone go on for ever.

use std::hint::black_box;

use core_affinity::CoreId;
use ringway_protocol::options::FullPolicy;
use ringway_protocol::{QueueOptions, options};
use ringway_shards::lane::{Lane, LaneError};
use ringway_shards::plane::{Plane, PlaneConfig};

use crate::floors::CpuPair;

/// Bytes of a message's payload.
pub const PAYLOAD_BYTES: usize = 100;
/// Messages of a batch.
pub const BATCH: usize = 256;
/// Batches under way: enough that neither side waits, few enough to stay in the caches.
const UNDER_WAY: usize = 16;
const BYTES_MAX: u64 = 256 << 20;
const _: () = assert!(BYTES_MAX >= options::BYTES_MAX_MIN, "a bound that a queue accepts");

/// A plane of one shard, and a lane to its one queue. Belongs to the thread that started it.
#[derive(Debug)]
pub struct LaneSubject {
    lane: Lane,
    payloads: Box<[[u8; PAYLOAD_BYTES]; BATCH]>,
    // After the lane: fields are dropped in this order, and the lane takes its leave.
    plane: Plane,
}

impl LaneSubject {
    /// Starts the plane on the server's CPU and pins the calling thread to the client's.
    ///
    /// # Errors
    /// Why not, in a sentence.
    pub fn start(cpus: CpuPair) -> Result<Self, String> {
        if !core_affinity::set_for_current(CoreId { id: cpus.client }) {
            return Err("the kernel refused to pin a thread to its CPU".to_owned());
        }
        let config = PlaneConfig { shards: 1, cpus: vec![cpus.server], ..PlaneConfig::default() };
        let plane = Plane::start(config).map_err(|error| error.to_string())?;
        let options = QueueOptions {
            messages_max: u64::MAX,
            bytes_max: BYTES_MAX,
            full_policy: FullPolicy::DropOldest,
            ..QueueOptions::default()
        };
        let lane = plane.lane("bench", Some(options)).map_err(|error| error.to_string())?;
        Ok(Self { lane, payloads: Box::new([[0x5a; PAYLOAD_BYTES]; BATCH]), plane })
    }

    /// Sends a batch without waiting for it, and collects the oldest answers when enough is under
    /// way. The payloads are copied into the batch here, and into the queue there.
    ///
    /// # Errors
    /// When the shard refused a batch.
    #[inline]
    pub fn offer(&mut self) -> Result<(), LaneError> {
        let payloads = black_box(&*self.payloads);
        self.lane.offer_batch(payloads.iter().map(|payload| &payload[..]))?;
        while let Some(answer) = self.lane.try_acknowledged() {
            answer?;
        }
        while self.lane.under_way() >= UNDER_WAY {
            self.lane.acknowledged()?;
        }
        Ok(())
    }

    /// Waits for everything that is under way.
    ///
    /// # Errors
    /// When the shard refused a batch.
    pub fn settle(&mut self) -> Result<(), LaneError> {
        while self.lane.under_way() > 0 {
            self.lane.acknowledged()?;
        }
        Ok(())
    }

    /// Adds one message and waits until it is held.
    ///
    /// # Errors
    /// When the shard refused it.
    #[inline]
    pub fn enqueue(&mut self) -> Result<(), LaneError> {
        self.lane.enqueue(black_box(&self.payloads[0])).map(|sequence| {
            black_box(sequence);
        })
    }

    /// Takes one message for good; there must be one.
    ///
    /// # Errors
    /// When the plane has stopped.
    #[inline]
    pub fn dequeue(&mut self) -> Result<(), LaneError> {
        let length = self.lane.dequeue()?.map(|payload| black_box(payload).len());
        assert_eq!(length, Some(PAYLOAD_BYTES), "what was put comes back");
        Ok(())
    }

    /// Messages that the shard has taken in so far; its counters may lag behind a little.
    pub fn puts(&self) -> u64 {
        self.plane.stats()[0].puts.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_offered_arrives() {
        std::thread::spawn(|| {
            let cpus = CpuPair::choose(None, None).expect("this host tells its CPUs");
            let mut subject = LaneSubject::start(cpus).expect("a plane starts");
            (0..3 * UNDER_WAY).for_each(|_| subject.offer().expect("room"));
            subject.settle().expect("room");
            subject.enqueue().expect("room");
            subject.dequeue().expect("a message is there");
            assert_eq!(subject.puts(), (3 * UNDER_WAY * BATCH + 1) as u64);
        })
        .join()
        .expect("a thread of its own, since it is pinned");
    }
}
