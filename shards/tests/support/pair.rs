//! The real store and the naive model side by side: each command goes to both, and their outcomes
//! and all that can be seen of them are compared.

use ringway_protocol::reply::QUEUE_COLUMNS;

use super::clock::Clock;
use super::model::{Event, Limits, Model};
use super::options::Options;
use super::outcome::Outcome;
use super::real::Real;
use super::words::{Words, sequence_text};

/// How far from a deadline the clock stays: the real timers go by ticks of a millisecond.
const MARGIN_NS: u64 = 3_000_000;
const NS_PER_MS: u64 = 1_000_000;

/// A text without the times at which dead letters were delivered first: messages that are delivered
/// together share the earliest of theirs.
fn untimed(text: &str) -> String {
    let is_time = |byte: char| byte.is_ascii_digit() || byte == '-';
    let mut parts: Vec<&str> = text.split("..").collect();
    let last = parts.pop();
    let before = parts.into_iter().map(|part| part.trim_end_matches(is_time));
    before.chain(last).collect::<Vec<_>>().join("..")
}

/// The store and the model side by side.
pub struct Pair {
    pub real: Real,
    pub model: Model,
    /// What was done so far: a case that can be written down.
    pub script: Vec<String>,
    /// Whether everything is compared after each command, or only the outcomes.
    pub thorough: bool,
}

impl Pair {
    /// Few queues, so that a dead-letter queue sometimes cannot be made.
    pub fn new(start_ns: u64) -> Self {
        let defaults = Options { messages_max: 30, lease_ms: 700, ..Options::defaults() };
        let limits = Limits { defaults, queues_max: 6, leases_max: 10_000, waits_max: 1_000 };
        Self {
            real: Real::new(limits, start_ns),
            model: Model::new(limits),
            script: Vec::new(),
            thorough: true,
        }
    }

    /// Carries out a command on both sides. `-` is the queue of the lease or subscription that the
    /// command names.
    pub fn run(&mut self, command: &str) {
        let words = Words::of(command);
        if words.verb == "advance" {
            return self.pass(super::words::duration_ms(words.word(0)));
        }
        let command = self.concrete(command);
        if words.verb == "wall" {
            // In which order a step of the clock makes several due is left open.
            if self.model.due_by_step(&words) > 1 {
                return;
            }
            // What has become due by that may take until the next tick.
            self.script.push(command.clone());
            self.real.run(&command);
            self.model.run(&command, None);
            return self.pass(3);
        }
        self.carry_out(&command);
    }

    /// Lets time pass, one deadline after the other, and never stops close behind one.
    pub fn pass(&mut self, ms: u64) {
        let target_ns = self.model.clock.ns + ms * NS_PER_MS;
        while self.model.clock.ns < target_ns {
            let now_ns = self.model.clock.ns;
            let mut stop_ns = now_ns;
            let mut crossed = false;
            for (at_ns, _) in self.model.events() {
                let near = if crossed { stop_ns } else { target_ns };
                if at_ns <= near {
                    // Whole milliseconds, as commands have them.
                    stop_ns = (at_ns.max(now_ns) + MARGIN_NS).next_multiple_of(NS_PER_MS);
                    crossed = true;
                } else {
                    break;
                }
            }
            let stop_ns = if crossed { stop_ns } else { target_ns };
            let ms = (stop_ns - now_ns).div_ceil(NS_PER_MS);
            self.carry_out(&format!("advance {ms}ms"));
        }
    }

    fn carry_out(&mut self, command: &str) {
        self.script.push(command.into());
        let real = self.real.run(command);
        let last = self.script.last_mut().expect("it was just pushed");
        *last += &format!(" -> {real}");
        self.follow_burials();
        let model = self.model.run(command, Some(&real));
        if model != Outcome::Beyond {
            let [real, model] = [real.without_runs(), model].map(|it| untimed(&it.to_string()));
            assert_eq!(real, model, "the store, then the model");
        }
        self.follow_dice();
        if self.thorough {
            self.compare();
        }
    }

