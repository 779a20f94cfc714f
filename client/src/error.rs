//! What can go wrong on a connection, and what it says about the fate of a request.

use std::io;
use std::time::Duration;

use ringway_protocol::{Code, Rejection};

/// Why a request has no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing was reached at the address.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// As it was asked for.
        address: String,
        /// What the host said.
        source: io::Error,
    },
    /// The socket failed. The connection is unusable.
    #[error("the connection failed: {0}; whether the request was carried out is unknown")]
    Io(#[source] io::Error),
    /// The reply did not come in time. The connection is unusable: the reply may still come.
    #[error("no reply within {after:?}; whether the request was carried out is unknown")]
    Timeout {
        /// How long the client waited.
        after: Duration,
    },
    /// Nobody answered a request in time: the message may wait, be worked on, or be done. The
    /// connection is as good as before.
    #[error("no answer within {after:?}; whether somebody works on the request is unknown")]
    NoAnswer {
        /// How long the client waited.
        after: Duration,
    },
    /// The server read the request and did not carry it out.
    #[error("{sentence} (code {}: {})", *code as u16, code.remedy())]
    Refused {
        /// The stable code.
        code: Code,
        /// What was wrong.
        sentence: String,
    },
    /// The server said why, then closed. The connection is unusable.
    #[error(
        "the server closed the connection: {sentence} (code {}: {})",
        *code as u16,
        code.remedy()
    )]
    Goodbye {
        /// The stable code.
        code: Code,
        /// What was wrong.
        sentence: String,
    },
    /// The server closed without a goodbye. The connection is unusable.
    #[error("the server closed the connection; whether the request was carried out is unknown")]
    Closed,
    /// The server's bytes make no sense. The connection is unusable.
    #[error("the server does not follow the protocol: {0}")]
    Protocol(&'static str),
    /// The request breaks a limit of the protocol. Nothing was sent.
    #[error("nothing was sent: {0}")]
    Invalid(#[source] Rejection),
    /// An earlier error broke the connection. Nothing was sent: connect again.
    #[error("the connection is unusable since an earlier error: {0}")]
    Unusable(String),
}

impl Error {
    /// Whether the request may have been carried out although no reply says so.
    pub fn fate_unknown(&self) -> bool {
        match self {
            Error::Io(_) | Error::Timeout { .. } | Error::Closed | Error::Protocol(_) => true,
            Error::NoAnswer { .. } => true,
            // The goodbye names what ended the connection, not what became of the request.
            Error::Goodbye { .. } => true,
            Error::Connect { .. } | Error::Refused { .. } => false,
            Error::Invalid(_) | Error::Unusable(_) => false,
        }
    }

    /// Whether the connection cannot be used after this error.
    pub fn ends_connection(&self) -> bool {
        match self {
            Error::Refused { code, .. } => code.closes(),
            Error::Invalid(_) | Error::NoAnswer { .. } => false,
            _ => true,
        }
    }

    /// The code of a refusal or of the server's last words.
    pub fn code(&self) -> Option<Code> {
        match self {
            Error::Refused { code, .. } | Error::Goodbye { code, .. } => Some(*code),
            Error::Invalid(rejection) => Some(rejection.code),
            _ => None,
        }
    }

    /// The error of a failed read or write.
    pub(crate) fn from_io(error: io::Error, waited: Duration) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Error::Timeout { after: waited },
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionAborted => Error::Closed,
            _ => Error::Io(error),
        }
    }
}
