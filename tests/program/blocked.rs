//! Hosts that forbid something: one line with cause and remedy, and code 78, before a port is
//! bound.

use std::process::Output;

use crate::command::{Finished, ringway};

// The data plane's own filter for tests: what a thread is denied, the processes it starts are too.
#[allow(dead_code, unsafe_code)]
#[path = "../../shards/src/machine/seccomp.rs"]
mod seccomp;

/// Runs the program with `io_uring_setup` failing like this.
fn without_io_uring(errno: i32, arguments: &[&str]) -> Finished {
    let mut command = ringway();
    command.args(arguments);
    let denied = std::thread::spawn(move || -> Output {
        seccomp::deny(libc::SYS_io_uring_setup, errno);
        command.output().expect("the program starts")
    });
    Finished::new(denied.join().expect("the thread returns"))
}

#[test]
fn a_seccomp_filter_is_named_with_its_remedy() {
    for errno in [libc::EPERM, libc::ENOSYS] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = folder.path().join("port");
        let port = port.to_str().expect("a plain path");
        let line =
            without_io_uring(errno, &["serve", "--listen", "127.0.0.1:0", "--port-file", port])
                .one_line(78);
        assert!(line.contains("seccomp") && line.contains("--security-opt"), "{line}");
        assert!(!std::path::Path::new(port).exists(), "it bound something");
    }
}

#[test]
fn the_doctor_says_the_same() {
    let finished = without_io_uring(libc::EPERM, &["doctor", "--json"]);
    assert_eq!(finished.code, Some(78), "{finished:?}");
    let findings: serde_json::Value = serde_json::from_str(&finished.stdout).expect("a document");
    let findings = findings.as_array().expect("a list");
    let fatal: Vec<_> = findings.iter().filter(|finding| finding["verdict"] == "fatal").collect();
    assert_eq!(fatal.len(), 1, "{findings:#?}");
    assert!(fatal[0]["remedy"].as_str().expect("text").contains("seccomp"), "{fatal:#?}");
}
