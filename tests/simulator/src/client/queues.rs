//! The queues of a run: every client knows their names and declares them with the same options.

use ringway_protocol::options::FullPolicy;
use ringway_protocol::{QueueName, QueueOptions};

use crate::chance::Chance;

/// A queue that clients use.
#[derive(Clone, Debug)]
pub struct QueuePlan {
    /// Its name.
    pub name: QueueName,
    /// Its options.
    pub options: QueueOptions,
    /// Whether clients purge it and delete it.
    pub volatile: bool,
    /// Whether nothing is ever put into it: a take that waits there waits its time out.
    pub empty: bool,
}

/// Draws the queues of a run. Names are hashed to shards, so they lie on all of them.
pub fn draw(chance: &mut Chance) -> Vec<QueuePlan> {
    let count = chance.between(2, 7);
    (0..count).map(|index| plan(index, chance)).collect()
}

fn plan(index: u64, chance: &mut Chance) -> QueuePlan {
    let name = format!("queue/{index}.{}", chance.between(0, 99));
    let mut options = QueueOptions {
        lease_ms: chance.between(1, 40) as u32,
        wait_max_ms: chance.between(1, 60) as u32,
        ..QueueOptions::default()
    };
    let (mut volatile, mut empty) = (false, false);
    match index {
        0 => options.messages_max = chance.between(1, 40),
        1 => options.deliveries_max = chance.between(1, 3) as u32,
        2 => {
            options.full_policy = FullPolicy::DropOldest;
            options.messages_max = chance.between(1, 60);
        }
        3 => volatile = true,
        4 => empty = true,
        _ => {}
    }
    let name = QueueName::new(&name).expect("made of letters, digits, a slash and a dot");
    QueuePlan { name, options, volatile, empty }
}
