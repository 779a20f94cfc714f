//! Settings as people write them: durations, sizes, CPU lists, and words that stand for numbers.
//!
//! Each type reads one text form and writes it back, so that flags, environment, file and
//! `--print-config` agree.

use std::fmt::{self, Display};
use std::str::FromStr;
use std::time::Duration;

use ringway_shards::machine::affinity;
use ringway_shards::path::queue::Quota;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A length of time: `50us`, `30s`, `1m 30s`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
pub struct Span(pub Duration);

impl Span {
    /// A span of whole milliseconds.
    pub const fn of_ms(ms: u64) -> Self {
        Self(Duration::from_millis(ms))
    }

    /// A span of whole nanoseconds.
    pub const fn of_ns(ns: u64) -> Self {
        Self(Duration::from_nanos(ns))
    }

    /// Reads a span of so many milliseconds at least and at most: for a flag whose range is known.
    pub fn within(least_ms: u64, most_ms: u64) -> impl Fn(&str) -> Result<Self, String> + Clone {
        let (least, most) = (Self::of_ms(least_ms), Self::of_ms(most_ms));
        move |text| match text.parse() {
            Ok(span) if span < least || span > most => Err(format!("write {least} to {most}")),
            read => read,
        }
    }

    /// The span in milliseconds, the longest one that fits 32 bits at most.
    pub fn ms(self) -> u32 {
        u32::try_from(self.0.as_millis()).unwrap_or(u32::MAX)
    }

    /// The span in nanoseconds, the longest one that fits 64 bits at most.
    pub fn ns(self) -> u64 {
        u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX)
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        humantime::parse_duration(text).map(Self).map_err(|error| {
            format!("'{text}' is not a duration ({error}): write one like 50us, 15s or 2m")
        })
    }
}

impl Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

/// A number of bytes: `1GiB`, `64KiB`, `4096`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
pub struct Size(pub u64);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse::<bytesize::ByteSize>().map(|size| Self(size.as_u64())).map_err(|_| {
            format!("'{text}' is not a size in bytes: write one like 64KiB, 256MiB or 1GiB")
        })
    }
}

impl Display for Size {
    /// The largest unit that says it exactly.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)] {
            if self.0 != 0 && self.0.trailing_zeros() >= shift {
                return write!(f, "{}{unit}", self.0 >> shift);
            }
        }
        write!(f, "{}", self.0)
    }
}

/// How many shards: a number, or `auto` for one on each physical core that is allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ShardCount {
    /// As many as there are allowed physical cores.
    Auto,
    /// Exactly so many.
    Exactly(u64),
}

impl FromStr for ShardCount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            _ => text.parse().map(Self::Exactly).map_err(|_| {
                format!("'{text}' is not a number of shards: write one like 4, or auto")
            }),
        }
    }
}

impl Display for ShardCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Exactly(count) => count.fmt(f),
        }
    }
}

/// Where the shards' own ports are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ShardPorts {
    /// From the port after the plane's on; any free ones if that one is 0.
    Next,
    /// No shard has a port of its own.
    None,
    /// The first shard has this port, the others follow; 0 for any free ones.
    From(u16),
}

impl FromStr for ShardPorts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "next" => Ok(Self::Next),
            "none" => Ok(Self::None),
            _ => text.parse().map(Self::From).map_err(|_| {
                format!("'{text}' is not a port: write a number, 0 for any, next or none")
            }),
        }
    }
}

impl Display for ShardPorts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Next => f.write_str("next"),
            Self::None => f.write_str("none"),
            Self::From(port) => port.fmt(f),
        }
    }
}

/// Logical CPUs as the kernel numbers them: `0-3,8`. Empty for every allowed one.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CpuList(pub Vec<usize>);

impl FromStr for CpuList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "" => Ok(Self::default()),
            text => affinity::parse_cpu_list(text).map(Self).map_err(|error| error.to_string()),
        }
    }
}

impl Display for CpuList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&affinity::format_cpu_list(&self.0))
    }
}

/// Quotas: `orders/=100000,1GiB logs.=0,256MiB` are two. A prefix, then the most messages and the
/// most bytes that all queues whose names start with it may hold together; 0 is no limit.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct QuotaList(pub Vec<Quota>);

impl QuotaList {
    /// One list of several, as flags are given several times.
    pub fn join<S: Serializer>(lists: &[Self], serializer: S) -> Result<S::Ok, S::Error> {
        let all = lists.iter().flat_map(|list| list.0.iter().cloned()).collect();
        Self(all).serialize(serializer)
    }
}

