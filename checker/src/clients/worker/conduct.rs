//! How a client behaves.

use crate::chance::{Chance, Rate};

/// How a client behaves; drawn once for each.
#[derive(Clone, Debug)]
pub struct Conduct {
    pub requests_in_flight_max: usize,
    pub batch_max: usize,
    pub filler_bytes_max: usize,
    /// How eagerly it asks.
    pub asks: Rate,
    /// How often it does what a client should not.
    pub closes: Rate,
    pub aborts: Rate,
    pub spoils: Rate,
    pub stops_reading: Rate,
    /// How often it puts again what was answered.
    pub repeats: Rate,
    /// How often it gives back instead of acknowledging.
    pub nacks: Rate,
    /// Whether it connects to a shard's own listener; any shard if there are several.
    pub shard_aware: bool,
    /// Whether it has messages pushed.
    pub subscribes: bool,
}

impl Conduct {
    /// One for a way whose narrowest place holds so many bytes.
    pub fn draw(chance: &mut Chance, narrowest: usize) -> Self {
        // Through a narrow place little gets in the steps of a run.
        let batches: &[usize] = if narrowest < 1000 { &[1, 3, 8] } else { &[1, 4, 64, 256] };
        let fillers: &[usize] = if narrowest < 1000 { &[8, 100] } else { &[8, 100, 2000, 60_000] };
        let mut rate = |largest: usize| {
            if chance.once_in(2) { Rate::NEVER } else { Rate(chance.magnitude(largest) as u32) }
        };
        let (closes, aborts, stops_reading) = (rate(4_000), rate(4_000), rate(20_000));
        let spoils = rate(3_000);
        Self {
            // More than the server takes on at once, now and then.
            requests_in_flight_max: chance.pick(&[1, 4, 16, 64, 1500]),
            batch_max: chance.pick(batches),
            filler_bytes_max: chance.pick(fillers),
            asks: Rate(chance.between(50_000, 700_000) as u32),
            closes,
            aborts,
            spoils,
            stops_reading,
            repeats: Rate(chance.pick(&[0, 50_000, 500_000])),
            nacks: Rate(chance.pick(&[20_000, 200_000, 800_000])),
            shard_aware: chance.once_in(2),
            subscribes: chance.once_in(2),
        }
    }

    /// Whether it never leaves a connection by itself.
    pub fn stays(&self) -> bool {
        [self.closes, self.aborts, self.spoils] == [Rate::NEVER; 3]
    }
}
