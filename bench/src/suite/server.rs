//! `ringway serve` as a child process, pinned to its CPUs and gone when dropped.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::figure::Failure;

/// Starting means probing the host, building rings and binding: far less than this.
const START_MAX: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// Characters of the server's own words that a failure repeats.
const TOLD_MAX: usize = 600;

/// A running server.
pub(super) struct Server {
    child: Child,
    address: String,
    _files: Files,
}

impl Server {
    /// Starts `program serve` with `flags` and waits until it serves.
    pub(super) fn start(program: &Path, flags: &[String]) -> Result<Self, Failure> {
        let files = Files::new()?;
        let mut child = ringway(program)
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(flags)
            .arg("--port-file")
            .arg(&files.address)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&files.log)?)
            .spawn()
            .map_err(|error| {
                let told = format!(
                    "{} does not start ({error}): build it with cargo build --release",
                    program.display()
                );
                Failure::Failed(told)
            })?;
        match serving_at(&mut child, &files) {
            Ok(address) => Ok(Self { child, address, _files: files }),
            Err(failure) => {
                stop(&mut child);
                Err(failure)
            }
        }
    }

    /// Where it listens, as `host:port`.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Its process id.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        stop(&mut self.child);
    }
}

/// `program` with the settings of its flags alone: what the caller's environment says about his own
/// servers must not change what is measured.
pub(super) fn ringway(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("RINGWAY_") {
            command.env_remove(name);
        }
    }
    command
}

/// Ends it at once: what its queues hold is of no interest, and a drain would wait for takers.
fn stop(child: &mut Child) {
    // Both fail only when the child has ended already.
    let _ = child.kill();
    let _ = child.wait();
}

/// Waits for the whole line that the server writes when it serves.
fn serving_at(child: &mut Child, files: &Files) -> Result<String, Failure> {
    let began = Instant::now();
    while began.elapsed() < START_MAX {
        if let Some((address, _)) =
            fs::read_to_string(&files.address).unwrap_or_default().split_once('\n')
        {
            return Ok(address.trim().to_owned());
        }
        if let Some(status) = child.try_wait()? {
            let told = format!("ringway serve ended with {status}: {}", files.told());
            return Err(Failure::Failed(told));
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    let told = format!("ringway serve did not serve within {START_MAX:?}: {}", files.told());
    Err(Failure::Failed(told))
}

/// The two files of one server, removed when dropped.
struct Files {
    address: PathBuf,
    log: PathBuf,
}

impl Files {
    fn new() -> io::Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let stem = format!("ringway-suite-{}-{number}", std::process::id());
        let at = |kind: &str| std::env::temp_dir().join(format!("{stem}.{kind}"));
        let files = Self { address: at("address"), log: at("log") };
        // An earlier process of the same id may have been killed before it tidied up.
        match fs::remove_file(&files.address) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(files),
        }
    }

    /// The end of what the server said.
    fn told(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let skipped = log.chars().count().saturating_sub(TOLD_MAX);
        log.chars().skip(skipped).collect::<String>().trim().to_owned()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.address);
        let _ = fs::remove_file(&self.log);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A program of a few lines of shell that stands in for `ringway`, removed when dropped.
    pub(in crate::suite) struct Script {
        pub(in crate::suite) path: PathBuf,
    }

    impl Script {
        /// `name` tells the scripts of different tests apart.
        pub(in crate::suite) fn new(name: &str, lines: &str) -> Self {
            let name = format!("ringway-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(name);
            // A shell writes it: a descriptor open for writing here could be inherited by a child
            // that another test starts just then, and the kernel runs no file that is open so.
            let written = Command::new("sh")
                .args(["-c", "printf '#!/bin/sh\n%s\n' \"$1\" > \"$0\" && chmod 755 \"$0\""])
                .args([path.as_os_str(), lines.as_ref()])
                .status();
            assert!(written.is_ok_and(|status| status.success()), "{} is written", path.display());
            Self { path }
        }
    }

    impl Drop for Script {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.path);
        }
    }

    /// Serves nothing, but tells an address and stays: `$7` is the value of `--port-file` after
    /// `serve --listen ADDRESS --shards 1 --port-file`.
    const STAYS: &str = "echo 127.0.0.1:4711 > $7; exec sleep 60";

    fn flags() -> Vec<String> {
        vec!["--shards".into(), "1".into()]
    }

    #[test]
    fn it_starts_tells_its_address_and_is_gone_after() {
        let script = Script::new("stays", STAYS);
        let server = Server::start(&script.path, &flags()).expect("it serves");
        assert_eq!(server.address(), "127.0.0.1:4711");
        let running = PathBuf::from(format!("/proc/{}", server.id()));
        let files = [server._files.address.clone(), server._files.log.clone()];
        assert!(running.exists());
        drop(server);
        assert!(!running.exists() && !files[0].exists() && !files[1].exists());
    }

    #[test]
    fn a_server_that_ends_says_why() {
        let script = Script::new("ends", "echo io_uring is blocked here >&2; exit 78");
        let failure = Server::start(&script.path, &flags()).err().expect("it ended").to_string();
        assert!(failure.contains("78") && failure.contains("io_uring is blocked"), "{failure}");
    }

    #[test]
    fn a_missing_program_says_what_to_do() {
        let failure = Server::start(Path::new("/nowhere/ringway"), &flags()).err();
        assert!(failure.expect("it is missing").to_string().contains("cargo build --release"));
    }
}