impl FromStr for QuotaList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let quota = |word: &str| {
            let (prefix, bounds) = word.split_once('=')?;
            let (messages, bytes) = bounds.split_once(',')?;
            let (messages_max, Size(bytes_max)) = (messages.parse().ok()?, bytes.parse().ok()?);
            Some(Quota { prefix: prefix.to_owned(), messages_max, bytes_max })
        };
        let quotas = text.split_whitespace().map(quota);
        quotas.collect::<Option<_>>().map(Self).ok_or_else(|| {
            format!("'{text}' is no quota: write PREFIX=MESSAGES,BYTES, like orders/=100000,1GiB")
        })
    }
}

impl Display for QuotaList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, quota) in self.0.iter().enumerate() {
            let Quota { prefix, messages_max, bytes_max } = quota;
            let space = if index > 0 { " " } else { "" };
            write!(f, "{space}{prefix}={messages_max},{}", Size(*bytes_max))?;
        }
        Ok(())
    }
}

/// What a configuration file may hold where a setting is read from text.
#[derive(Deserialize)]
#[serde(untagged)]
enum TextOrNumber {
    Text(String),
    Number(u64),
}

/// Reads a setting from its text form, or from a bare number.
fn from_text<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: FromStr<Err = String>,
    D: Deserializer<'de>,
{
    let text = match TextOrNumber::deserialize(deserializer)? {
        TextOrNumber::Text(text) => text,
        TextOrNumber::Number(number) => number.to_string(),
    };
    text.parse().map_err(de::Error::custom)
}

macro_rules! as_text {
    ($($name:ident)*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self.to_string() {
                    text if text.parse::<i64>().is_ok() => {
                        serializer.serialize_i64(text.parse().expect("it was parsed above"))
                    }
                    text => serializer.serialize_str(&text),
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                from_text(deserializer)
            }
        }
    )*};
}

as_text!(Span Size ShardCount ShardPorts CpuList QuotaList);

#[cfg(test)]
mod tests {
    use super::*;

    /// The text is read, and written as `shown`.
    fn check<T: FromStr<Err = String> + Display>(text: &str, shown: &str) {
        assert_eq!(text.parse::<T>().map(|value| value.to_string()), Ok(shown.to_owned()));
    }

    /// The text is refused with a sentence that quotes it and gives an example.
    fn refuse<T: FromStr<Err = String> + Display>(text: &str) {
        let sentence = text.parse::<T>().map(|value| value.to_string()).expect_err(text);
        assert!(sentence.contains("write"), "{sentence}");
    }

    #[test]
    fn durations() {
        check::<Span>("50us", "50us");
        check::<Span>("90s", "1m 30s");
        check::<Span>("0s", "0s");
        assert_eq!("1m 30s".parse::<Span>().map(Span::ms), Ok(90_000));
        refuse::<Span>("50");
        refuse::<Span>("soon");
        refuse::<Span>("-1s");
        let hour = Span::within(1, 3_600_000);
        assert_eq!(hour("1h"), Ok(Span::of_ms(3_600_000)));
        assert_eq!(hour("61m"), Err("write 1ms to 1h".to_owned()));
        assert!(
            hour("0s").is_err() && hour("soon").is_err_and(|sentence| sentence.contains("soon"))
        );
    }

    #[test]
    fn sizes() {
        check::<Size>("1GiB", "1GiB");
        check::<Size>("1536 KiB", "1536KiB");
        check::<Size>("1000", "1000");
        check::<Size>("1MB", "1000000");
        refuse::<Size>("big");
        refuse::<Size>("-1");
    }

    #[test]
    fn shard_counts_and_ports() {
        check::<ShardCount>("auto", "auto");
        check::<ShardCount>("12", "12");
        refuse::<ShardCount>("all");
        check::<ShardPorts>("none", "none");
        check::<ShardPorts>("next", "next");
        check::<ShardPorts>("0", "0");
        refuse::<ShardPorts>("65536");
    }

    #[test]
    fn quota_lists() {
        check::<QuotaList>("orders/=100000,1GiB", "orders/=100000,1GiB");
        check::<QuotaList>(" a.=0,1MB  =5,0 ", "a.=0,1000000 =5,0");
        check::<QuotaList>("", "");
        refuse::<QuotaList>("orders");
        refuse::<QuotaList>("orders=5");
        refuse::<QuotaList>("orders=many,1GiB");
    }

    #[test]
    fn cpu_lists() {
        check::<CpuList>("0-3,8", "0-3,8");
        check::<CpuList>("8, 1,0", "8,1,0");
        check::<CpuList>("", "");
        refuse::<CpuList>("3-1");
        refuse::<CpuList>("x");
    }
}
