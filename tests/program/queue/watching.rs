//! What waits for the server: messages that are pushed, looked at, extended, answered.

use std::process::Stdio;

use super::{json, served, text};
use crate::command::{Finished, Server, ringway};

#[test]
fn what_is_pushed_is_printed_and_acknowledged() {
    let server = served();
    server.queue(&["put", "jobs", "a", "b", "c"]).well();
    assert_eq!(server.queue(&["subscribe", "jobs", "--count", "2"]).well(), "a\nb\n");
    let rest = ["subscribe", "jobs", "--wait", "200ms", "--json"];
    let lines = server.queue(&rest).well();
    assert_eq!(json(lines.trim())["payload"], "c");
    let none = server.queue(&["subscribe", "jobs", "--count", "5", "--wait", "50ms"]);
    assert!(none.code == Some(1) && none.stderr.contains("no message in jobs"), "{none:?}");
    let figures = json(&server.queue(&["stat", "jobs", "--json"]).well());
    assert_eq!((&figures["acks"], &figures["subscriptions"]), (&3.into(), &0.into()));
}

#[test]
fn ctrl_c_ends_a_subscription_well() {
    let server = served();
    let mut command = ringway();
    command.args(["queue", "--address", &server.address, "subscribe", "jobs"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let subscribed =
        || json(&server.queue(&["stat", "jobs", "--json"]).well())["subscriptions"] == 1;
    while !subscribed() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    server.queue(&["put", "jobs", "x"]).well();
    while json(&server.queue(&["stat", "jobs", "--json"]).well())["acks"] == 0 {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let line = format!("kill -INT {}", child.id());
    let status = std::process::Command::new("sh").args(["-c", &line]).status().expect("a shell");
    assert!(status.success());
    let finished = Finished::new(child.wait_with_output().expect("it ends"));
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), "x\n"), "{finished:?}");
    assert!(finished.stderr.contains("1 message from jobs"), "{finished:?}");
}

#[test]
fn leases_are_extended_and_messages_given_up_or_put_off() {
    let server = served();
    server.queue(&["put", "jobs", "a", "b"]).well();
    let take = ["take", "jobs", "--count", "2", "--lease", "30s", "--json"];
    let lease = text(&json(&server.queue(&take).well())["lease"]);
    let extend = ["extend", "jobs", &lease, "5m", "--json"];
    let extended = json(&server.queue(&extend).well());
    assert_eq!((&extended["lease_ms"], &extended["unsettled"]), (&300_000.into(), &2.into()));
    server.queue(&["nack", "jobs", &lease, "0", "--delay", "1h"]).well();
    server.queue(&["nack", "jobs", &lease, "1", "--reject"]).well();
    assert_eq!(server.queue(&["take", "jobs"]).code, Some(1));
    assert_eq!(server.queue(&["take", "jobs.dead", "--ack"]).well(), "b\n");
    assert_eq!(server.queue(&["extend", "jobs", &lease]).code, Some(1), "it has ended");
}

#[test]
fn messages_are_looked_at_and_removed() {
    let server = served();
    server.queue(&["put", "jobs", "a", "b\tc"]).well();
    server.queue(&["put", "jobs", "later", "--delay", "1h"]).well();
    assert_eq!(server.queue(&["peek", "jobs"]).well(), "a\n");
    assert_eq!(server.queue(&["peek", "jobs", "--count", "9"]).well(), "a\nb\tc\n");
    let lines = server.queue(&["browse", "jobs"]).well();
    assert!(lines.starts_with("0\t0\t") && lines.ends_with("\t-\tb\\tc\n"), "{lines}");
    let browse = ["browse", "jobs", "--state", "scheduled", "--json"];
    let scheduled = json(&server.queue(&browse).well());
    let sequence = text(&scheduled[0]["sequence"]);
    assert_eq!(scheduled[0]["payload"], "later");
    assert!(scheduled[0]["due_ms"].as_u64() > scheduled[0]["put_ms"].as_u64());
    server.queue(&["cancel", "jobs", &sequence, "0"]).well();
    let again = server.queue(&["remove", "jobs", &sequence]);
    assert_eq!(again.code, Some(1), "{again:?}");
    assert_eq!(server.queue(&["take", "jobs", "--count", "9", "--ack"]).well(), "b\tc\n");
    assert_eq!(server.queue(&["peek", "jobs"]).code, Some(1));
}

#[test]
fn a_peek_shows_what_a_take_gets() {
    let server = served();
    server.queue(&["put", "jobs", "lo1", "lo2"]).well();
    server.queue(&["put", "jobs", "hi", "--priority", "7"]).well();
    assert_eq!(server.queue(&["peek", "jobs", "--count", "2"]).well(), "hi\nlo1\n");
    assert_eq!(server.queue(&["take", "jobs", "--count", "2", "--ack"]).well(), "hi\nlo1\n");
}

