//! `ringway serve`: starting, refusing to start, and what it says.

use std::net::TcpListener;

use crate::command::{Server, ringway, run, run_with_input};

#[test]
fn it_serves_on_a_free_port_and_says_where() {
    let server = Server::start(&["--shards", "2"]);
    let address: std::net::SocketAddr = server.address.parse().expect("host and port");
    assert!(address.ip().is_loopback() && address.port() != 0);
    server.client().ping().expect("it answers");
    server.signal("TERM");
    let (status, said) = server.ended();
    assert!(status.success());
    let first = said.lines().next().expect("a line");
    assert!(first.contains(&address.to_string()) && first.contains("2 shards on CPU"), "{said}");
    assert!(said.contains("drained, every queue is empty"), "{said}");
}

#[test]
fn a_port_in_use_is_one_sentence_and_code_1() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound").to_string();
    let line = run(&["serve", "--listen", &address, "--shards", "1"]).one_line(1);
    assert!(line.contains(&address) && line.contains("--listen"), "{line}");
}

#[test]
fn wrong_usage_is_code_2_before_anything_is_bound() {
    for (wrong, named) in [
        (vec!["serve", "--no-such-flag"], "--no-such-flag"),
        (vec!["serve", "--spin", "fast"], "--spin"),
        (vec!["serve", "--shards", "0"], "shards"),
        (vec!["serve", "--cpus", "4095"], "cpus"),
        (vec!["serve", "--listen", "0.0.0.0:0"], "--insecure"),
        (vec!["serve", "--config", "/does/not/exist"], "/does/not/exist"),
        (vec!["queue", "put"], "MESSAGE"),
        (vec!["dance"], "dance"),
    ] {
        let finished = run(&wrong);
        assert_eq!(finished.code, Some(2), "{wrong:?}: {finished:?}");
        assert!(finished.stderr.contains(named) && finished.stdout.is_empty(), "{finished:?}");
    }
}

#[test]
fn flags_go_before_the_environment_and_that_before_the_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("plane.toml");
    std::fs::write(&file, "shards = 3\nspin = '9us'\nheartbeat = '9s'\n").expect("written");
    let mut command = ringway();
    command.args(["serve", "--print-config", "--spin", "7us", "--config"]).arg(&file);
    command.env("RINGWAY_SPIN", "8us").env("RINGWAY_HEARTBEAT", "8s");
    let output = command.output().expect("the program starts");
    let printed: toml::Table =
        String::from_utf8(output.stdout).expect("text").parse().expect("TOML");
    assert_eq!(printed["spin"].as_str(), Some("7us"));
    assert_eq!(printed["heartbeat"].as_str(), Some("8s"));
    assert_eq!(printed["shards"].as_integer(), Some(3));
    assert_eq!(printed["drain"].as_str(), Some("30s"));
}

#[test]
fn what_is_printed_can_be_served_with() {
    let printed = run(&["serve", "--print-config", "--shards", "1", "--queue-lease", "5s"]).well();
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), &printed).expect("written");
    let path = file.path().to_str().expect("a plain path");
    assert_eq!(run(&["serve", "--print-config", "--config", path]).well(), printed);
    // A flag still goes before the file, so two such planes do not meet on one port.
    let server = Server::start(&["--config", path, "--shard-ports", "0"]);
    server.client().ping().expect("it answers");
}

#[test]
fn a_token_is_asked_for_and_never_printed() {
    let server = Server::start(&["--token", "sesame", "--shards", "1"]);
    let refused = server.queue(&["ls"]).one_line(1);
    assert!(refused.contains("token"), "{refused}");
    assert_eq!(server.queue(&["--token", "sesame", "ls"]).well(), "");
    let printed = run(&["serve", "--print-config", "--token", "sesame"]).well();
    assert!(!printed.contains("sesame"), "{printed}");
}

#[test]
fn shards_have_ports_of_their_own_unless_told_otherwise() {
    let server = Server::start(&["--shards", "2", "--advertise", "localhost"]);
    let client = server.client();
    let shards = &client.welcome().shards;
    assert_eq!(shards.len(), 2);
    for address in shards {
        assert!(address.starts_with("localhost:"), "{address}");
        let mut own = ringway_client::Client::connect(address, &ringway_client::Options::default())
            .expect("a shard's own port");
        own.ping().expect("it answers");
    }
    let server = Server::start(&["--shards", "2", "--shard-ports", "none"]);
    assert_eq!(server.client().welcome().shards, ["", ""]);
}

#[test]
fn it_drains_when_the_program_that_started_it_is_gone() {
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--shards", "1", "--until-stdin-ends"];
    let finished = run_with_input(&arguments, b"");
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.stderr.contains("SIGTERM: draining"), "{finished:?}");
}

#[test]
fn more_shards_than_cpus_are_warned_about() {
    let server = Server::start(&["--shards", "4", "--cpus", "0"]);
    server.client().ping().expect("it answers");
    server.signal("INT");
    let (status, said) = server.ended();
    assert!(status.success() && said.contains("none of them spins"), "{said}");
}
