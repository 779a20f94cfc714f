//! Style as a test: what STYLE asks for and a machine can see.
//!
//! Each rule looks at one file and says what is wrong with it. Each has a case below that shows
//! that it can fail. An exception stands in a table with its reason, and goes when the reason goes.

#[path = "tidy/source.rs"]
mod source;

use source::{File, code_of, repository};

/// Columns of a line of code.
const COLUMNS_MAX: usize = 100;
/// Lines of a file of Rust.
const FILE_LINES_MAX: usize = 400;
/// Lines of a script; logic goes to Rust.
const SCRIPT_LINES_MAX: usize = 50;
/// Files, and lines of code in them, that tell how one message goes from accept to reply.
const WAY_FILES_MAX: usize = 13;
const WAY_LINES_MAX: usize = 2_500;

/// The files that a put passes on its own shard, in the order in which it passes them.
const WAY: [&str; 13] = [
    "shards/src/shard.rs",
    "shards/src/path/accept.rs",
    "shards/src/path/connection/mod.rs",
    "shards/src/path/connection/incoming.rs",
    "shards/src/path/decode.rs",
    "shards/src/path/dispatch.rs",
    "shards/src/path/perform.rs",
    "shards/src/path/queue/mod.rs",
    "shards/src/path/queue/put/bounds.rs",
    "shards/src/path/queue/log/mod.rs",
    "shards/src/path/queue/log/segment/mod.rs",
    "shards/src/path/journal.rs",
    "shards/src/path/reply.rs",
];
/// What else is in `path/`, and why a first reading can leave it out.
const BESIDE_THE_WAY: &[(&str, &str)] = &[
    ("bindings/", "which queues a published name reaches"),
    ("connection/closing.rs", "the end of a connection"),
    ("connection/pausing.rs", "a receive that has to wait, or changes its buffers"),
    ("connection/slots.rs", "where connections are kept"),
    ("dispatch/owner.rs", "where a queue lives"),
    ("dispatch/pace.rs", "how fast a connection puts"),
    ("dispatch/promise.rs", "what takes elsewhere may bring"),
    ("dispatch/reception.rs", "the greeting"),
    ("dispatch/spread.rs", "queues that lie on several shards"),
    ("errand/", "requests that several shards carry out"),
    ("handoff/", "requests to a queue of another shard"),
    ("mod.rs", "names the stages"),
    ("origin.rs", "where a request came from: one small type"),
    ("perform/administer.rs", "declare, list, stat, purge, delete"),
    ("perform/answers.rs", "takes that waited"),
    ("perform/give.rs", "messages that are moved"),
    ("perform/look.rs", "messages that are shown, or removed one by one"),
    ("perform/transfer.rs", "an acknowledgement and a put in one"),
    ("queue/admin/", "what is done from the side: options, idle queues, browsing, moving"),
    ("queue/catalog.rs", "names become ids"),
    ("queue/groups/", "who takes"),
    ("queue/keys/", "order by key"),
    ("queue/lease/", "a take's and an acknowledgement's way, and what comes back"),
    ("queue/log/bands.rs", "the logs of a queue: one, where there are no priorities"),
    ("queue/log/fetch.rs", "memory that messages need when they are due"),
    ("queue/log/handles.rs", "what calendars know a segment by"),
    ("queue/log/held.rs", "memory held against memory in use"),
    ("queue/log/keep.rs", "what is done and kept"),
    ("queue/log/line.rs", "a take's way: what a group has not seen"),
    ("queue/log/membership.rs", "a group joins a log, and leaves it"),
    ("queue/log/piece.rs", "a take's way: what of a segment is delivered"),
    ("queue/log/segment/compaction.rs", "segments that are mostly dead"),
    ("queue/log/segment/done.rs", "an acknowledgement's way: what nobody needs any more"),
    ("queue/log/segment/find.rs", "a take's way: where messages lie"),
    ("queue/log/segment/marks.rs", "a take's way: where every so many messages end"),
    ("queue/log/segment/moves.rs", "where the records of a compacted segment went"),
    ("queue/log/segment/replay.rs", "what is done comes back for a new group"),
    ("queue/log/segment/stamps.rs", "when messages came"),
    ("queue/log/segments.rs", "segments that are empty"),
    ("queue/put/admit.rs", "puts with keys, times, priorities, repeats"),
    ("queue/put/dedup", "puts that come again"),
    ("queue/put/drops.rs", "what a full queue drops"),
    ("queue/put/fates.rs", "puts with more than a payload"),
    ("queue/put/free.rs", "which messages nobody has under a lease"),
    ("queue/put/hold.rs", "puts that wait for room"),
    ("queue/put/mod.rs", "names what a put needs"),
    ("queue/put/remember.rs", "earlier puts are forgotten in time"),
    ("queue/put/stored.rs", "the answer of a put"),
    ("queue/put/transfer.rs", "an acknowledgement and a put in one"),
    ("queue/quota.rs", "what queues may hold together"),
    ("queue/rarely.rs", "what most queues never need"),
    ("queue/rate.rs", "so many a second"),
    ("queue/stat.rs", "figures"),
    ("queue/state.rs", "what a queue consists of"),
    ("queue/take/", "a take's way"),
    ("queue/time/", "what is due when, and what expires"),
    ("queue/waits/", "takes, subscriptions and puts that wait, and who is next"),
    ("connection/pushes.rs", "pushes to a peer that does not read"),
    ("perform/push.rs", "subscriptions begin and end"),
    ("dispatch/pace.rs", "how fast a connection may put"),
];