#[test]
fn a_browse_that_stops_says_so() {
    let server = served();
    server.queue(&["put", "jobs", "a", "b", "c"]).well();
    let some = server.queue(&["browse", "jobs", "--count", "2"]);
    assert!(some.stderr.contains("the first 2") && some.stdout.lines().count() == 2, "{some:?}");
    let all = server.queue(&["browse", "jobs", "--count", "3"]);
    assert_eq!((all.stderr.as_str(), all.stdout.lines().count()), ("", 3));
}

#[test]
fn queues_are_stopped_changed_and_renamed() {
    let server = Server::start(&["--shards", "1"]);
    server.queue(&["declare", "jobs"]).well();
    server.queue(&["pause", "jobs", "puts"]).well();
    let refused = server.queue(&["put", "jobs", "x"]);
    assert!(refused.code == Some(1) && refused.stderr.contains("resume"), "{refused:?}");
    server.queue(&["resume", "jobs"]).well();
    server.queue(&["put", "jobs", "x"]).well();
    server.queue(&["alter", "jobs", "--messages-max", "1"]).well();
    assert_eq!(server.queue(&["put", "jobs", "y"]).code, Some(1));
    assert_eq!(server.queue(&["alter", "jobs"]).code, Some(2));
    server.queue(&["rename", "jobs", "tasks"]).well();
    assert_eq!(server.queue(&["ls"]).well(), "tasks\t1\t0\n");
}

#[test]
fn an_alter_changes_what_is_given_and_nothing_else() {
    let server = Server::start(&["--shards", "2"]);
    server.queue(&["declare", "late", "--keep", "1h", "--dedup", "1m", "--lease", "7s"]).well();
    let options = |server: &Server| {
        json(&server.queue(&["show", "late", "--json"]).well())["options"].clone()
    };
    let before = options(&server);
    assert_eq!((&before["lease_ms"], &before["keep_ms"]), (&7_000.into(), &3_600_000.into()));
    server.queue(&["alter", "late", "--ttl", "1d"]).well();
    let mut expected = before;
    expected["ttl_ms"] = 86_400_000.into();
    assert_eq!(options(&server), expected);
    server.queue(&["alter", "late", "--dedup", "0s", "--spread", "2"]).well();
    server.queue(&["alter", "late", "--lease", "1m"]).well();
    for (option, value) in [("dedup_ms", 0), ("dedup_max", 0), ("spread", 2), ("lease_ms", 60_000)]
    {
        expected[option] = value.into();
    }
    assert_eq!(options(&server), expected);
    let narrower = server.queue(&["alter", "late", "--spread", "1", "--lease", "2m"]);
    assert!(narrower.code == Some(2) && narrower.stderr.contains("fewer shards"), "{narrower:?}");
    assert_eq!(options(&server), expected, "nothing was done");
    let shown = server.queue(&["show", "late"]).well();
    assert!(shown.contains("lease\t1m\n") && shown.contains("parts\t2\n"), "{shown}");
}

#[test]
fn a_request_is_answered_by_a_text_or_a_command() {
    let server = served();
    let worker = |arguments: &[&str]| {
        let mut command = ringway();
        command.args(["queue", "--address", &server.address, "reply", "jobs"]).args(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
    };
    let text = worker(&["yes"]);
    let request = ["request", "jobs", "well?", "--deadline", "20s"];
    assert_eq!(server.queue(&request).well(), "yes\n");
    assert!(text.wait_with_output().expect("it ends").status.success());
    let command = worker(&["--exec", "tr a-z A-Z", "--count", "2"]);
    let document = json(&server.queue(&[&request[..], &["--json"]].concat()).well());
    assert_eq!(document["payload"], "WELL?");
    assert_eq!(server.queue(&request).well(), "WELL?\n");
    assert!(command.wait_with_output().expect("it ends").status.success());
    let failing = worker(&["--exec", "false"]);
    let unanswered = server.queue(&["request", "jobs", "x", "--deadline", "500ms"]);
    assert_eq!((unanswered.code, unanswered.stdout.as_str()), (Some(1), ""), "{unanswered:?}");
    assert!(!failing.wait_with_output().expect("it ends").status.success());
    assert_eq!(server.queue(&["reply", "jobs"]).code, Some(2));
}

#[test]
fn what_is_no_request_is_not_lost_to_a_reply() {
    let server = served();
    server.queue(&["put", "jobs", "plain"]).well();
    for how in [&["yes"][..], &["--exec", "touch never-to-be; echo yes"]] {
        let reply = server.queue(&[&["reply", "jobs"], how].concat());
        assert!(reply.code == Some(1) && reply.stderr.contains("is no request"), "{reply:?}");
        assert!(!std::path::Path::new("never-to-be").exists());
        server.queue(&["redrive", "jobs"]).well();
    }
    assert_eq!(server.queue(&["take", "jobs", "--ack"]).well(), "plain\n");
}
