//! Messages that ask for something, groups, transfers, and numbers against repeats.

use serde_json::Value;

use super::{json, served, text};
use crate::command::Server;

#[test]
fn flags_become_what_a_message_asks_for() {
    let server = served();
    let put = ["put", "jobs", "x", "--key", "k", "--priority", "3", "--ttl", "1h"];
    server.queue(&[&put[..], &["--header", "a=1", "--header", "a=2=3"]].concat()).well();
    let taken = json(&server.queue(&["take", "jobs", "--json"]).well());
    let attributes = &taken["messages"][0]["attributes"];
    assert_eq!(attributes["key"], "k");
    assert_eq!(attributes["priority"], 3);
    assert_eq!(attributes["time_to_live_ms"], 3_600_000);
    let headers = json(r#"[{ "name": "a", "value": "1" }, { "name": "a", "value": "2=3" }]"#);
    assert_eq!(attributes["headers"], headers);
    for wrong in [
        &["--priority", "8"][..],
        &["--header", "x"],
        &["--at", "noon"],
        &["--delay", "1s", "--at", "2030-01-01T00:00:00Z"],
        &["--producer", "x"],
    ] {
        let finished = server.queue(&[&["put", "jobs", "x"], wrong].concat());
        assert_eq!(finished.code, Some(2), "{wrong:?}: {finished:?}");
    }
}

#[test]
fn a_scheduled_message_says_how_to_cancel_it_and_comes_when_due() {
    let server = served();
    let put = server.queue(&["put", "jobs", "later", "--delay", "1h"]);
    assert!(put.stderr.contains("ringway queue remove jobs 9223372036854775808"), "{put:?}");
    let put = ["put", "jobs", "soon", "now", "--at", "2020-01-01 00:00:00", "--json"];
    let document = json(&server.queue(&put).well());
    assert_eq!((&document["messages"], &document["duplicates"]), (&2.into(), &0.into()));
    let taken = server.queue(&["take", "jobs", "--count", "2", "--wait", "20s", "--ack"]).well();
    assert_eq!(taken, "soon\nnow\n");
    assert_eq!(json(&server.queue(&["stat", "jobs", "--json"]).well())["scheduled"], 1);
}

#[test]
fn a_put_that_is_repeated_is_stored_once() {
    let server = Server::start(&["--shards", "2"]);
    server.queue(&["declare", "once", "--dedup", "1h"]).well();
    let named = ["put", "once", "pay", "--dedup-id", "payment-7", "--json"];
    let [first, again] = [(); 2].map(|()| json(&server.queue(&named).well()));
    assert_eq!((&first["duplicates"], &again["duplicates"]), (&0.into(), &1.into()));
    assert_eq!(first["first_sequence"], again["first_sequence"]);
    let several = server.queue(&["put", "once", "a", "b", "--dedup-id", "x"]);
    assert_eq!(several.code, Some(2), "{several:?}");

    // Batches are cut where they were cut before, however the pipe brings the lines.
    let lines: String = (0..3000).map(|number| format!("{number}\n")).collect();
    let put = ["put", "once", "-", "--producer", "17@5", "--json"];
    let numbered = || json(&server.queue_with_input(&put, lines.as_bytes()).well());
    let [first, again] = [numbered(), numbered()];
    assert_eq!((&first["duplicates"], &again["duplicates"]), (&0.into(), &3000.into()));
    let figures = json(&server.queue(&["stat", "once", "--json"]).well());
    assert_eq!(figures["ready"], 3001);
}

#[test]
fn groups_are_made_listed_paused_and_removed() {
    let server = served();
    server.queue(&["put", "jobs", "a", "b"]).well();
    let create = ["group", "create", "jobs", "audit", "--json"];
    assert_eq!(json(&server.queue(&create).well())["created"], true);
    assert_eq!(json(&server.queue(&create).well())["created"], false);
    let late = ["group", "create", "jobs", "late", "--start", "latest", "--single-active", "yes"];
    server.queue(&late).well();
    let of_audit = ["take", "jobs", "--group", "audit", "--count", "9", "--ack"];
    assert_eq!(server.queue(&of_audit).well(), "a\nb\n");
    assert_eq!(server.queue(&["take", "jobs", "--count", "9", "--ack"]).well(), "a\nb\n");
    assert_eq!(server.queue(&["take", "jobs", "--group", "late"]).code, Some(1));
    let nobody = server.queue(&["take", "jobs", "--group", "nobody"]);
    assert!(nobody.code == Some(1) && nobody.stderr.contains("'nobody'"), "{nobody:?}");

    server.queue(&["group", "alter", "jobs", "late", "--paused", "yes"]).well();
    let groups = json(&server.queue(&["group", "ls", "jobs", "--json"]).well());
    let late = groups.as_array().expect("groups").iter().find(|group| group["group"] == "late");
    let late = late.expect("it was made");
    assert_eq!((&late["paused"], &late["single_active"]), (&true.into(), &true.into()));
    assert_eq!(server.queue(&["group", "ls", "jobs"]).well().lines().count(), 3);
    assert_eq!(server.queue(&["group", "alter", "jobs", "late"]).code, Some(2));
    server.queue(&["group", "delete", "jobs", "late"]).well();
    let gone = server.queue(&["group", "rm", "jobs", "late"]);
    assert_eq!(gone.code, Some(1), "{gone:?}");
}

#[test]
fn a_result_takes_the_place_of_its_message() {
    let server = served();
    server.queue(&["declare", "results"]).well();
    server.queue(&["put", "jobs", "a", "b"]).well();
    let taken = json(&server.queue(&["take", "jobs", "--count", "2", "--json"]).well());
    let lease = text(&taken["lease"]);
    let transfer = ["transfer", "jobs", &lease, "0", "results", "done", "--json"];
    let document = json(&server.queue(&transfer).well());
    assert_eq!((&document["settled"], &document["messages"]), (&1.into(), &1.into()));
    let again = server.queue(&transfer);
    assert_eq!(again.code, Some(1), "{again:?}");
    let figures = json(&server.queue(&["stat", "jobs", "--json"]).well());
    assert_eq!((&figures["acks"], &figures["leased"]), (&Value::from(1), &Value::from(1)));
}
