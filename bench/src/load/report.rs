//! What a run found, for machines: the fields of the JSON document.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use ringway_client::Code;
use serde::Serialize;

use crate::load::books::Imbalance;
use crate::load::settings::{Operation, Settings};
use crate::load::tally::{Measured, Tally};
use crate::load::window::Window;
use crate::load::worker::Busy;

/// The result of a run. Later versions add fields and keep these.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Seconds measured.
    pub seconds: f64,
    /// Operations done meanwhile, in messages.
    pub messages: u64,
    /// Operations a second.
    pub messages_per_second: f64,
    /// Payload bytes a second.
    pub bytes_per_second: f64,
    /// Requests answered meanwhile, refusals not counted.
    pub requests: u64,
    /// Requests a second.
    pub requests_per_second: f64,
    /// Open loop: the rate that was asked for.
    pub offered_per_second: Option<f64>,
    /// Latency of a request of any kind, from its (intended) sending to its reply.
    pub latency_ns: Latency,
    /// The same by kind: put, take, ack, nack, echo; `operation` is a whole round of put-take,
    /// `push` goes from the sending of a put to the delivery of its messages.
    pub latency_ns_by_kind: BTreeMap<&'static str, Latency>,
    /// Messages of refused requests, in the whole run.
    pub refused: u64,
    /// Messages of failed requests, lost and duplicated messages, in the whole run.
    pub failed: u64,
    /// Messages put and never delivered, of those failed.
    pub lost: u64,
    /// Messages delivered more often than they were put, of those failed.
    pub duplicate: u64,
    /// Messages that were delivered again because their lease had ended or they were given back.
    pub redelivered: u64,
    /// Messages that were given back.
    pub nacked: u64,
    /// The refusals by their code.
    pub refusals: Vec<Refused>,
    /// What failed, in sentences.
    pub errors: Vec<String>,
    /// What a reader should know before trusting the figures.
    pub warnings: Vec<String>,
    /// What an acknowledgement meant: the lowest level in the replies to puts.
    pub acknowledged: Option<&'static str>,
    /// The run's settings.
    pub settings: Settings,
    /// The run by the shard that owns the queues.
    pub by_shard: Vec<Shard>,
    /// CPU time of all shards for one operation, in nanoseconds.
    pub server_cpu_ns_per_message: Option<f64>,
    /// CPU time of the generator's threads for one request, in nanoseconds; polling in vain is not
    /// counted.
    pub load_cpu_ns_per_request: f64,
    /// How busy the generator's threads were, 0 to 1: near 1, it measured itself.
    pub load_busy_share: f64,
    /// Whether Ctrl-C ended the run early.
    pub interrupted: bool,
}

/// Percentiles of a latency, in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Latency {
    /// How many were recorded.
    pub count: u64,
    /// Half were at most this.
    pub p50: u64,
    /// 90 %.
    pub p90: u64,
    /// 99 %.
    pub p99: u64,
    /// 99.9 %.
    pub p999: u64,
    /// The longest.
    pub max: u64,
}

impl From<&Histogram<u64>> for Latency {
    fn from(histogram: &Histogram<u64>) -> Self {
        if histogram.is_empty() {
            return Self::default();
        }
        let at = |quantile| histogram.value_at_quantile(quantile);
        Self {
            count: histogram.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: histogram.max(),
        }
    }
}

/// How often a code refused.
#[derive(Clone, Debug, Serialize)]
pub struct Refused {
    /// The stable code.
    pub code: u16,
    /// Requests refused.
    pub requests: u64,
    /// What the server said, and what can be done.
    pub sentence: String,
}

/// One shard's part in the run.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Shard {
    /// Its number.
    pub shard: usize,
    /// The CPU that it runs on.
    pub cpu: u64,
    /// Connections that it serves.
    pub connections: u64,
    /// Operations on its queues, in messages.
    pub messages: u64,
    /// Operations on its queues a second.
    pub messages_per_second: f64,
    /// Requests that it read.
    pub requests: u64,
    /// Batches that it handed to other shards.
    pub handoffs: u64,
    /// CPU time that it used, in nanoseconds.
    pub cpu_ns: u64,
    /// Share of the measured time that it was on its CPU, 0 to 1.
    pub busy_share: f64,
}

