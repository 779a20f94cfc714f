//! `ringway demo` and `ringway load` from outside: what they print, their codes, what they leave.

use serde_json::Value;

use crate::command::{Server, ringway, run};

#[test]
fn the_demo_reports_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = ringway();
    command.args(["demo", "--duration", "300ms", "--batch", "16"]).env("TMPDIR", folder.path());
    let output = command.output().expect("it starts");
    let (report, said) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{report}\n{said}");
    for word in ["on CPU", "operations/s", "p99.9", "max", "0 refused, 0 failed", "memory"] {
        assert!(report.contains(word), "no '{word}' in {report}");
    }
    // The plane has said its last words before the demo ended, and took its port file along.
    assert!(said.contains("drained, every queue is empty"), "{said}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("our own folder").count(), 0);
}

#[test]
fn a_load_s_document_has_what_later_versions_keep() {
    let server = Server::start(&["--shards", "2"]);
    let arguments = ["load", "--address", &server.address, "--duration", "200ms", "--json"];
    let more = ["--warmup", "50ms", "--connections", "4", "--shard-aware"];
    let document: Value =
        serde_json::from_str(&run(&[&arguments[..], &more].concat()).well()).expect("a document");
    for name in [
        "seconds",
        "messages",
        "messages_per_second",
        "bytes_per_second",
        "requests_per_second",
        "refused",
        "failed",
        "acknowledged",
        "settings",
        "by_shard",
        "server_cpu_ns_per_message",
    ] {
        assert!(!document[name].is_null(), "no {name} in {document:#}");
    }
    for name in ["p50", "p90", "p99", "p999", "max"] {
        assert!(document["latency_ns"][name].as_u64() > Some(0), "no {name} in {document:#}");
    }
    assert_eq!(document["by_shard"].as_array().map(Vec::len), Some(2));
    assert!(document["messages"].as_u64() > Some(0), "{document:#}");
    assert_eq!(server.queue(&["ls"]).well(), "", "its queues are gone again");
}

#[test]
fn what_is_refused_makes_the_code_1() {
    let server = Server::start(&["--shards", "1", "--token", "sesame"]);
    let refused = run(&["load", "--address", &server.address, "--duration", "100ms"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("token"), "{refused:?}");
    assert_eq!(run(&["load", "--batch", "0"]).code, Some(2));
}
