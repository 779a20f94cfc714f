//! What the program says and returns when it cannot do what it was asked.

use std::fmt::Display;
use std::process::ExitCode;

use serde_json::{Value, json};

/// Why a command ended without its result: a sentence, what to do about it, and the exit code.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    code: u8,
    text: String,
    /// What scripts call it.
    name: String,
}

/// What every command returns.
pub type Outcome = Result<(), Failure>;

impl Failure {
    /// The operation failed, or a check found something: exit code 1.
    pub fn failed(sentence: impl Display, remedy: impl Display) -> Self {
        Self::new(1, sentence, remedy)
    }

    /// The command line, the environment or the configuration file is wrong: exit code 2.
    pub fn usage(sentence: impl Display, remedy: impl Display) -> Self {
        Self::new(2, sentence, remedy)
    }

    /// This host cannot run the plane: exit code 78, as in sysexits' `EX_CONFIG`.
    pub fn unable(sentence: impl Display, remedy: impl Display) -> Self {
        Self::new(78, sentence, remedy)
    }

    /// Exit code 1 after the command has already said what there is to say.
    pub fn said() -> Self {
        Self { code: 1, text: String::new(), name: "Failed".to_owned() }
    }

    fn new(code: u8, sentence: impl Display, remedy: impl Display) -> Self {
        let name = if code == 2 { "Usage" } else { "Failed" };
        Self { code, text: format!("{sentence}; {remedy}"), name: name.to_owned() }
    }

    /// The same under a name of its own, such as that of the server's code.
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// The failure for a script: its name and the line that is on stderr.
    pub fn document(&self) -> Value {
        json!({ "error": { "code": self.name, "sentence": self.text } })
    }

    /// Prints the one line on stderr and gives the code for `main` to return.
    pub fn report(&self) -> ExitCode {
        if !self.text.is_empty() {
            eprintln!("ringway: {}", self.text);
        }
        ExitCode::from(self.code)
    }
}

#[cfg(test)]
mod tests {
    use super::Failure;

    #[test]
    fn a_failure_is_one_line_with_cause_and_remedy() {
        let failure = Failure::usage("the port is not a number", "give one, like 7311");
        assert_eq!(failure.text, "the port is not a number; give one, like 7311");
        assert_eq!((failure.code, Failure::said().code), (2, 1));
        assert_eq!(failure.document()["error"]["code"], "Usage");
    }
}
