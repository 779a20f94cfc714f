//! The client against a real plane in this process, over real sockets.

mod admin;
mod consumers;
mod messages;
mod movement;
mod producers;
mod requests;
mod subscriptions;

use std::time::Duration;

use ringway_client::{Client, Code, Error, Options, QueueId, TakeOptions, Taken};
use ringway_shards::plane::{Plane, PlaneConfig};

/// Two shards, and a connection to the door.
fn served() -> (Plane, Client) {
    let config = PlaneConfig { shards: 2, ..PlaneConfig::default() };
    let plane = Plane::start(config).expect("this host can");
    let client = connect(&plane);
    (plane, client)
}

fn connect(plane: &Plane) -> Client {
    Client::connect(&plane.address().to_string(), &Options::default()).expect("it listens")
}

/// A name that the other shard than `queue`'s owns.
fn name_elsewhere(queue: QueueId) -> String {
    name_on("elsewhere", 1 - queue.shard())
}

/// A name that the shard of `queue` owns.
fn name_here(queue: QueueId) -> String {
    name_on("here", queue.shard())
}

fn name_on(stem: &str, shard: usize) -> String {
    let mut names = (0..).map(|number| format!("{stem}-{number}"));
    let found = names.find(|name| ringway_protocol::name::shard_of(name, 2) == shard);
    found.expect("two shards share the names")
}

/// Up to a hundred messages, at once.
fn take(client: &mut Client, queue: QueueId) -> Taken {
    take_within(client, queue, Duration::ZERO)
}

fn take_within(client: &mut Client, queue: QueueId, wait: Duration) -> Taken {
    let options = TakeOptions { messages_max: 100, wait, ..TakeOptions::default() };
    client.take(queue, &options).expect("the queue is there")
}

/// The payloads as text.
fn texts(taken: &Taken) -> Vec<String> {
    let text = |payload: &[u8]| String::from_utf8(payload.to_vec()).expect("tests put text");
    taken.messages().map(|message| text(message.record.payload)).collect()
}

/// The code of a refusal.
fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> Code {
    let error = result.expect_err("it is refused");
    error.code().unwrap_or_else(|| panic!("{error} has no code"))
}
