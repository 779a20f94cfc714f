//! Messages as JSON. Ids, leases and sequences are texts: they use all of 64 bits, and readers like
//! jq 1.6 keep 53.

use ringway_client::{Attribute, Browsed, Message, Record, Taken};
use serde_json::{Map, Value, json};

use super::moment::Moment;

/// A delivery with its lease.
pub fn delivery(taken: &Taken, name: &str) -> Value {
    json!({
        "queue": name,
        "lease": taken.lease.0.to_string(),
        "lease_ms": taken.lease_ms,
        "dropped": taken.dropped,
        "messages": taken.messages().map(|it| message(taken, &it)).collect::<Vec<_>>(),
    })
}

/// One message of a delivery.
pub fn message(taken: &Taken, message: &Message<'_>) -> Value {
    let mut entry = json!({
        "index": message.index,
        "id": format!("{:x}-{}", taken.queue.0, message.sequence),
        "sequence": message.sequence.to_string(),
        "deliveries": message.deliveries,
    });
    record(&mut entry, &message.record);
    entry
}

/// A message that was looked at where it stands.
pub fn browsed(browsed: &Browsed) -> Value {
    let standing = &browsed.standing;
    let mut entry = json!({
        "sequence": standing.sequence.to_string(),
        "state": standing.state.as_str(),
        "deliveries": standing.deliveries,
        "put": Moment::of_ms(standing.put_ms).to_string(),
        "put_ms": standing.put_ms,
    });
    if standing.due_ms != 0 {
        entry["due"] = Moment::of_ms(standing.due_ms).to_string().into();
        entry["due_ms"] = standing.due_ms.into();
    }
    record(&mut entry, &browsed.record());
    entry
}

/// Text stays text; other bytes become hexadecimal digits under a name of their own.
pub fn record(entry: &mut Value, record: &Record<'_>) {
    let (key, value) = bytes_field("payload", record.payload);
    entry[key] = value;
    let mut attributes: Map<_, _> = record.attributes().filter_map(attribute).collect();
    let headers: Vec<Value> = record.headers().map(header).collect();
    if !headers.is_empty() {
        attributes.insert("headers".to_owned(), headers.into());
    }
    if !attributes.is_empty() {
        entry["attributes"] = attributes.into();
    }
}

/// An attribute that is there once at most.
fn attribute(attribute: Attribute<'_>) -> Option<(String, Value)> {
    Some(match attribute {
        Attribute::Key(key) => bytes_field("key", key),
        Attribute::DelayMs(delay) => ("delay_ms".to_owned(), delay.into()),
        Attribute::TimeToLiveMs(time) => ("time_to_live_ms".to_owned(), time.into()),
        Attribute::AtMs(time) => ("at_ms".to_owned(), time.into()),
        Attribute::Priority(band) => ("priority".to_owned(), band.into()),
        Attribute::DeduplicationId(id) => bytes_field("deduplication_id", id),
        Attribute::Header { .. } => return None,
    })
}

/// Headers may repeat, so they are a list.
fn header((name, value): (&str, &[u8])) -> Value {
    let fields = [("name".to_owned(), Value::from(name)), bytes_field("value", value)];
    Value::from(Map::from_iter(fields))
}

fn bytes_field(name: &str, bytes: &[u8]) -> (String, Value) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (name.to_owned(), text.into()),
        Err(_) => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            (format!("{name}_hex"), digits.into())
        }
    }
}
