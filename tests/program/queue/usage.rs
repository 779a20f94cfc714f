//! What the command line knows to be wrong, and what it says of it.

use super::served;
use crate::command::Server;

#[test]
fn a_value_out_of_its_range_is_wrong_usage_and_named_by_its_flag() {
    let server = served();
    for (arguments, named) in [
        (&["take", "jobs", "--lease", "13h"][..], "--lease"),
        (&["take", "jobs", "--lease", "-1s"], "'-1s' is not a duration"),
        (&["take", "jobs", "--wait", "2m"], "--wait-max"),
        (&["take", "jobs", "--wait", "2h"], "write 0s to 1h"),
        (&["extend", "jobs", "1", "13h"], "write 0s to 12h"),
        (&["extend", "jobs", "1", "-1s"], "'-1s' is not a duration"),
        (&["declare", "x", "--lease", "0s"], "write 1ms to 12h"),
        (&["declare", "x", "--bytes-max", "1KiB"], "--bytes-max must be"),
        (&["declare", "x", "--messages-max", "0"], "--messages-max"),
        (&["declare", "x", "--backoff", "2m", "--backoff-max", "1m"], "--backoff-max needs"),
        (&["declare", "x.dead", "--deliveries-max", "3"], "--deliveries-max must be 0"),
        (&["put", "jobs", "x", "--header", &format!("{}=1", "n".repeat(256))], "1 to 255 bytes"),
        (&["put", "jobs", "x", "--delay", "101years"], "--delay"),
    ] {
        let finished = server.queue(arguments);
        assert_eq!(finished.code, Some(2), "{arguments:?}: {finished:?}");
        assert!(finished.stderr.contains(named), "{arguments:?}: {finished:?}");
        assert!(!finished.stderr.contains("_ms"), "{arguments:?}: {finished:?}");
    }
}

#[test]
fn a_queue_of_dead_letters_is_declared_without_saying_that_it_has_none() {
    let server = served();
    let declare = ["declare", "f.dead", "--messages-max", "1"];
    assert!(server.queue(&declare).stderr.contains("f.dead declared"));
    let again = server.queue(&declare);
    assert!(again.stderr.contains("with these options"), "{again:?}");
    let other = server.queue(&["declare", "f.dead"]);
    assert!(other.stderr.trim_end().ends_with("was there already"), "{other:?}");
}

#[test]
fn a_put_waits_for_room_where_the_plane_says_hold() {
    let server = Server::start(&[
        "--shards",
        "1",
        "--queue-when-full",
        "hold",
        "--queue-wait-max",
        "50ms",
        "--queue-messages-max",
        "1",
    ]);
    server.queue(&["declare", "narrow"]).well();
    server.queue(&["put", "narrow", "x"]).well();
    let held = server.queue(&["put", "narrow", "y"]);
    assert!(held.code == Some(1) && held.stderr.contains("full"), "{held:?}");
}
