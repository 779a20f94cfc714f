//! How the tests run the program: once to its end, or as a server that cannot be left behind.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use ringway_client::{Client, Options};
use tempfile::TempDir;

/// Longer than anything here takes on a slow and busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program, without variables that would change what it does.
pub fn ringway() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringway"));
    for (name, _) in std::env::vars() {
        if name.starts_with("RINGWAY_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// Runs the program to its end.
pub fn run(arguments: &[&str]) -> Finished {
    let output = ringway().args(arguments).output().expect("the program starts");
    Finished::new(output)
}

/// Runs the program to its end with bytes on its stdin.
pub fn run_with_input(arguments: &[&str], input: &[u8]) -> Finished {
    let mut command = ringway();
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let input = input.to_owned();
    // A program that ends early closes the pipe; what it says then is what the test looks at.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("the program ends");
    writer.join().expect("writing does not panic");
    Finished::new(output)
}

/// What a program said, and how it ended.
#[derive(Debug)]
pub struct Finished {
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    pub fn new(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Its stdout, once it ended well.
    pub fn well(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }

    /// Its stderr, once it ended with this code and one line.
    pub fn one_line(self, code: i32) -> String {
        assert_eq!((self.code, self.stderr.lines().count()), (Some(code), 1), "{self:?}");
        self.stderr
    }
}

/// A plane in a process of its own, killed when dropped.
pub struct Server {
    child: Child,
    folder: TempDir,
    pub address: String,
}

impl Server {
    /// Serves on free ports with these further arguments.
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_as(ringway(), arguments)
    }

    /// The same, from a command that already says under which conditions.
    pub fn start_as(mut command: Command, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        make_public(&folder);
        command.args(["serve", "--listen", "127.0.0.1:0", "--port-file"]);
        command.arg(folder.path().join("port")).args(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let child = command.spawn().expect("the program starts");
        let mut server = Self { child, folder, address: String::new() };
        let deadline = Instant::now() + PATIENCE;
        while server.address.is_empty() {
            if let Ok(text) = std::fs::read_to_string(server.port_file()) {
                server.address = text.trim().to_owned();
            } else if let Some(status) = server.child.try_wait().expect("a child can be asked") {
                panic!("the server ended with {status} and said: {}", server.said());
            }
            assert!(Instant::now() < deadline, "the server does not start");
            std::thread::sleep(Duration::from_millis(5));
        }
        server
    }

    pub fn port_file(&self) -> PathBuf {
        self.folder.path().join("port")
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A connection of the client library.
    pub fn client(&self) -> Client {
        Client::connect(&self.address, &Options::default()).expect("the server listens")
    }

    /// `ringway queue` against this server.
    pub fn queue(&self, arguments: &[&str]) -> Finished {
        run(&[&["queue", "--address", &self.address], arguments].concat())
    }

    /// The same with bytes on its stdin.
    pub fn queue_with_input(&self, arguments: &[&str], input: &[u8]) -> Finished {
        run_with_input(&[&["queue", "--address", &self.address], arguments].concat(), input)
    }

    /// Sends a signal: `TERM`, `INT`.
    pub fn signal(&self, name: &str) {
        // The shell's own `kill`, because a library's would be unsafe code.
        let line = format!("kill -{name} {}", self.pid());
        let status = Command::new("sh").args(["-c", &line]).status().expect("a shell");
        assert!(status.success(), "{line}");
    }

    /// Waits for the end: its status, and what it said on stderr.
    pub fn ended(mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be asked") {
                let said = self.said();
                assert!(!self.port_file().exists() || !status.success(), "the port file is left");
                return (status, said);
            }
            assert!(Instant::now() < deadline, "the server does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn said(&mut self) -> String {
        let mut text = String::new();
        let stderr = self.child.stderr.as_mut().expect("stderr is piped");
        stderr.read_to_string(&mut text).expect("the program writes text");
        text
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lets a server that runs as another user write its port file.
fn make_public(folder: &TempDir) {
    use std::os::unix::fs::PermissionsExt;
    let everybody = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(folder.path(), everybody).expect("our own folder");
}
