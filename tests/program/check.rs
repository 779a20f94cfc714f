//! `ringway load --check` from outside: the checker that judges the simulator judges the real
//! program as well, and finds what somebody else does to its messages.

use std::sync::atomic::{AtomicBool, Ordering};

use ringway_client::{Client, TakeOptions};
use serde_json::Value;

use crate::command::{Server, run};

/// Enough that connections break, leases run out and messages die; little enough for a busy host.
const MESSAGES: &str = "8000";

fn check(server: &Server, more: &[&str]) -> (Option<i32>, Value) {
    let arguments = ["load", "--check", "--address", &server.address, "--messages", MESSAGES];
    let size = ["--duration", "20s", "--connections", "12", "--json"];
    let finished = run(&[&arguments[..], &size, more].concat());
    let document = serde_json::from_str(&finished.stdout);
    (finished.code, document.unwrap_or_else(|why| panic!("{why}: {finished:?}")))
}

#[test]
fn a_plane_of_two_shards_keeps_what_it_promises() {
    let server = Server::start(&["--shards", "2"]);
    let (code, report) = check(&server, &["--seed", "1"]);
    assert_eq!(code, Some(0), "{report:#}");
    assert_eq!(report["verdict"], "good");
    let connections = report["connections"].as_u64();
    assert!(report["messages"].as_u64() > Some(1000), "{report:#}");
    assert!(connections > Some(12), "none was broken: {report:#}");
    assert!(report["happened"]["messages delivered again"].as_u64() > Some(0), "{report:#}");
    assert_eq!(server.queue(&["ls"]).well(), "", "its queues are gone again");
}

#[test]
fn messages_that_somebody_takes_behind_its_back_are_lost() {
    let server = Server::start(&["--shards", "2"]);
    // Whether the thief gets a message that nothing excuses is up to the host's scheduler.
    let robbed = (1..=10).map(|seed: u32| {
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| steal(server.client(), &ended));
            let judged =
                check(&server, &["--seed", &seed.to_string(), "--queue-prefix", "robbed/"]);
            ended.store(true, Ordering::Relaxed);
            judged
        })
    });
    let found = robbed.into_iter().find(|(code, _)| *code != Some(0));
    let (code, report) = found.expect("one of ten runs was robbed and noticed");
    assert_eq!((code, report["verdict"].as_str()), (Some(1), Some("violated")), "{report:#}");
    let violations = report["violations"].as_array().expect("a list");
    let lost = |violation: &Value| violation.as_str().is_some_and(|it| it.starts_with("Lost: "));
    assert!(violations.iter().any(lost), "{report:#}");
}

/// Takes for good whatever is ready in the run's queues, again and again.
fn steal(mut client: Client, ended: &AtomicBool) {
    let options = TakeOptions { messages_max: 64, acknowledged: true, ..TakeOptions::default() };
    while !ended.load(Ordering::Relaxed) {
        for queue in client.list("robbed/").expect("the server lives") {
            // The run deletes a queue now and then.
            let _ = client.take(queue.queue, &options);
        }
    }
}
