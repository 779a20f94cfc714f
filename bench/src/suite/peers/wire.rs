//! A connection that speaks in lines, as both peers do: requests gather, one write sends them, and
//! an answer is a line that may be followed by a body whose length it told.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::suite::figure::Failure;

/// A server that says nothing for so long is given up.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of answers that are read at once.
const READ_BYTES: usize = 256 << 10;
/// Longest line: an error of a peer is one sentence.
const LINE_BYTES_MAX: u64 = 4 << 10;
/// Longest body: far above the payloads that are measured.
const BODY_BYTES_MAX: usize = 1 << 20;

/// A connection to a peer.
pub(super) struct Wire {
    socket: TcpStream,
    /// Requests that were not sent yet.
    pub(super) outgoing: Vec<u8>,
    /// What the peer says.
    pub(super) answers: Answers,
}

impl Wire {
    /// Connects to a port of this host.
    pub(super) fn connect(port: u16) -> io::Result<Self> {
        let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let answers = Answers::of(socket.try_clone()?);
        Ok(Self { socket, outgoing: Vec::new(), answers })
    }

    /// Sends what has gathered.
    ///
    /// It blocks where the peer does not read. One that reads nothing until it is read from would
    /// block both for ever; the timeout makes that a failure.
    pub(super) fn send(&mut self) -> io::Result<()> {
        self.socket.write_all(&self.outgoing)?;
        self.outgoing.clear();
        Ok(())
    }
}

/// Answers on their way in.
pub(super) struct Answers {
    source: BufReader<Box<dyn Read + Send>>,
    line: Vec<u8>,
    body: Vec<u8>,
}

impl Answers {
    /// Answers from any source.
    pub(super) fn of(source: impl Read + Send + 'static) -> Self {
        let source = BufReader::with_capacity(READ_BYTES, Box::new(source) as Box<dyn Read + Send>);
        Self { source, line: Vec::new(), body: Vec::new() }
    }

    /// The next line without its end.
    pub(super) fn line(&mut self) -> Result<&str, Failure> {
        self.line.clear();
        (&mut self.source).take(LINE_BYTES_MAX).read_until(b'\n', &mut self.line)?;
        if self.line.is_empty() {
            return Err(Failure::Failed("the peer closed a connection".to_owned()));
        }
        let line = self.line.strip_suffix(b"\r\n").and_then(|line| str::from_utf8(line).ok());
        line.ok_or_else(|| Failure::Failed("the peer sent no line of text".to_owned()))
    }

    /// The next line, which has to be `wanted`.
    pub(super) fn expect(&mut self, wanted: &str) -> Result<(), Failure> {
        match self.line()? {
            line if line == wanted => Ok(()),
            line => Err(unexpected(line, wanted)),
        }
    }

    /// The next `length` bytes, and the end of line after them.
    pub(super) fn body(&mut self, length: usize) -> Result<&[u8], Failure> {
        if length > BODY_BYTES_MAX {
            return Err(Failure::Failed(format!("the peer announced a body of {length} bytes")));
        }
        self.body.resize(length + 2, 0);
        self.source.read_exact(&mut self.body)?;
        match self.body.strip_suffix(b"\r\n") {
            Some(body) => Ok(body),
            None => Err(Failure::Failed("a body is longer than the peer said".to_owned())),
        }
    }
}

/// The peer said `line` where it should have said `wanted`.
pub(super) fn unexpected(line: &str, wanted: &str) -> Failure {
    Failure::Failed(format!("the peer said {line:?} and not {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told<T>(outcome: Result<T, Failure>) -> String {
        outcome.err().expect("it is wrong").to_string()
    }

    #[test]
    fn lines_and_bodies_are_told_apart() {
        let mut answers = Answers::of(&b"RESERVED 7 5\r\na\r\nbc\r\nDELETED\r\nno"[..]);
        assert_eq!(answers.line(), Ok("RESERVED 7 5"));
        assert_eq!(answers.body(5).map(<[u8]>::to_vec), Ok(b"a\r\nbc".to_vec()));
        assert_eq!(answers.expect("DELETED"), Ok(()));
        assert!(told(answers.line()).contains("no line of text"), "it is cut off");
        assert!(told(answers.line()).contains("closed"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let mut answers = Answers::of(&b"-ERR no\r\nabcd"[..]);
        assert_eq!(told(answers.expect("+OK")), "the peer said \"-ERR no\" and not +OK");
        assert!(told(answers.body(1)).contains("longer than"));
        assert!(told(answers.body(1)).contains("fill"), "one byte is left of three");
        assert!(told(answers.body(BODY_BYTES_MAX + 1)).contains("announced"));
        let mut endless = Answers::of(io::repeat(b'x'));
        assert!(told(endless.line()).contains("no line"), "a line has a limit");
    }
}