    /// When a message comes back whose back-off doubles is the store's to say, within a quarter of
    /// what is due.
    fn follow_dice(&mut self) {
        let Self { real, model, .. } = self;
        let clock = model.clock;
        for queue in model.queues.values_mut() {
            let name = queue.name.clone();
            for (group, holder) in &mut queue.groups {
                let shares = holder.shares.iter_mut();
                let mut diced: Vec<_> = shares.filter(|(_, it)| it.diced_ns.is_some()).collect();
                if diced.is_empty() {
                    continue;
                }
                let command = format!("browse {name} delayed group={group} limit=1000000");
                let delayed = real.browse(&command).unwrap_or_default();
                for (sequence, share) in &mut diced {
                    let place = format!("{} ", sequence_text(**sequence));
                    let entry = delayed.split(", ").find(|entry| entry.starts_with(&place));
                    let due = entry.and_then(|entry| entry.rsplit_once('@')?.1.parse().ok());
                    let due: i64 = due.unwrap_or_else(|| panic!("{place}waits: {delayed}"));
                    let back_ns = clock.at_wall_ms(Clock::START_MS.wrapping_add_signed(due));
                    let (first_ns, last_ns) = share.diced_ns.take().expect("it was filtered");
                    let bounds_ns = first_ns..=last_ns + NS_PER_MS;
                    assert!(bounds_ns.contains(&back_ns), "{back_ns} is not in {bounds_ns:?}");
                    share.back_ns = Some(back_ns);
                }
            }
        }
    }

    /// Which of several leases that end at one moment ends first is the store's to say: their dead
    /// letters show it.
    fn follow_burials(&mut self) {
        let mut order = std::collections::BTreeMap::new();
        let alive = self.model.leases.iter().enumerate().filter(|(_, lease)| lease.alive);
        for (index, lease) in alive {
            let queue = self.model.queues.get(&lease.queue);
            let Some(queue) = queue.filter(|queue| queue.options.deliveries_max > 0) else {
                continue;
            };
            let letters = format!("browse {}.dead ready limit=1000000", queue.name);
            let letters = self.real.browse(&letters).unwrap_or_default();
            let unsettled = lease.messages.iter().filter(|(_, settled)| !settled);
            let places = unsettled.filter_map(|(sequence, _)| {
                letters.rfind(&format!(" of {}:{sequence} by {} ", queue.name, lease.group))
            });
            order.extend(places.min().map(|at| (index, at)));
        }
        self.model.burials = order;
    }

    /// The command with its leases by number and their queue by name.
    fn concrete(&self, command: &str) -> String {
        let mut words: Vec<String> = command.split_whitespace().map(String::from).collect();
        let subscribed = ["credit", "unsubscribe"].contains(&&*words[0]);
        for at in 1..words.len() {
            if at == 2 && words[at].starts_with("last") {
                let (word, model) = (&words[at], &self.model);
                let (number, queue) = match subscribed {
                    true => model.subscription_place(word),
                    false => model.lease_place(word),
                };
                words[at] = number.map_or("never".into(), |number| number.to_string());
                if words[1] == "-" {
                    words[1] = queue.unwrap_or("nowhere".into());
                }
            }
        }
        words.join(" ")
    }

    /// Nobody asks any more, and hours pass: what is over its time to live has gone by then, also
    /// where nobody came by.
    pub fn finish(&mut self) {
        ["x", "y", "z"].into_iter().for_each(|who| self.run(&format!("forget {who}")));
        self.thorough = false;
        (0..8).for_each(|_| self.run("advance 1000s"));
        self.thorough = true;
        self.compare();
        for queue in self.model.queues.values() {
            let unnoticed: u64 = queue.unnoticed.values().sum();
            assert_eq!(unnoticed, 0, "expired, and still held by {}", queue.name);
        }
    }