/// Files with wide lines, and why.
const WIDE_FILES: &[(&str, &str)] = &[];
/// Files that may be longer, how long, and why.
const LONG_FILES: &[(&str, usize, &str)] = &[];
/// Where unsafe code may be, and why.
const UNSAFE_PLACES: &[(&str, &str)] = &[
    ("shards/src/machine/", "the one folder that talks to the kernel and to raw memory"),
    ("bench/src/floors/", "measures the kernel's bare interfaces, without our own code between"),
];
/// What the data plane must not depend on: no runtime, no command line, no files of settings.
const NOT_IN_SHARDS: [&str; 7] =
    ["tokio", "clap", "toml", "serde", "serde_json", "env_logger", "ringway"];

type Rule = fn(&File) -> Vec<String>;

fn columns(file: &File) -> Vec<String> {
    let code = file.is_rust() || file.is_script() || file.path == "Makefile";
    if !code || WIDE_FILES.iter().any(|(path, _)| *path == file.path) {
        return Vec::new();
    }
    let wide = |line: &&str| line.chars().count() > COLUMNS_MAX;
    complain(file, &file.text, wide, format!("is wider than {COLUMNS_MAX} columns"))
}

fn length(file: &File) -> Vec<String> {
    let allowed = LONG_FILES.iter().find(|(path, ..)| *path == file.path);
    let most = match allowed {
        Some((_, lines, _)) => *lines,
        None if file.is_script() => SCRIPT_LINES_MAX,
        None => FILE_LINES_MAX,
    };
    let lines = file.text.lines().count();
    if (file.is_rust() || file.is_script()) && lines > most {
        return vec![format!("{} has {lines} lines, {most} are allowed", file.path)];
    }
    Vec::new()
}

fn opening(file: &File) -> Vec<String> {
    let mut lines = file.text.lines();
    let opens = match (file.is_rust(), file.is_script()) {
        (true, _) => lines.next().is_some_and(|line| line.starts_with("//! ")),
        (_, true) => {
            lines.next().is_some_and(|line| line.starts_with("#!"))
                && lines.next().is_some_and(|line| line.starts_with("# "))
        }
        _ => true,
    };
    if opens { Vec::new() } else { vec![format!("{} does not say what it is and why", file.path)] }
}

fn unsafe_code(file: &File) -> Vec<String> {
    if !file.is_rust() || UNSAFE_PLACES.iter().any(|(place, _)| file.path.starts_with(place)) {
        return Vec::new();
    }
    let said = |line: &&str| words(line).any(|word| word == concat!("un", "safe"));
    complain(file, &file.code(), said, "has unsafe code outside of its folder".to_owned())
}

