//! Limits of a host: an ordinary user's locked memory, few descriptors, what the doctor prints.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::command::{Finished, Server, run};

/// Nobody else's user: locked memory is counted by user, over all processes.
const USER: u32 = 2_000_000;

/// The program as an ordinary user with these limits, in a folder that he may read.
fn limited(folder: &TempDir, user: u32, limits: &[&str]) -> Command {
    let program = folder.path().join("ringway");
    // By another process: a descriptor of ours that is open for writing would be inherited by what
    // other tests start meanwhile, and the copy be "busy".
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_ringway")).arg(&program).status();
    assert!(copied.expect("cp is part of coreutils").success());
    let everybody = fs::Permissions::from_mode(0o755);
    fs::set_permissions(folder.path(), everybody).expect("our own folder");
    let mut command = Command::new("prlimit");
    command.args(limits).arg("--").arg(&program);
    if is_root() {
        command.uid(user).gid(user);
    }
    command.current_dir("/");
    command
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(Path::new("/proc/self")).expect("/proc is mounted").uid() == 0
}

fn finished(mut command: Command, arguments: &[&str]) -> Finished {
    Finished::new(command.args(arguments).output().expect("prlimit is part of util-linux"))
}

#[test]
fn an_ordinary_user_with_8_mib_of_locked_memory_can_serve() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let command = limited(&folder, USER, &["--memlock=8388608:8388608"]);
    let server = Server::start_as(command, &["--shards", "2"]);
    server.queue(&["declare", "jobs"]).well();
    server.queue(&["put", "jobs", "x"]).well();
    assert_eq!(server.queue(&["take", "jobs", "--ack"]).well(), "x\n");
    server.signal("TERM");
    assert!(server.ended().0.success());
}

#[test]
fn too_little_locked_memory_is_code_78_with_the_figures() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let command = limited(&folder, USER + 1, &["--memlock=65536:65536"]);
    let line = finished(command, &["serve", "--listen", "127.0.0.1:0"]).one_line(78);
    assert!(line.contains("64 KiB") && line.contains("ulimit -l"), "{line}");
}

#[test]
fn too_few_descriptors_are_code_78_with_the_figures() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let command = limited(&folder, USER + 2, &["--nofile=40:40"]);
    let line = finished(command, &["serve", "--listen", "127.0.0.1:0"]).one_line(78);
    assert!(line.contains("open files") && line.contains("ulimit -n"), "{line}");
}

#[test]
fn few_descriptors_are_raised_to_what_is_allowed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let command = limited(&folder, USER + 3, &["--nofile=100:2000"]);
    let server = Server::start_as(command, &["--shards", "1"]);
    let clients: Vec<_> = (0..200).map(|_| server.client()).collect();
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.pid())).expect("it runs");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("a line");
    assert_eq!(line.split_whitespace().nth(3), Some("2000"), "{line}");
    drop(clients);
}

#[test]
fn the_doctor_prints_a_table_and_a_document() {
    let table = run(&["doctor"]);
    assert!(matches!(table.code, Some(0 | 1)), "{table:?}");
    for word in ["check", "found", "wanted", "remedy", "kernel", "io_uring", "CPUs allowed"] {
        assert!(table.stdout.contains(word), "no {word} in {}", table.stdout);
    }
    let document: serde_json::Value =
        serde_json::from_str(&run(&["doctor", "--json"]).stdout).expect("a document");
    for finding in document.as_array().expect("a list") {
        let good = finding["verdict"] == "good";
        assert_eq!(good, finding["remedy"] == "", "{finding:#}");
    }
}