    /// Compares every figure and every message, and what is pinned.
    pub fn compare(&mut self) {
        let queues: Vec<usize> = self.model.queues.keys().copied().collect();
        for number in queues {
            let name = self.model.queues[&number].name.clone();
            self.follow_kept(number, &name);
            let groups: Vec<String> = self.model.queues[&number].groups.keys().cloned().collect();
            let mut unnoticed = 0;
            for group in groups {
                let expired = self.real.group_figure(&name, &group, "expired");
                let extra = self.model.notice(number, &group, expired);
                self.compare_group(number, (&name, &group), extra);
                unnoticed += extra;
            }
            self.compare_figures(number, &name, unnoticed);
        }
        self.real.check();
        // What has expired may be noticed late; who takes does not get it.
        let expires = |event: &Event| matches!(event, Event::Expires(..));
        let events = self.model.events();
        let next = events.iter().find(|(_, event)| !expires(event)).map(|(at_ns, _)| *at_ns);
        if let Some(at_ns) = next.filter(|at_ns| *at_ns < u64::MAX / 2) {
            let real = self.real.next_deadline().expect("a deadline is not forgotten");
            // Late twice: a queue that goes for want of use does so a while after its last message
            // went, which may have been noticed late.
            assert!(real <= at_ns + 2 * MARGIN_NS, "the next deadline is {at_ns}, not {real}");
        }
    }

    /// The figures of a queue. What a busy key blocks may count as ready until a take has looked;
    /// what has expired may be held until somebody comes by.
    fn compare_figures(&self, number: usize, name: &str, unnoticed: u64) {
        let queue = &self.model.queues[&number];
        let (messages, bytes) = queue.overdue();
        let mut waiting = (0, 0);
        for column in QUEUE_COLUMNS {
            let real = self.real.figure(name, column);
            let Some(model) = self.model.figure(number, column) else { continue };
            let fits = match column {
                "ready" | "blocked" | "delayed" => {
                    waiting = (waiting.0 + real, waiting.1 + model);
                    true
                }
                "expired" => real + unnoticed == model,
                "messages" => (model..=model + messages).contains(&real),
                "live_bytes" => (model..=model + bytes).contains(&real),
                _ => real == model,
            };
            assert!(fits, "{real} {column} of {name} in the store, {model} in the model");
        }
        assert_eq!(waiting.0, waiting.1 + unnoticed, "waiting in {name}, then in the model");
        let held = self.real.figure(name, "held_bytes");
        let live = self.real.figure(name, "live_bytes");
        let bytes_max = queue.options.bytes_max;
        assert!((live..=bytes_max).contains(&held), "{held} bytes held for {live} live ones");
    }

    /// What a group counts, and its messages by their state.
    fn compare_group(&mut self, number: usize, (name, group): (&str, &str), unnoticed: u64) {
        for column in self.real.group_columns() {
            let real = self.real.group_figure(name, group, column);
            let Some(model) = self.model.group_figure(number, group, column) else { continue };
            if !["ready", "blocked", "delayed", "expired"].contains(&column) {
                assert_eq!(real, model, "{column} of {name}/{group}: the store, then the model");
            }
        }
        let mut waiting = [Vec::new(), Vec::new()];
        for state in ["ready", "blocked", "delayed", "leased", "scheduled"] {
            let command = format!("browse {name} {state} group={group} limit=1000000");
            let Some(real) = self.real.browse(&command) else { return };
            let entries = |text: String| -> Vec<String> {
                text.split(", ").filter(|e| *e != "none").map(untimed).collect()
            };
            let real = entries(real);
            let model = entries(self.model.run(&command, Some(&Outcome::ok())).to_string());
            if ["ready", "blocked", "delayed"].contains(&state) {
                waiting[0].extend(real);
                waiting[1].extend(model);
            } else {
                assert_eq!(real, model, "{command}: the store, then the model");
            }
        }
        let [real, model] = waiting;
        let missing: Vec<_> = model.iter().filter(|entry| !real.contains(entry)).collect();
        assert!(missing.is_empty(), "{missing:?} of {name}/{group} is not in the store: {real:?}");
        assert_eq!(real.len(), model.len() + unnoticed as usize, "{real:?} in the store");
    }

    /// How long done messages are kept is the store's to say, within what the options allow.
    fn follow_kept(&mut self, number: usize, name: &str) {
        if !self.model.queues[&number].options.keeps() {
            return;
        }
        let kept = self.real.figure(name, "kept_messages") as usize;
        self.model.trim_kept(number, kept);
    }
}
