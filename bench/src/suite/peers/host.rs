//! A server that the host has, started for one measurement: on a free loopback port, pinned to one
//! CPU, without persistence, and gone when dropped.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::suite::figure::Failure;

const START_MAX: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// How a server of the host is started.
#[derive(Clone, Copy, Debug)]
pub(in crate::suite) struct Program {
    /// Its name on the path.
    pub(in crate::suite) name: &'static str,
    /// The package that has it.
    pub(in crate::suite) package: &'static str,
    /// What makes it listen on 127.0.0.1 alone and store nothing; the port follows.
    pub(in crate::suite) arguments: &'static [&'static str],
    /// What is asked until it answers as expected.
    pub(in crate::suite) hello: (&'static str, &'static str),
}

/// Redis without snapshots and without a log.
pub(in crate::suite) const REDIS: Program = Program {
    name: "redis-server",
    package: "redis-server",
    arguments: &["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"],
    hello: ("PING\r\n", "+PONG\r\n"),
};

/// beanstalkd without a log.
pub(in crate::suite) const BEANSTALKD: Program = Program {
    name: "beanstalkd",
    package: "beanstalkd",
    arguments: &["-l", "127.0.0.1", "-p"],
    hello: ("list-tube-used\r\n", "USING default\r\n"),
};

/// A running server of the host.
pub(in crate::suite) struct HostServer {
    child: Child,
    /// Where it listens, on loopback.
    pub(in crate::suite) port: u16,
}

impl HostServer {
    /// Starts `program` on `cpu` and waits until it answers.
    pub(in crate::suite) fn start(program: &Program, cpu: usize) -> Result<Self, Failure> {
        let Program { name, package, .. } = program;
        if !is_installed(name) {
            let told = format!(
                "{name} was not measured: not installed, install with apt-get install {package}."
            );
            return Err(Failure::NotInstalled(told));
        }
        // Neither of them takes port 0: this one was free a moment ago.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let child = pinned(cpu, name)
            .args(program.arguments)
            .arg(port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut server = Self { child, port };
        let began = Instant::now();
        while began.elapsed() < START_MAX {
            if answers(port, program.hello) {
                return Ok(server);
            }
            if let Some(status) = server.child.try_wait()? {
                return Err(Failure::Failed(format!("{name} ended with {status}")));
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        Err(Failure::Failed(format!("{name} did not answer within {START_MAX:?}")))
    }

    /// Its process id: taskset became the server.
    pub(in crate::suite) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for HostServer {
    fn drop(&mut self) {
        // Both fail only when the child has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether the path has `program`.
pub(in crate::suite) fn is_installed(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|at| at.join(program).is_file()))
}

/// `program` on one CPU; taskset becomes it, so the child's id is the program's.
pub(in crate::suite) fn pinned(cpu: usize, program: &str) -> Command {
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", &cpu.to_string(), program]);
    command
}

fn answers(port: u16, (asked, expected): (&str, &str)) -> bool {
    let ask = || -> io::Result<bool> {
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        socket.write_all(asked.as_bytes())?;
        let mut answer = vec![0; expected.len()];
        match socket.read_exact(&mut answer) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
            other => other.map(|()| answer == expected.as_bytes()),
        }
    };
    ask().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_installed_is_named_with_its_remedy() {
        let program = Program { name: "ringway-no-such-server", ..REDIS };
        let failure = HostServer::start(&program, 0).err().expect("it is not there");
        let told = "ringway-no-such-server was not measured: not installed, install with \
                    apt-get install redis-server.";
        assert_eq!(failure, Failure::NotInstalled(told.into()));
    }

    #[test]
    fn a_server_that_ends_is_a_failure() {
        let cpu = core_affinity::get_core_ids().expect("this host tells its CPUs")[0].id;
        let ends = Program { name: "false", ..REDIS };
        let failure = HostServer::start(&ends, cpu).err().expect("it ended").to_string();
        assert!(failure.contains("ended with exit status: 1"), "{failure}");
    }
}
