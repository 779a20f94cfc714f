//! `ringway queue` as scripts use it: pipes, exit codes, documents.

mod documents;
mod paths;
mod usage;
mod watching;
mod work;

use std::io::Write;
use std::process::Stdio;

use serde_json::Value;

use crate::command::{Server, ringway, run};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A field that is a text.
fn text(field: &Value) -> String {
    field.as_str().unwrap_or_else(|| panic!("{field} is no text")).to_owned()
}

fn served() -> Server {
    let server = Server::start(&["--shards", "2"]);
    server.queue(&["declare", "jobs"]).well();
    server
}

#[test]
fn lines_go_in_and_come_out_in_order() {
    let server = served();
    let lines: String = (0..10_000).map(|number| format!("line {number}\n")).collect();
    server.queue_with_input(&["put", "jobs", "-"], lines.as_bytes()).well();
    assert_eq!(server.queue(&["ls"]).well(), "jobs\t10000\t0\n");
    assert_eq!(server.queue(&["take", "jobs", "--count", "20000", "--ack"]).well(), lines);
    assert_eq!(server.queue(&["ls"]).well(), "jobs\t0\t0\n");
}

#[test]
fn any_bytes_survive_and_empty_messages_count() {
    let server = served();
    let bytes = b"two\nlines, a \0 and no newline at the end";
    server.queue_with_input(&["put", "jobs", "-", "--raw"], bytes).well();
    assert_eq!(server.queue(&["take", "jobs", "--raw", "--ack"]).well().as_bytes(), bytes);
    server.queue(&["put", "jobs", "", "x"]).well();
    assert_eq!(server.queue(&["take", "jobs", "--count", "2", "--ack"]).well(), "\nx\n");
    server.queue_with_input(&["put", "jobs", "-", "--raw"], &[0xff, 0x00]).well();
    let document = json(&server.queue(&["take", "jobs", "--json", "--ack"]).well());
    assert_eq!(document["messages"][0]["payload_hex"], "ff00");
}

#[test]
fn a_lease_that_was_printed_can_be_settled() {
    let server = served();
    server.queue(&["put", "jobs", "a", "b", "c"]).well();
    let taken = server.queue(&["take", "jobs", "--count", "3"]);
    // The command that the program suggests is the one that works.
    let suggested: Vec<&str> =
        taken.stderr.trim().rsplit("ringway queue ").next().expect("it").split(' ').collect();
    assert_eq!(taken.stdout, "a\nb\nc\n");
    let unknown = server.queue(&["ack", "jobs", suggested[2], "7"]);
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.stderr.contains("never belonged"), "{unknown:?}");
    let settled = server.queue(&[&suggested[..], &["--json"]].concat()).well();
    assert_eq!(json(&settled), json(r#"{ "settled": 3, "stale": 0, "unknown": 0 }"#));
    let again = server.queue(&suggested);
    assert_eq!(again.code, Some(1));
    assert!(again.stderr.contains("had been settled before"), "{again:?}");
}

#[test]
fn what_is_given_back_comes_again_and_says_so() {
    let server = served();
    server.queue(&["put", "jobs", "a", "b"]).well();
    let taken = json(&server.queue(&["take", "jobs", "--count", "2", "--json"]).well());
    assert_eq!(taken["messages"][1]["deliveries"], 1);
    let lease = text(&taken["lease"]);
    server.queue(&["nack", "jobs", &lease, "1"]).well();
    let again = json(&server.queue(&["take", "jobs", "--json"]).well());
    assert_eq!(again["messages"][0]["payload"], "b");
    assert_eq!(again["messages"][0]["deliveries"], 2);
    assert_eq!(again["messages"][0]["id"], taken["messages"][1]["id"]);
}

#[test]
fn too_many_deliveries_end_in_the_dead_letters_with_the_reason() {
    let server = Server::start(&["--shards", "2"]);
    server.queue(&["declare", "poison", "--deliveries-max", "1"]).well();
    server.queue(&["put", "poison", "bad"]).well();
    let taken = json(&server.queue(&["take", "poison", "--json"]).well());
    server.queue(&["nack", "poison", &text(&taken["lease"]), "0"]).well();
    assert_eq!(server.queue(&["take", "poison"]).code, Some(1));
    let dead = json(&server.queue(&["take", "poison.dead", "--json"]).well());
    assert_eq!(dead["messages"][0]["payload"], "bad");
    assert!(!dead["messages"][0]["attributes"].is_null(), "{dead:#}");
}

#[test]
fn an_empty_queue_is_code_1_and_no_output() {
    let server = served();
    let finished = server.queue(&["take", "jobs", "--wait", "50ms"]);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(1), ""));
    assert!(finished.stderr.contains("no message in jobs within 50ms"), "{finished:?}");
}

