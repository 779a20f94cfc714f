//! Messages that change queues, and names that reach several.

use super::{json, served, text};
use crate::command::Server;

#[test]
fn messages_move_all_or_some() {
    let server = served();
    server.queue(&["declare", "target"]).well();
    server.queue(&["put", "jobs", "a", "b"]).well();
    server.queue(&["put", "jobs", "mail", "--header", "kind=mail"]).well();
    let filtered = ["move", "jobs", "target", "--header", "kind=mail", "--json"];
    assert_eq!(json(&server.queue(&filtered).well())["moved"], 1);
    assert_eq!(server.queue(&["take", "target", "--ack"]).well(), "mail\n");
    server.queue(&["move", "jobs", "target", "--count", "1"]).well();
    assert_eq!(server.queue(&["ls"]).well(), "jobs\t1\t0\ntarget\t1\t0\n");
    let itself = server.queue(&["move", "jobs", "jobs"]);
    assert!(itself.code.is_some_and(|code| code != 0), "{itself:?}");

    server.queue(&["declare", "small", "--messages-max", "1"]).well();
    server.queue(&["put", "small", "x"]).well();
    let full = server.queue(&["move", "jobs", "small"]);
    assert!(full.code == Some(1) && full.stderr.contains("had to stay"), "{full:?}");
}

#[test]
fn dead_letters_are_brought_back_by_reason() {
    let server = Server::start(&["--shards", "2"]);
    server.queue(&["declare", "poison", "--deliveries-max", "1"]).well();
    server.queue(&["put", "poison", "x", "y"]).well();
    let taken = json(&server.queue(&["take", "poison", "--count", "2", "--json"]).well());
    server.queue(&["nack", "poison", &text(&taken["lease"]), "0-1"]).well();
    let redrive = |reason: &str| {
        json(&server.queue(&["redrive", "poison", "--reason", reason, "--json"]).well())
    };
    assert_eq!(redrive("expired")["moved"], 0);
    assert_eq!(redrive("deliveries")["moved"], 2);
    let back = json(&server.queue(&["take", "poison", "--count", "2", "--json"]).well());
    assert_eq!(back["messages"].as_array().map(Vec::len), Some(2));
    assert!(back["messages"][0]["attributes"].is_null(), "{back:#}");
    assert_eq!(server.queue(&["redrive", "poison", "--reason", "boredom"]).code, Some(2));
}

#[test]
fn a_published_name_reaches_what_is_bound_to_it() {
    let server = Server::start(&["--shards", "2"]);
    for (queue, pattern) in [("audit", "orders.>"), ("mails", "orders.*.paid")] {
        server.queue(&["declare", queue]).well();
        server.queue(&["bind", queue, pattern]).well();
    }
    let bindings = "audit\torders.>\nmails\torders.*.paid\n";
    assert_eq!(server.queue(&["bindings"]).well(), bindings);
    assert_eq!(server.queue(&["bindings", "mails"]).well(), "mails\torders.*.paid\n");
    let published = ["publish", "orders.eu.paid", "7", "8", "--header", "a=b", "--json"];
    let document = json(&server.queue(&published).well());
    assert_eq!((&document["matched"], &document["stored"]), (&2.into(), &2.into()));
    server.queue(&["publish", "orders.eu", "9"]).well();
    assert_eq!(server.queue(&["take", "audit", "--count", "9", "--ack"]).well(), "7\n8\n9\n");
    assert_eq!(server.queue(&["take", "mails", "--count", "9", "--ack"]).well(), "7\n8\n");
    server.queue(&["unbind", "audit", "orders.>"]).well();
    let again = server.queue(&["unbind", "audit", "orders.>"]).one_line(1);
    assert!(again.contains("was not bound"), "{again}");
    assert_eq!(server.queue(&["bindings", "audit"]).well(), "");
    assert_eq!(server.queue(&["bindings", "nobody"]).code, Some(1));
    assert_eq!(server.queue(&["bind", "audit", "orders.>.x"]).code, Some(2));
    let none = server.queue(&["publish", "nobody.listens", "x"]);
    assert!(none.code == Some(0) && none.stderr.contains("no queue is bound"), "{none:?}");
}
