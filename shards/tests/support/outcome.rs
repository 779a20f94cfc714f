//! What a command came to: compared between the store and the model, and written in the cases.

use std::fmt::{self, Display, Formatter};

use super::words::sequence_text;

/// What became of some messages of a put.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    Stored,
    Duplicate,
    Scheduled,
}

/// Messages of a put that follow each other and met the same fate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PutRun {
    pub first: u64,
    pub count: u64,
    pub what: What,
}

/// A message that was delivered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivered {
    pub sequence: u64,
    pub deliveries: u32,
    pub text: String,
    /// Whether its run ends with it: something that only the store knows.
    pub ends_run: bool,
}

/// What a take or a subscription got.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Delivery {
    /// The lease's number, counted from 1; none if it was acknowledged at once.
    pub lease: Option<usize>,
    pub messages: Vec<Delivered>,
    /// Messages of the group that were dropped since its last delivery.
    pub dropped: u64,
}

/// The outcome of one command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// What its text says.
    Said(String),
    /// A refusal, by the name of its code.
    Refused(String),
    Put(Vec<PutRun>),
    /// A put that waits for room.
    Held,
    /// Messages, or none.
    Delivery(Delivery),
    /// Answers to who waits: the asker, the number of what it asked (waits, subscriptions and held
    /// puts are counted together, from 0), and what came of it.
    Answers(Vec<(String, usize, Outcome)>),
    /// Something that the model does not decide.
    Beyond,
}

impl Outcome {
    pub fn said(text: impl ToString) -> Self {
        Outcome::Said(text.to_string())
    }

    pub fn ok() -> Self {
        Outcome::said("ok")
    }

    pub fn refused(code: &str) -> Self {
        Outcome::Refused(code.into())
    }

    pub fn is_refused(&self) -> bool {
        matches!(self, Outcome::Refused(_))
    }

    /// The outcome without what only the store knows.
    pub fn without_runs(&self) -> Outcome {
        let mut outcome = self.clone();
        let clear = |outcome: &mut Outcome| {
            if let Outcome::Delivery(delivery) = outcome {
                delivery.messages.iter_mut().for_each(|message| message.ends_run = false);
            }
        };
        match &mut outcome {
            Outcome::Answers(answers) => answers.iter_mut().for_each(|(.., o)| clear(o)),
            outcome => clear(outcome),
        }
        outcome
    }

    /// Whether the text in a case is this outcome. `?` in a case is any word; `|`, the end of a
    /// run, counts only if the case has one, and for a side that knows runs.
    pub fn is(&self, expected: &str, knows_runs: bool) -> bool {
        if *self == Outcome::Beyond {
            return true;
        }
        let text = self.to_string();
        let runs = knows_runs && expected.contains('|');
        let words = |text: &str| -> Vec<String> {
            let words = text.split_whitespace().filter(|word| runs || *word != "|");
            words.map(String::from).collect()
        };
        let (expected, found) = (words(expected), words(&text));
        let same = |(expected, found): (&String, &String)| {
            expected == found || expected == "?" || found == "?"
        };
        expected.len() == found.len() && expected.iter().zip(&found).all(same)
    }
}

impl Display for PutRun {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let what = match self.what {
            What::Stored => "",
            What::Duplicate => "duplicate ",
            What::Scheduled => "",
        };
        write!(f, "{what}{}", sequence_text(self.first))?;
        if self.count > 1 { write!(f, "+{}", self.count) } else { Ok(()) }
    }
}

impl Display for Delivery {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(lease) = self.lease {
            write!(f, "lease {lease}: ")?;
        } else if self.messages.is_empty() {
            return write!(f, "nothing");
        }
        for (at, message) in self.messages.iter().enumerate() {
            let space = if at > 0 { " " } else { "" };
            write!(f, "{space}{}", message.text)?;
            if message.deliveries != 1 {
                write!(f, "#{}", message.deliveries)?;
            }
            if message.ends_run && at + 1 < self.messages.len() {
                write!(f, " |")?;
            }
        }
        if self.dropped > 0 { write!(f, " ({} dropped)", self.dropped) } else { Ok(()) }
    }
}

impl Display for Outcome {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Said(text) | Outcome::Refused(text) => write!(f, "{text}"),
            // A put whose messages are all stored in one stretch names the first alone.
            Outcome::Put(runs) => match &runs[..] {
                [PutRun { first, what: What::Stored, .. }] => {
                    write!(f, "{}", sequence_text(*first))
                }
                runs => {
                    let runs: Vec<_> = runs.iter().map(PutRun::to_string).collect();
                    write!(f, "{}", runs.join(", "))
                }
            },
            Outcome::Held => write!(f, "held"),
            Outcome::Delivery(delivery) => write!(f, "{delivery}"),
            Outcome::Answers(answers) if answers.is_empty() => write!(f, "none"),
            Outcome::Answers(answers) => {
                let answer = |(who, _, what): &(String, usize, Outcome)| format!("{who}: {what}");
                let answers: Vec<_> = answers.iter().map(answer).collect();
                write!(f, "{}", answers.join("; "))
            }
            Outcome::Beyond => write!(f, "not decided by the model"),
        }
    }
}