#[test]
fn errors_are_one_line_with_a_remedy() {
    let server = served();
    for (arguments, code, named) in [
        (vec!["put", "nowhere", "x"], 1, "declare the queue"),
        (vec!["put", "nowhere", "x"], 1, "no queue is called nowhere"),
        (vec!["group", "delete", "jobs", "default"], 1, "make another one first"),
        (vec!["declare", "jobs", "--lease", "1s"], 1, "same options"),
        (vec!["take", "jobs", "--group", "nobody"], 1, "'default'"),
        (vec!["declare", "no spaces"], 2, "1 to 255 letters"),
        (vec!["put", "jobs", "x", "--raw"], 2, "'-'"),
        (vec!["take", "jobs", "--count", "5000"], 2, "--ack"),
    ] {
        let finished = server.queue(&arguments);
        assert_eq!(finished.code, Some(code), "{arguments:?}: {finished:?}");
        assert!(finished.stderr.contains(named), "{arguments:?}: {finished:?}");
    }
    let line = run(&["queue", "--address", "127.0.0.1:1", "ls"]).one_line(1);
    assert!(line.contains("127.0.0.1:1") && line.contains("ringway serve"), "{line}");
}

#[test]
fn a_full_queue_refuses_and_what_was_put_before_is_said() {
    let server = Server::start(&["--shards", "1"]);
    server.queue(&["declare", "small", "--messages-max", "1500"]).well();
    let lines = "x\n".repeat(4000);
    let finished = server.queue_with_input(&["put", "small", "-"], lines.as_bytes());
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("1024 messages had been put"), "{finished:?}");
    assert!(finished.stderr.contains("full"), "{finished:?}");
    server.queue(&["declare", "ring", "--messages-max", "10", "--when-full", "drop-oldest"]).well();
    let lines: String = (0..30).map(|number| format!("{number}\n")).collect();
    for line in lines.lines() {
        server.queue(&["put", "ring", line]).well();
    }
    let last_ten: String = (20..30).map(|number| format!("{number}\n")).collect();
    assert_eq!(server.queue(&["take", "ring", "--count", "100", "--ack"]).well(), last_ten);
}

#[test]
fn queues_are_listed_counted_purged_and_removed() {
    let server = Server::start(&["--shards", "4"]);
    for name in ["mail/in", "mail/out", "orders"] {
        server.queue(&["declare", name]).well();
        server.queue(&["put", name, "1", "2"]).well();
    }
    server.queue(&["take", "mail/in"]).well();
    assert_eq!(server.queue(&["ls", "mail/"]).well(), "mail/in\t1\t1\nmail/out\t2\t0\n");
    assert_eq!(server.queue(&["ls", "*/in"]).well(), "mail/in\t1\t1\n");
    assert_eq!(server.queue(&["ls", "mail/>"]).well().lines().count(), 2);
    assert_eq!(server.queue(&["ls", "*"]).well(), "orders\t2\t0\n");
    assert_eq!(server.queue(&["ls", "m*"]).code, Some(2));
    let listed = json(&server.queue(&["ls", "--json"]).well());
    assert_eq!(listed.as_array().map(Vec::len), Some(3));
    let figures = json(&server.queue(&["stat", "mail/in", "--json"]).well());
    assert_eq!((&figures["puts"], &figures["leased"]), (&Value::from(2), &Value::from(1)));
    assert!(server.queue(&["stat", "mail/in"]).well().contains("ready\t1\n"));
    let shards = json(&server.queue(&["stat", "--json"]).well());
    let queues = shards.as_array().expect("rows").iter().map(|shard| shard["queues"].as_u64());
    assert_eq!(queues.sum::<Option<u64>>(), Some(3));
    assert_eq!(json(&server.queue(&["purge", "orders", "--json"]).well())["messages"], 2);
    assert_eq!(json(&server.queue(&["delete", "mail/out", "--json"]).well())["messages"], 2);
    assert_eq!(server.queue(&["ls"]).well(), "mail/in\t1\t1\norders\t0\t0\n");
}

#[test]
fn a_line_does_not_wait_for_the_next_one() {
    let server = served();
    let mut command = ringway();
    command.args(["queue", "--address", &server.address, "put", "jobs", "-"]);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    stdin.write_all(b"one\n").expect("the program reads");
    let taken = server.queue(&["take", "jobs", "--wait", "20s", "--ack"]).well();
    assert_eq!(taken, "one\n");
    drop(stdin);
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn what_nobody_reads_is_not_acknowledged() {
    let server = served();
    server.queue(&["put", "jobs", "precious"]).well();
    let mut command = ringway();
    command.args(["queue", "--address", &server.address, "take", "jobs", "--ack"]);
    command.args(["--wait", "1s"]);
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    drop(child.stdout.take());
    let status = child.wait().expect("it ends");
    assert_eq!(status.code(), Some(1));
    let figures = json(&server.queue(&["stat", "jobs", "--json"]).well());
    assert_eq!((&figures["acks"], &figures["leased"]), (&Value::from(0), &Value::from(1)));
}
