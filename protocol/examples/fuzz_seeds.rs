//! Writes the examples of `docs/protocol.md` as seeds for the fuzz targets into the given folder.
//!
//! The page shows every kind of frame once, so the fuzzer starts with all of them:
//! `cargo run -p ringway-protocol --example fuzz_seeds -- fuzz/corpus`

#[path = "../tests/documentation/mod.rs"]
mod documentation;

use std::path::Path;
use std::{fs, io};

use ringway_protocol::frame::HEADER_BYTES;
use ringway_protocol::request::PUT_PREFIX_BYTES;

fn write(folder: &Path, target: &str, name: &str, parts: &[&[u8]]) -> io::Result<()> {
    let folder = folder.join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(format!("documented-{name}")), parts.concat())
}

fn main() -> io::Result<()> {
    let Some(folder) = std::env::args_os().nth(1) else {
        eprintln!("usage: fuzz_seeds FOLDER");
        std::process::exit(2);
    };
    let folder = Path::new(&folder);
    let mut stream = vec![128];
    for (name, frame) in documentation::examples() {
        let body = &frame[HEADER_BYTES..];
        // The first byte of this target's input says where to cut.
        write(folder, "frame", name, &[&[128], &frame])?;
        stream.extend_from_slice(&frame);
        let target = if name.ends_with("-request") { "request" } else { "reply" };
        write(folder, target, name, &[&frame])?;
        match name {
            // The first byte of this target's input counts the records.
            "bind-request" => write(folder, "pattern", name, &[&body[8..], b"\norders.new.eu"])?,
            "put-request" => write(folder, "records", name, &[&[2], &body[PUT_PREFIX_BYTES..]])?,
            "greet-request" | "greet-reply" => write(folder, "greeting", name, &[body])?,
            _ => {}
        }
    }
    write(folder, "frame", "everything", &[&stream])
}