fn unfinished(file: &File) -> Vec<String> {
    let notes = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    let noted = |line: &&str| words(line).any(|word| notes.contains(&word));
    let mut found = complain(file, &file.text, noted, "is a note of unfinished work".to_owned());
    if file.is_rust() {
        let macros = [concat!("to", "do!"), concat!("unimple", "mented!"), concat!("db", "g!")];
        let called = |line: &&str| macros.iter().any(|name| line.contains(name));
        found.extend(complain(file, &file.code(), called, "is unfinished code".to_owned()));
    }
    found
}

fn seam(file: &File) -> Vec<String> {
    if !file.path.starts_with("shards/src/path/") || !file.is_rust() {
        return Vec::new();
    }
    let reached = |line: &&str| words(line).any(|word| word == "machine");
    complain(file, &file.code(), reached, "reaches machine/ past world.rs".to_owned())
}

fn planes(file: &File) -> Vec<String> {
    if file.path != "shards/Cargo.toml" {
        return Vec::new();
    }
    let forbidden = |line: &&str| {
        let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
        NOT_IN_SHARDS.contains(&name.trim_matches('"')) || name.starts_with("tokio")
    };
    let package = file.text.find("[dependencies]").unwrap_or(file.text.len());
    complain(file, &file.text[package..], forbidden, "does not belong to the data plane".to_owned())
}

fn dependencies(file: &File) -> Vec<String> {
    if file.path != "Cargo.toml" {
        return Vec::new();
    }
    let ours = file.text.split("[workspace.dependencies]").nth(1).unwrap_or_default();
    let ours = ours.split("\n[").next().unwrap_or_default();
    let bare = |line: &&str| {
        let reason = line.rsplit_once(" # ").is_some_and(|(_, reason)| reason.len() > 10);
        line.contains('=') && !line.contains("path = ") && !reason
    };
    complain(file, ours, bare, "is a dependency without its sentence".to_owned())
}

/// The words of a line: what is between everything that cannot be part of a name.
fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_')
}

fn complain(
    file: &File,
    text: &str,
    wrong: impl Fn(&&str) -> bool,
    sentence: String,
) -> Vec<String> {
    let lines = text.lines().enumerate().filter(|(_, line)| wrong(line));
    lines
        .map(|(at, line)| format!("{}: '{}' {sentence} (line {})", file.path, line.trim(), at + 1))
        .collect()
}

/// What a first reading costs: the files of the way with their lines of code.
fn way(files: &[File]) -> Vec<(&str, usize)> {
    let found = WAY.iter().filter_map(|path| files.iter().find(|file| file.path == *path));
    found.map(|file| (&*file.path, file.code_lines_without_tests())).collect()
}

/// The files of `path/` that nobody has placed on the way or beside it.
fn unplaced(files: &[File]) -> Vec<&str> {
    let stages = files.iter().filter(|file| file.is_rust());
    let stages =
        stages.filter_map(|file| Some((file, file.path.strip_prefix("shards/src/path/")?)));
    let unplaced = stages.filter(|(file, stage)| {
        let beside = BESIDE_THE_WAY.iter().any(|(place, _)| stage.starts_with(place));
        !beside && !WAY.contains(&&*file.path)
    });
    unplaced.map(|(file, _)| &*file.path).collect()
}

const RULES: &[Rule] =
    &[columns, length, opening, unsafe_code, unfinished, seam, planes, dependencies];

