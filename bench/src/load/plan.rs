//! Before the run: which queues there are, who connects where, and which thread drives what.

use std::io;

use ringway_client::{Client, Error, Options, Pipeline, QueueId};
use ringway_protocol::GroupId;
use ringway_protocol::name::shard_of;

use crate::load::groups;
use crate::load::settings::{Operation, Route, Settings};
use crate::load::slots::{Flow, Slots};

/// Why a run could not begin.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The options make no sense, alone or with this server.
    #[error("{0}")]
    Usage(String),
    /// Nothing listens at the address.
    #[error("nothing listens on {address}: start one with: ringway serve")]
    Nobody {
        /// The address that was tried.
        address: String,
    },
    /// A request of the preparation failed.
    #[error("{doing}: {error}")]
    Client {
        /// What was being done.
        doing: String,
        /// What went wrong.
        error: Error,
    },
    /// This host did not give what the generator needs.
    #[error("{doing}: {error}")]
    Host {
        /// What was being done.
        doing: &'static str,
        /// What the host said.
        error: io::Error,
    },
}

impl LoadError {
    /// A request of the preparation failed.
    pub(crate) fn client(doing: impl Into<String>, error: Error) -> Self {
        match error {
            Error::Connect { address, source }
                if source.kind() == io::ErrorKind::ConnectionRefused =>
            {
                LoadError::Nobody { address }
            }
            error => LoadError::Client { doing: doing.into(), error },
        }
    }
}

/// A queue of the run.
#[derive(Clone, Debug)]
pub struct RunQueue {
    /// Its id.
    pub id: QueueId,
    /// The groups that take from it: `default`, and those that the run made.
    pub groups: Vec<GroupId>,
}

/// Everything that is ready before the first measured request.
pub struct Plan {
    /// For statistics, and for removing the queues.
    pub door: Client,
    /// How many shards the plane has.
    pub shards: usize,
    /// The run's queues.
    pub queues: Vec<RunQueue>,
    /// Those that this run made.
    pub created: Vec<QueueId>,
    /// Most connections that use one queue.
    pub connections_per_queue: usize,
    /// The connections, dealt out to the threads.
    pub threads: Vec<Vec<Flow>>,
}

impl Plan {
    /// Connects, makes the queues, and deals everything out.
    pub fn make(settings: &Settings) -> Result<Self, LoadError> {
        let options = Options { token: settings.token.clone(), ..Options::default() };
        let door = Client::connect(&settings.address, &options)
            .map_err(|error| LoadError::client("connecting", error))?;
        let shards = door.welcome().shards.len();
        let mut plan = Self {
            door,
            shards,
            queues: Vec::new(),
            created: Vec::new(),
            connections_per_queue: 0,
            threads: (0..settings.threads).map(|_| Vec::new()).collect(),
        };
        // From here on queues may be left behind; what fails removes them again.
        let made = plan
            .make_queues(settings)
            .and_then(|()| plan.make_groups(settings, &options))
            .and_then(|()| plan.connect(settings, &options));
        match made {
            Ok(()) => Ok(plan),
            Err(error) => {
                plan.remove_queues();
                Err(error)
            }
        }
    }

    fn make_queues(&mut self, settings: &Settings) -> Result<(), LoadError> {
        if settings.operation == Operation::Echo {
            return Ok(());
        }
        let count = if settings.queues == 0 { self.shards } else { settings.queues };
        for index in 0..count {
            let name = queue_name(&settings.queue_prefix, index, self.shards);
            let failed = |error| LoadError::client(format!("declaring the queue {name}"), error);
            let options = Some(settings.queue_options());
            let (queue, created) = self.door.declare_new(&name, options).map_err(failed)?;
            self.queues.push(RunQueue { id: queue, groups: vec![GroupId::DEFAULT] });
            if created {
                self.created.push(queue);
                continue;
            }
            let figures = self.door.stat_queue(queue).map_err(failed)?;
            let held = figures.get(0, "ready") + figures.get(0, "leased");
            if held > 0 && settings.operation != Operation::Put {
                return Err(LoadError::Usage(format!(
                    "the queue {name} holds {held} messages, which would spoil the count: \
                     purge it, or choose another --queue-prefix"
                )));
            }
        }
        Ok(())
    }

    fn make_groups(&mut self, settings: &Settings, options: &Options) -> Result<(), LoadError> {
        if settings.work.groups == 1 {
            return Ok(());
        }
        let failed = |error| LoadError::client("making groups of consumers", error);
        let mut pipeline = Pipeline::connect(&settings.address, options).map_err(failed)?;
        for queue in &mut self.queues {
            for index in 1..settings.work.groups {
                let group = groups::make(&mut pipeline, queue.id, &format!("load-{index}"));
                queue.groups.push(group.map_err(failed)?);
            }
        }
        Ok(())
    }