/// Busier than this, the generator measures itself.
const BUSY_SHARE_MAX: f64 = 0.9;
/// An open loop that does less of what was offered could not keep up.
const SERVED_SHARE_MIN: f64 = 0.99;

impl Report {
    /// Puts together what the threads, the windows and the books say.
    pub fn assemble(
        settings: &Settings,
        tally: &Tally,
        busy: Busy,
        window: &Window,
        imbalance: Imbalance,
        interrupted: bool,
    ) -> Self {
        let seconds = window.seconds();
        let rate = |number: u64| if seconds > 0.0 { number as f64 / seconds } else { 0.0 };
        let messages_per_second = rate(window.messages);
        let share = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
        let mut report = Self {
            seconds,
            messages: window.messages,
            messages_per_second,
            bytes_per_second: messages_per_second * settings.size as f64,
            requests: window.requests,
            requests_per_second: rate(window.requests),
            offered_per_second: settings.rate,
            latency_ns: Latency::default(),
            latency_ns_by_kind: BTreeMap::new(),
            refused: tally.refused,
            failed: tally.failed + imbalance.lost + imbalance.duplicate,
            lost: imbalance.lost,
            duplicate: imbalance.duplicate,
            redelivered: tally.redelivered,
            nacked: tally.nacked,
            refusals: tally.refusals.iter().map(|(code, refusal)| refusal.of(*code)).collect(),
            errors: tally.sentences.clone(),
            warnings: Vec::new(),
            acknowledged: tally.level.map(|level| level.as_str()),
            settings: settings.clone(),
            by_shard: window.shards(),
            server_cpu_ns_per_message: (window.messages > 0 && window.server_cpu_ns() > 0)
                .then(|| share(window.server_cpu_ns(), window.messages)),
            load_cpu_ns_per_request: share(busy.worked_ns(), window.requests),
            load_busy_share: share(busy.worked_ns(), busy.wall_ns),
            interrupted,
        };
        report.add_latencies(tally);
        report.add_warnings();
        report
    }

    fn add_latencies(&mut self, tally: &Tally) {
        let mut all = tally.latencies.of(Measured::Put).clone();
        for kind in [Measured::Take, Measured::Ack, Measured::Nack, Measured::Echo] {
            all.add(tally.latencies.of(kind)).expect("all have the same bounds");
        }
        self.latency_ns = Latency::from(&all);
        let kinds = Measured::ALL.iter().map(|kind| (kind, tally.latencies.of(*kind)));
        self.latency_ns_by_kind = kinds
            .filter(|(_, histogram)| !histogram.is_empty())
            .map(|(kind, histogram)| (kind.as_str(), Latency::from(histogram)))
            .collect();
    }

    fn add_warnings(&mut self) {
        if self.load_busy_share > BUSY_SHARE_MAX {
            self.warnings.push(format!(
                "the load generator is the bottleneck itself: its threads were busy {:.0} % of \
                 the time; give it more CPUs with --threads and --cpus",
                100.0 * self.load_busy_share
            ));
        }
        if let Some(offered) = self.offered_per_second
            && self.messages_per_second < SERVED_SHARE_MIN * offered
        {
            self.warnings.push(format!(
                "{:.0} operations a second were offered and {:.0} done: latencies grow with the \
                 length of the run",
                offered, self.messages_per_second
            ));
        }
        if self.settings.operation != Operation::Echo && self.server_cpu_ns_per_message.is_none() {
            self.warnings.push("the server's CPU time is unknown".to_owned());
        }
    }

    /// Whether everything that was asked for was done.
    pub fn is_clean(&self) -> bool {
        self.refused == 0 && self.failed == 0
    }

    /// The one JSON document.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("numbers, texts and lists always serialize")
    }
}

impl crate::load::tally::Refusal {
    fn of(&self, code: u16) -> Refused {
        let remedy = Code::from_number(code).map_or("", |code| code.remedy());
        let sentence = format!("{} (code {code}: {remedy})", self.sentence);
        Refused { code, requests: self.requests, sentence }
    }
}
