//! What a message asks for, as flags: shared by all that put one.

use std::str::FromStr;

use clap::Args;
use ringway_client::NewMessage;
use ringway_protocol::limits::DURATION_MS_MAX;

use super::moment::Moment;
use crate::units::Span;

/// The flags that say how messages are queued; they count for every message of the command.
#[derive(Args, Default)]
pub struct MessageArguments {
    /// Messages with one key are delivered one at a time, in order
    #[arg(long, value_name = "KEY")]
    key: Option<String>,

    /// How long until they become ready
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true, conflicts_with = "at",
        value_parser = Span::within(0, DURATION_MS_MAX))]
    delay: Option<Span>,

    /// When they become ready, in UTC: 2026-11-21T10:00:00Z
    #[arg(long, value_name = "TIME")]
    at: Option<Moment>,

    /// How long until nobody gets them any more
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true,
        value_parser = Span::within(0, DURATION_MS_MAX))]
    ttl: Option<Span>,

    /// 0 to 7; 7 goes first
    #[arg(long, value_name = "BAND", value_parser = clap::value_parser!(u8).range(0..=7))]
    priority: Option<u8>,

    /// Names one message: a repeat within the queue's --dedup is stored once
    #[arg(long, value_name = "ID")]
    dedup_id: Option<String>,

    /// A named value for the consumer; may be given again
    #[arg(long, value_name = "NAME=VALUE")]
    header: Vec<HeaderText>,
}

/// A header as people write it: `NAME=VALUE`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeaderText {
    pub name: String,
    pub value: String,
}

impl FromStr for HeaderText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => {
                Ok(Self { name: name.to_owned(), value: value.to_owned() })
            }
            _ => Err(format!("'{text}' is not a header: write NAME=VALUE")),
        }
    }
}

impl MessageArguments {
    /// Whether the flags name a single message.
    pub fn names_one(&self) -> bool {
        self.dedup_id.is_some()
    }

    /// A message with this payload and all that the flags ask for.
    pub fn message<'a>(&'a self, payload: &'a [u8]) -> NewMessage<'a> {
        let mut message = NewMessage::new(payload).priority(self.priority.unwrap_or(0));
        if let Some(key) = &self.key {
            message = message.key(key);
        }
        if let Some(Span(delay)) = self.delay {
            message = message.delay(delay);
        }
        if let Some(Moment(time)) = self.at {
            message = message.at(time);
        }
        if let Some(Span(time)) = self.ttl {
            message = message.time_to_live(time);
        }
        if let Some(id) = &self.dedup_id {
            message = message.deduplication_id(id);
        }
        for HeaderText { name, value } in &self.header {
            message = message.header(name.as_str(), value);
        }
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_as_people_write_them() {
        let header = |text: &str| text.parse::<HeaderText>().map(|it| (it.name, it.value));
        assert_eq!(header("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert_eq!(header("a="), Ok(("a".to_owned(), String::new())));
        assert!(header("=b").is_err() && header("a").is_err());
    }
}
