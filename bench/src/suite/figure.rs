//! One measured quantity, its unit, and how it is shown.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// Messages a second; of operations, messages put, taken and acknowledged.
    MessagesPerSecond,
    /// Bytes of payload a second.
    BytesPerSecond,
    /// Median, nanoseconds.
    P50Ns,
    /// 95th percentile, nanoseconds.
    P95Ns,
    /// 99th percentile, nanoseconds.
    P99Ns,
    /// 99.9th percentile, nanoseconds.
    P999Ns,
    /// The longest, nanoseconds.
    MaxNs,
    /// 99.99th percentile, nanoseconds.
    P9999Ns,
    /// The same with what the host took in between.
    WallP9999Ns,
    /// Time in which the host ran something else on a shard's CPU while it had something to do.
    KeptOffNs,
    /// The longest when many things are due together, nanoseconds.
    BurstMaxNs,
    /// 99.9th percentile divided by the median.
    TailOverMedian,
    /// Time of one message when many go together, nanoseconds.
    NsPerMessage,
    /// Nanoseconds to schedule one message.
    ScheduleNs,
    /// Nanoseconds in which one scheduled message becomes due.
    DueNs,
    /// Nanoseconds to take one message that has become due and to acknowledge it.
    DeliverNs,
    /// What memory alone costs of one such message, nanoseconds.
    MemoryNs,
    /// Server CPU time of one message, nanoseconds.
    ServerCpuNsPerMessage,
    /// Messages of one second of server CPU time: the same, with more for better.
    MessagesPerServerCpuSecond,
    /// Allocations of one operation.
    AllocationsPerOperation,
    /// Bytes allocated for one operation.
    AllocatedBytesPerOperation,
    /// Bytes of memory for one message, without its payload.
    BytesBeyondPayload,
    /// Bytes of memory for a queue that is empty, its name included.
    BytesPerQueue,
    /// How many connections there were.
    Connections,
    /// What one reading of the clock costs, nanoseconds.
    ClockNs,
    /// Share of one core, percent.
    CpuPercent,
    /// Resident memory, bytes.
    ResidentBytes,
}

impl Figure {
    /// `value` with the unit a person reads.
    #[must_use]
    pub fn show(self, value: f64) -> String {
        match self {
            Self::MessagesPerSecond | Self::MessagesPerServerCpuSecond => {
                scaled(value, 1e3, &["/s", " K/s", " M/s", " G/s"])
            }
            Self::BytesPerSecond => scaled(value, 1e3, &[" B/s", " KB/s", " MB/s", " GB/s"]),
            Self::P50Ns
            | Self::P95Ns
            | Self::P99Ns
            | Self::P999Ns
            | Self::P9999Ns
            | Self::WallP9999Ns
            | Self::KeptOffNs
            | Self::MaxNs
            | Self::BurstMaxNs
            | Self::ScheduleNs
            | Self::DueNs
            | Self::DeliverNs
            | Self::MemoryNs
            | Self::NsPerMessage
            | Self::ClockNs
            | Self::ServerCpuNsPerMessage => scaled(value, 1e3, &[" ns", " us", " ms", " s"]),
            Self::TailOverMedian => format!("{} x", digits(value)),
            Self::AllocationsPerOperation | Self::Connections => digits(value),
            Self::AllocatedBytesPerOperation | Self::BytesBeyondPayload | Self::BytesPerQueue => {
                format!("{} B", digits(value))
            }
            Self::CpuPercent => format!("{} %", digits(value)),
            Self::ResidentBytes => scaled(value, 1024.0, &[" B", " KiB", " MiB", " GiB"]),
        }
    }
}

/// `value` in the largest unit in which it is at least 1.
fn scaled(value: f64, step: f64, units: &[&str]) -> String {
    let mut value = value;
    for unit in &units[..units.len() - 1] {
        if value.abs() < step {
            return digits(value) + unit;
        }
        value /= step;
    }
    digits(value) + units[units.len() - 1]
}