#[test]
fn the_repository_is_tidy() {
    let files = repository();
    assert!(files.len() > 20, "the walk found only {} files", files.len());
    let found: Vec<String> =
        files.iter().flat_map(|file| RULES.iter().flat_map(|rule| rule(file))).collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn exceptions_name_files_that_exist() {
    let files = repository();
    let paths = WIDE_FILES.iter().map(|(path, _)| *path);
    for path in paths.chain(LONG_FILES.iter().map(|(path, ..)| *path)) {
        assert!(files.iter().any(|file| file.path == path), "{path} is gone: drop its exception");
    }
}

#[test]
fn a_message_s_way_is_short() {
    let files = repository();
    let way = way(&files);
    let lines: usize = way.iter().map(|(_, lines)| lines).sum();
    for (path, lines) in &way {
        println!("{lines:6} {path}");
    }
    println!("{lines:6} lines of code in {} files", way.len());
    assert_eq!(way.len(), WAY.len(), "a file of the way has moved: mend `WAY`");
    assert_eq!(unplaced(&files), Vec::<&str>::new(), "on the way or beside it?");
    assert!(way.len() <= WAY_FILES_MAX, "{} files, {WAY_FILES_MAX} are allowed", way.len());
    assert!(lines <= WAY_LINES_MAX, "{lines} lines, {WAY_LINES_MAX} are allowed");
}

/// The rule finds something in the bad text and nothing in the good one.
fn shows(rule: Rule, path: &str, bad: &str, good: &str) {
    assert!(!rule(&File::new(path, bad)).is_empty(), "nothing found in {bad:?}");
    assert_eq!(rule(&File::new(path, good)), Vec::<String>::new());
}

#[test]
fn each_rule_can_fail() {
    let word = concat!("un", "safe");
    let note = concat!("TO", "DO");
    shows(columns, "src/a.rs", &"x".repeat(101), &"ü".repeat(100));
    shows(length, "src/a.rs", &"\n".repeat(401), &"\n".repeat(400));
    shows(length, "scripts/a.sh", &"\n".repeat(51), &"\n".repeat(50));
    shows(opening, "src/a.rs", "use std::io;", "//! What this is.\n");
    shows(opening, "scripts/a.sh", "#!/bin/sh\necho", "#!/bin/sh\n# What and why.\n");
    shows(unsafe_code, "src/a.rs", &format!("{word} {{}}"), &format!("// {word}\n\"{word}\""));
    shows(unfinished, "docs/a.md", &format!("{note}: later"), "to do");
    shows(unfinished, "src/a.rs", concat!("to", "do!()"), "done!()");
    shows(seam, "shards/src/path/a.rs", "use crate::machine::ring;", "use crate::world::World;");
    let manifest = "[package]\nname = 'x'\n[dependencies]\n";
    let with = |name: &str| format!("{manifest}{name}.workspace = true\n");
    shows(planes, "shards/Cargo.toml", &with("serde"), &with("rtrb"));
    shows(planes, "shards/Cargo.toml", &with("tokio-util"), &with("ringway-protocol"));
    let listed = |line: &str| format!("[workspace.dependencies]\n{line}\n[package]\nname = 'x'");
    let reasoned = listed("rtrb = '1' # a wait-free ring");
    shows(dependencies, "Cargo.toml", &listed("rtrb = '1'"), &reasoned);
}

#[test]
fn the_length_of_the_way_counts_code_alone() {
    let text = "//! A stage.\n\nfn f() {} // why\n/* why */\n#[cfg(test)]\nmod tests {\n}\n";
    let files = [
        File::new("shards/src/path/accept.rs", text),
        File::new("shards/src/path/queue/waits/mod.rs", text),
        File::new("shards/src/path/detour.rs", text),
        File::new("shards/src/stats.rs", text),
    ];
    assert_eq!(way(&files), [("shards/src/path/accept.rs", 1)]);
    assert_eq!(unplaced(&files), ["shards/src/path/detour.rs"]);
}

#[test]
fn code_is_what_is_left_without_comments_and_literals() {
    for (text, code) in [
        ("a // b\nc", "a     \nc"),
        ("a /* b /* c */ d */ e", "a                   e"),
        ("f(\"x\\\"y\") g", "f(      ) g"),
        ("f(r#\"x\"y\"#) g", "f(        ) g"),
        ("b'x' 'y' '\\'' 'a: loop", "              'a: loop"),
        ("r#type barb", "r#type barb"),
    ] {
        assert_eq!(code_of(text), code, "{text}");
    }
}
