//! A message as a case describes it, and its record in wire format.

use ringway_protocol::{Attribute, Record};

/// What a producer sends.
#[derive(Clone, Default, Debug, PartialEq, Eq)]
pub struct Spec {
    pub payload: Vec<u8>,
    pub key: Option<String>,
    pub delay_ms: Option<u64>,
    /// By the wall clock, since 1970.
    pub at_ms: Option<u64>,
    pub ttl_ms: Option<u64>,
    pub priority: Option<u8>,
    /// The id for deduplication.
    pub dedup: Option<String>,
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Spec {
    /// The record in wire format, written by hand: the tests do not lean on the encoder that the
    /// server uses.
    pub fn record(&self) -> Vec<u8> {
        let mut attributes = Vec::new();
        let mut add = |tag: u8, value: &[u8]| {
            attributes.push(tag);
            attributes.extend_from_slice(&(value.len() as u16).to_le_bytes());
            attributes.extend_from_slice(value);
        };
        self.key.iter().for_each(|key| add(1, key.as_bytes()));
        self.delay_ms.iter().for_each(|delay| add(2, &delay.to_le_bytes()));
        self.ttl_ms.iter().for_each(|ttl| add(3, &ttl.to_le_bytes()));
        self.priority.iter().for_each(|band| add(4, &[*band]));
        self.dedup.iter().for_each(|id| add(5, id.as_bytes()));
        for (name, value) in &self.headers {
            let name = [&[name.len() as u8], name.as_bytes()].concat();
            add(6, &[&name, value.as_slice()].concat());
        }
        self.at_ms.iter().for_each(|at| add(7, &at.to_le_bytes()));
        let length = (attributes.len() + self.payload.len()) as u32;
        let mut record = length.to_le_bytes().to_vec();
        record.extend_from_slice(&(attributes.len() as u32).to_le_bytes());
        [record, attributes, self.payload.clone()].concat()
    }

    /// The message without what its producer asked of the queue that it was put to first.
    pub fn plain(&self) -> Spec {
        Spec { delay_ms: None, at_ms: None, ttl_ms: None, dedup: None, ..self.clone() }
    }

    /// The message as it is moved: it was accepted once, so it is no repeat, and not put off again.
    pub fn moved(&self) -> Spec {
        Spec { delay_ms: None, at_ms: None, dedup: None, ..self.clone() }
    }

    /// The message as text: what the server said of a dead letter, other headers, the payload.
    pub fn text(&self, start_ms: u64) -> String {
        text(&self.headers, &self.payload, start_ms)
    }
}

/// A record as text, see [`Spec::text`].
pub fn record_text(record: &Record<'_>, start_ms: u64) -> String {
    let headers: Vec<_> = record
        .attributes()
        .filter_map(|attribute| match attribute {
            Attribute::Header { name, value } => Some((name.into(), value.to_vec())),
            _ => None,
        })
        .collect();
    text(&headers, record.payload, start_ms)
}

/// `[deliveries 2 of q:0 by default 0..200] a`: reason, count, queue, sequence, group, and the
/// times of the first delivery and the end, in milliseconds after the start of the case.
fn text(headers: &[(String, Vec<u8>)], payload: &[u8], start_ms: u64) -> String {
    let mut text = String::new();
    let said = |name: &str| {
        let header = headers.iter().find(|(header, _)| header == &format!("ringway-{name}"));
        header.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    };
    if let Some(reason) = said("reason") {
        let word = |name: &str| said(name).unwrap_or("-".into());
        let time = |name: &str| match said(name).map(|ms| ms.parse::<i64>().expect("a time")) {
            Some(ms) => (ms - start_ms as i64).to_string(),
            None => "-".into(),
        };
        let sequence = super::words::sequence_text(word("sequence").parse().expect("a sequence"));
        text += &format!(
            "[{reason} {} of {}:{sequence} by {} {}..{}] ",
            word("deliveries"),
            word("queue"),
            word("group"),
            time("first-ms"),
            time("last-ms")
        );
    }
    for (name, value) in headers.iter().filter(|(name, _)| !is_of_letter(name)) {
        text += &format!("{name}:{} ", String::from_utf8_lossy(value));
    }
    text + &shortened(payload)
}

/// Whether a header is one of those that say why a message is a dead letter.
pub fn is_of_letter(name: &str) -> bool {
    const SAID: [&str; 7] =
        ["reason", "deliveries", "queue", "sequence", "group", "first-ms", "last-ms"];
    name.strip_prefix("ringway-").is_some_and(|said| SAID.contains(&said))
}

/// A payload as text: long ones by what they begin with and their length.
fn shortened(payload: &[u8]) -> String {
    let text = String::from_utf8_lossy(payload);
    if payload.len() < 20 && !text.contains('.') {
        return text.into_owned();
    }
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(1).max(1);
    format!("{}*{}", &text[..digits], payload.len())
}
