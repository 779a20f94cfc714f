//! A message before it is put: its payload, and what it asks of the queue.

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ringway_protocol::Attribute;

/// A message to put, built piece by piece; [`crate::Batch::add`] adds it to a batch.
///
/// ```
/// use std::time::Duration;
/// use ringway_client::{Batch, NewMessage};
///
/// let message = NewMessage::new("charge card 12")
///     .key("customer-9")                       // in order with others of this key
///     .priority(7)                             // before everything of a lower priority
///     .time_to_live(Duration::from_secs(60))   // nobody gets it after a minute
///     .deduplication_id("charge-12")           // a repeat is known by this
///     .header("trace", "a81f");
/// let mut batch = Batch::default();
/// batch.add(&message)?;
/// # Ok::<(), ringway_client::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct NewMessage<'a> {
    payload: Cow<'a, [u8]>,
    key: Option<Cow<'a, [u8]>>,
    due: Option<Due>,
    ttl_ms: Option<u64>,
    priority: u8,
    deduplication: Option<Cow<'a, [u8]>>,
    headers: Vec<(Cow<'a, str>, Cow<'a, [u8]>)>,
}

/// When a message becomes ready.
#[derive(Clone, Copy, Debug)]
enum Due {
    AfterMs(u64),
    AtMs(u64),
}

/// Bytes that a message can be given: borrowed or owned, text or not.
///
/// A payload, a key and the value of a header take `&str`, `&[u8]`, `String` and `Vec<u8>`.
pub trait IntoBytes<'a> {
    /// The bytes.
    fn into_bytes(self) -> Cow<'a, [u8]>;
}

macro_rules! into_bytes {
    ($of:ty, $value:ident => $bytes:expr) => {
        impl<'a> IntoBytes<'a> for $of {
            fn into_bytes(self) -> Cow<'a, [u8]> {
                let $value = self;
                $bytes
            }
        }
    };
}

into_bytes!(&'a str, text => Cow::Borrowed(text.as_bytes()));
into_bytes!(&'a [u8], bytes => Cow::Borrowed(bytes));
into_bytes!(&'a String, text => Cow::Borrowed(text.as_bytes()));
into_bytes!(&'a Vec<u8>, bytes => Cow::Borrowed(bytes.as_slice()));
into_bytes!(String, text => Cow::Owned(text.into()));
into_bytes!(Vec<u8>, bytes => Cow::Owned(bytes));

impl<'a, const N: usize> IntoBytes<'a> for &'a [u8; N] {
    fn into_bytes(self) -> Cow<'a, [u8]> {
        Cow::Borrowed(self)
    }
}

impl<'a> NewMessage<'a> {
    /// A message with this payload, up to 64 KiB, that asks for nothing.
    pub fn new(payload: impl IntoBytes<'a>) -> Self {
        Self {
            payload: payload.into_bytes(),
            key: None,
            due: None,
            ttl_ms: None,
            priority: 0,
            deduplication: None,
            headers: Vec::new(),
        }
    }

    /// Messages with one key are in flight one at a time within a group, in order; 1 to 1,024
    /// bytes.
    pub fn key(mut self, key: impl IntoBytes<'a>) -> Self {
        self.key = Some(key.into_bytes());
        self
    }

    /// It becomes ready so long after it is put, rounded up to a millisecond; takes the place of
    /// [`NewMessage::at`].
    pub fn delay(mut self, delay: Duration) -> Self {
        self.due = Some(Due::AfterMs(milliseconds(delay)));
        self
    }

    /// It becomes ready at this time of the server's wall clock; takes the place of
    /// [`NewMessage::delay`]. A time that is over means at once.
    pub fn at(mut self, time: SystemTime) -> Self {
        let since_1970 = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        self.due = Some(Due::AtMs(milliseconds(since_1970)));
        self
    }

    /// Nobody gets it any more so long after it is put, or after it is due. The queue's own time
    /// to live counts too: the shorter one wins.
    pub fn time_to_live(mut self, time: Duration) -> Self {
        self.ttl_ms = Some(milliseconds(time));
        self
    }

    /// Its priority: 0, the default, to 7, which goes first. A batch refuses what is above.
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }

    /// Names it, so that a repeat within the queue's window is known and stored once; 1 to 1,024
    /// bytes. The queue must have been declared with a `dedup_ms`: without one nothing is
    /// remembered, and a repeat is stored, which no reply tells.
    pub fn deduplication_id(mut self, id: impl IntoBytes<'a>) -> Self {
        self.deduplication = Some(id.into_bytes());
        self
    }

    /// A named value for the consumer; name and value up to 1,023 bytes together. May be called
    /// again, even with the same name; headers keep their order.
    pub fn header(mut self, name: impl Into<Cow<'a, str>>, value: impl IntoBytes<'a>) -> Self {
        self.headers.push((name.into(), value.into_bytes()));
        self
    }

    /// What the consumer gets.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// What it asks for, as attributes of a record.
    pub(crate) fn attributes(&self) -> Vec<Attribute<'_>> {
        let mut attributes = Vec::new();
        attributes.extend(self.key.as_deref().map(Attribute::Key));
        attributes.extend(self.due.map(|due| match due {
            Due::AfterMs(delay) => Attribute::DelayMs(delay),
            Due::AtMs(time) => Attribute::AtMs(time),
        }));
        attributes.extend(self.ttl_ms.map(Attribute::TimeToLiveMs));
        attributes.extend((self.priority > 0).then_some(Attribute::Priority(self.priority)));
        attributes.extend(self.deduplication.as_deref().map(Attribute::DeduplicationId));
        attributes
            .extend(self.headers.iter().map(|(name, value)| Attribute::Header { name, value }));
        attributes
    }
}

/// Whole milliseconds, rounded up: a short time must not become none.
fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_message_asks_for_becomes_attributes() {
        let at = UNIX_EPOCH + Duration::from_millis(1500);
        let key = String::from("k");
        let message = NewMessage::new(vec![1, 2])
            .key(&key)
            .delay(Duration::from_secs(9))
            .at(at)
            .time_to_live(Duration::from_micros(1))
            .priority(3)
            .deduplication_id(b"d")
            .header("a", "1")
            .header("a".to_owned(), vec![2]);
        let expected = [
            Attribute::Key(b"k"),
            Attribute::AtMs(1500),
            Attribute::TimeToLiveMs(1),
            Attribute::Priority(3),
            Attribute::DeduplicationId(b"d"),
            Attribute::Header { name: "a", value: b"1" },
            Attribute::Header { name: "a", value: &[2] },
        ];
        assert_eq!(
            (message.attributes().as_slice(), message.payload()),
            (&expected[..], &[1, 2][..])
        );
        assert_eq!(NewMessage::new("x").priority(0).attributes(), []);
    }
}