    fn connect(&mut self, settings: &Settings, options: &Options) -> Result<(), LoadError> {
        let addresses = self.door.welcome().shards.clone();
        if settings.shard_aware && addresses.iter().any(String::is_empty) {
            let sentence = "--shard-aware: the server gives its shards no addresses of their own";
            return Err(LoadError::Usage(sentence.to_owned()));
        }
        let mut users = vec![0; self.queues.len()];
        for index in 0..settings.connections {
            let address = match settings.shard_aware {
                true => &addresses[index % addresses.len()],
                false => &settings.address,
            };
            let pipeline = Pipeline::connect(address, options)
                .map_err(|error| LoadError::client(format!("connection {index}"), error))?;
            let home = usize::from(pipeline.welcome().shard);
            let targets = self.choose(settings, home, &mut users)?;
            let slots = Slots::new(settings, index, targets, home);
            let thread = index % settings.threads;
            self.threads[thread].push(Flow { pipeline: Some(pipeline), slots, ready: false });
        }
        self.connections_per_queue = users.iter().copied().max().unwrap_or(0);
        Ok(())
    }

    /// The queues of a connection served by shard `home`: those with the fewest users so far.
    fn choose(
        &self,
        settings: &Settings,
        home: usize,
        users: &mut [usize],
    ) -> Result<Vec<u32>, LoadError> {
        if self.queues.is_empty() {
            return Ok(Vec::new());
        }
        let allowed = |queue: QueueId| match (settings.route, settings.shard_aware) {
            (Route::Other, _) => queue.shard() != home,
            (Route::Any, false) => true,
            (Route::Own, _) | (Route::Any, true) => queue.shard() == home,
        };
        let each = self.queues.len().div_ceil(settings.connections);
        let mut chosen = Vec::new();
        for _ in 0..each {
            let fewest = (0..self.queues.len())
                .filter(|index| allowed(self.queues[*index].id))
                .filter(|index| !chosen.contains(&(*index as u32)))
                .min_by_key(|index| users[*index]);
            let Some(index) = fewest else { break };
            users[index] += 1;
            chosen.push(index as u32);
        }
        if chosen.is_empty() {
            return Err(LoadError::Usage(format!(
                "no queue of the run lives where --route {} wants one for a connection of shard \
                 {home}: the plane has {} shards and the run {} queues",
                if settings.route == Route::Other { "other" } else { "own" },
                self.shards,
                self.queues.len(),
            )));
        }
        Ok(chosen)
    }

    /// Removes the queues that this run made. Returns what went wrong.
    pub fn remove_queues(&mut self) -> Vec<String> {
        let mut sentences = Vec::new();
        for queue in std::mem::take(&mut self.created) {
            if let Err(error) = self.door.delete(queue) {
                sentences.push(format!("{queue:?} is left on the server: {error}"));
                if error.ends_connection() {
                    break;
                }
            }
        }
        sentences
    }
}

/// A name for a queue that lives on shard `index % shards`, so that shards get equal shares.
fn queue_name(prefix: &str, index: usize, shards: usize) -> String {
    (0..)
        .map(|attempt| match attempt {
            0 => format!("{prefix}{index}"),
            attempt => format!("{prefix}{index}-{attempt}"),
        })
        .find(|name| shard_of(name, shards) == index % shards)
        .expect("some name hashes to each shard")
}

/// Refuses CPUs that this process may not use.
pub fn check_cpus(cpus: &[usize]) -> Result<(), LoadError> {
    let allowed = core_affinity::get_core_ids().unwrap_or_default();
    match cpus.iter().find(|cpu| !allowed.iter().any(|core| core.id == **cpu)) {
        None => Ok(()),
        Some(cpu) => {
            let allowed: Vec<String> = allowed.iter().map(|core| core.id.to_string()).collect();
            let allowed = allowed.join(",");
            let sentence = format!("--cpus: CPU {cpu} is not allowed here; allowed are {allowed}");
            Err(LoadError::Usage(sentence))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_are_spread_over_the_shards_exactly() {
        for shards in 1..=12 {
            for index in 0..24 {
                let name = queue_name("load-7/", index, shards);
                assert_eq!(shard_of(&name, shards), index % shards, "{name}");
            }
        }
    }

    #[test]
    fn a_cpu_that_is_not_there_is_named() {
        let error = check_cpus(&[4000]).unwrap_err().to_string();
        assert!(error.contains("4000"), "{error}");
        check_cpus(&[]).unwrap();
    }
}