/// `value` with about three digits, as many as repeated measurements share.
pub(super) fn digits(value: f64) -> String {
    let text = match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0..100.0 => format!("{value:.1}"),
        0.01..0.1 => format!("{value:.3}"),
        0.0001..0.01 => format!("{value:.4}"),
        _ => format!("{value:.2}"),
    };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
}

/// Everything that one measurement gave.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures(BTreeMap<Figure, f64>);

impl Figures {
    /// The value of `figure`, if this measurement had it.
    #[must_use]
    pub fn get(&self, figure: Figure) -> Option<f64> {
        self.0.get(&figure).copied()
    }

    /// These and `figure`, where `value` is known.
    #[must_use]
    pub fn with(mut self, figure: Figure, value: Option<f64>) -> Self {
        self.0.extend(value.map(|value| (figure, value)));
        self
    }

    /// These and what the server's CPU time of one message says, where it is known: ratios of CPU
    /// time are targets of the kind "so many times as good" only the other way round.
    #[must_use]
    pub fn with_server_cpu(self, ns_per_message: Option<f64>) -> Self {
        let per_second = ns_per_message.filter(|ns| *ns > 0.0).map(|ns| 1e9 / ns);
        self.with(Figure::ServerCpuNsPerMessage, ns_per_message)
            .with(Figure::MessagesPerServerCpuSecond, per_second)
    }
}

impl<const N: usize> From<[(Figure, f64); N]> for Figures {
    fn from(figures: [(Figure, f64); N]) -> Self {
        Self(figures.into())
    }
}

/// Why a measurement gave nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A program that is not ours is missing; the sentence says what to install.
    NotInstalled(String),
    /// It was tried and did not work.
    Failed(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInstalled(told) | Self::Failed(told) => out.write_str(told),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(figure: Figure, value: f64, wanted: &str) {
        assert_eq!(figure.show(value), wanted);
    }

    #[test]
    fn server_cpu_is_told_both_ways_round() {
        let figures = Figures::default().with_server_cpu(Some(250.0));
        assert_eq!(figures.get(Figure::ServerCpuNsPerMessage), Some(250.0));
        assert_eq!(figures.get(Figure::MessagesPerServerCpuSecond), Some(4e6));
        assert_eq!(Figures::default().with_server_cpu(None), Figures::default());
        let none = Figures::default().with_server_cpu(Some(0.0));
        assert_eq!(none.get(Figure::MessagesPerServerCpuSecond), None, "nothing divides by zero");
    }

    #[test]
    fn units() {
        check(Figure::MessagesPerSecond, 20_000_000.0, "20 M/s");
        check(Figure::MessagesPerSecond, 149_320.0, "149 K/s");
        check(Figure::BytesPerSecond, 3_123_000_000.0, "3.12 GB/s");
        check(Figure::P50Ns, 60.0, "60 ns");
        check(Figure::P50Ns, 5_912.0, "5.91 us");
        check(Figure::MaxNs, 3.2e9, "3.2 s");
        check(Figure::NsPerMessage, 14.96, "15 ns");
        check(Figure::ServerCpuNsPerMessage, -3.456, "-3.46 ns");
        check(Figure::TailOverMedian, 9.96, "9.96 x");
        check(Figure::TailOverMedian, 0.0158, "0.016 x");
        check(Figure::TailOverMedian, 0.0033, "0.0033 x");
        check(Figure::AllocationsPerOperation, 0.0, "0");
        check(Figure::AllocatedBytesPerOperation, 152.0, "152 B");
        check(Figure::BytesBeyondPayload, 36.42, "36.4 B");
        check(Figure::Connections, 9_990.0, "9990");
        check(Figure::CpuPercent, 0.5, "0.5 %");
        check(Figure::ResidentBytes, 30.0 * 1024.0 * 1024.0, "30 MiB");
    }
}
