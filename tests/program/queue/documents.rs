//! With `--json` there is one document on stdout, whatever comes of the command.

use super::{json, served, text};
use crate::command::{Finished, ringway, run};

/// The code of a command's error, once it ended with this code.
fn error(finished: &Finished, code: i32) -> String {
    assert_eq!(finished.code, Some(code), "{finished:?}");
    let error = &json(&finished.stdout)["error"];
    let sentence = text(&error["sentence"]);
    let line = sentence.split(';').next().expect("a sentence");
    let said = finished.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains(line) && !line.is_empty(), "{finished:?}");
    text(&error["code"])
}

#[test]
fn a_failure_is_a_document_too() {
    let server = served();
    server.queue(&["declare", "small", "--messages-max", "1"]).well();
    for (arguments, code, name) in [
        (&["take", "nowhere"][..], 1, "NoSuchQueue"),
        (&["put", "small", "a", "b"], 1, "TooLarge"),
        (&["request", "jobs", "x", "--deadline", "50ms"], 1, "NoAnswer"),
        (&["subscribe", "jobs", "--group", "nobody"], 1, "NoSuchGroup"),
        (&["extend", "jobs", "1"], 1, "NoSuchLease"),
        (&["take", "jobs", "--wait", "2m"], 2, "InvalidOption"),
        (&["take", "jobs", "--count", "5000"], 2, "Usage"),
        (&["take", "jobs", "--lease", "13h"], 2, "Usage"),
        (&["take"], 2, "Usage"),
    ] {
        let finished = server.queue(&[arguments, &["--json"]].concat());
        assert_eq!(error(&finished, code), name, "{arguments:?}");
    }
    let nobody = run(&["queue", "--address", "127.0.0.1:1", "ls", "--json"]);
    assert_eq!(error(&nobody, 1), "NotConnected");
}

#[test]
fn what_was_done_before_a_failure_is_in_its_document() {
    let server = served();
    server.queue(&["declare", "small", "--messages-max", "1500"]).well();
    let lines = "x\n".repeat(4000);
    let put = server.queue_with_input(&["put", "small", "-", "--json"], lines.as_bytes());
    assert_eq!(error(&put, 1), "QueueFull");
    assert_eq!(json(&put.stdout)["messages"], 1024);
    // What found nothing has its own document, without an error.
    server.queue(&["take", "small", "--count", "1500", "--ack"]).well();
    let none = server.queue(&["take", "small", "--json"]);
    assert_eq!((none.code, &json(&none.stdout)["messages"]), (Some(1), &json("[]")));
    let none = server.queue(&["peek", "small", "--json"]);
    assert_eq!((none.code, json(&none.stdout)), (Some(1), json("[]")));
    let none = server.queue(&["reply", "small", "x", "--wait", "1ms", "--json"]);
    assert_eq!((none.code, &json(&none.stdout)["answered"]), (Some(1), &0.into()));
}

/// Readers like jq 1.6 keep 53 bits of a number: the example of `remove --help` must survive that.
#[test]
fn ids_and_sequences_are_texts() {
    let server = served();
    let put = ["put", "jobs", "later", "--delay", "1h", "--json"];
    let placed = json(&server.queue(&put).well());
    let sequence = text(&placed["first_sequence"]);
    assert_eq!(sequence, "9223372036854775808");
    assert_eq!(text(&placed["runs"][0]["first_sequence"]), sequence);
    let browsed = json(&server.queue(&["browse", "jobs", "--state", "scheduled", "--json"]).well());
    assert_eq!(text(&browsed[0]["sequence"]), sequence);
    let id = text(&json(&server.queue(&["ls", "--json"]).well())[0]["id"]);
    assert_eq!(text(&json(&server.queue(&["declare", "jobs", "--json"]).well())["id"]), id);

    let line = format!(
        "{program} queue browse jobs --state scheduled --json | grep -o '\"sequence\": [^,]*' | \
         cut -d' ' -f2 | xargs {program} queue remove jobs",
        program = ringway().get_program().to_str().expect("a path of text"),
    );
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &line]).env("RINGWAY_ADDRESS", &server.address);
    let finished = Finished::new(shell.output().expect("a shell"));
    assert!(finished.stderr.contains("1 message removed from jobs"), "{finished:?}");
}
