//! The order of measuring: round by round, ours and its reference in turn.

use std::time::Duration;

use super::crowd;
use super::delayed;
use super::figure::{Failure, Figure, Figures};
use super::scenarios::Scenario;
use super::spread::Spread;
use super::subject::{Bench, Subject};

/// What all rounds gave for one scenario.
#[derive(Debug)]
pub struct Measured {
    /// The scenario.
    pub scenario: &'static Scenario,
    /// One entry a round: ours and the reference.
    pub rounds: Vec<(Option<Figures>, Option<Figures>)>,
    /// What went wrong, each sentence once.
    pub failures: Vec<Failure>,
}

impl Measured {
    fn new(scenario: &'static Scenario) -> Self {
        Self { scenario, rounds: Vec::new(), failures: Vec::new() }
    }

    /// `figure` of ours, of the reference, and the ratio of both.
    #[must_use]
    pub fn spreads(&self, figure: Figure) -> [Option<Spread>; 3] {
        let get = |figures: &Option<Figures>| figures.as_ref().and_then(|f| f.get(figure));
        let pairs: Vec<_> = self.rounds.iter().map(|(a, b)| (get(a), get(b))).collect();
        let ours: Vec<f64> = pairs.iter().filter_map(|pair| pair.0).collect();
        let reference: Vec<f64> = pairs.iter().filter_map(|pair| pair.1).collect();
        [Spread::of(&ours), Spread::of(&reference), Spread::of_ratios(&pairs)]
    }

    /// Keeps what went wrong, and returns what did not.
    fn keep(&mut self, outcome: Result<Figures, Failure>) -> Option<Figures> {
        match outcome {
            Ok(figures) => return Some(figures),
            Err(known) if self.failures.contains(&known) => {}
            Err(new) => self.failures.push(new),
        }
        None
    }
}

/// Measures `scenarios` in `rounds` rounds, telling `progress` before each measurement.
pub fn run(
    scenarios: &[&'static Scenario],
    rounds: u32,
    bench: &Bench,
    progress: &dyn Fn(u32, &str),
) -> Vec<Measured> {
    let mut all: Vec<Measured> = scenarios.iter().map(|scenario| Measured::new(scenario)).collect();
    for round in 0..rounds {
        for measured in &mut all {
            let scenario = measured.scenario;
            if scenario.is_once && round > 0 {
                continue;
            }
            progress(round, scenario.name);
            let ours = |kept: &mut Measured| kept.keep(scenario.ours.measure(bench));
            let reference =
                |kept: &mut Measured| kept.keep(scenario.reference.as_ref()?.measure(bench));
            // Every other round begins with the reference, so that neither always finds the
            // machine as the other left it.
            let pair = if round % 2 == 0 {
                let ours = ours(measured);
                (ours, reference(measured))
            } else {
                let reference = reference(measured);
                (ours(measured), reference)
            };
            measured.rounds.push(pair);
        }
    }
    all
}

/// About how long `run` takes.
#[must_use]
pub fn time_needed(scenarios: &[&'static Scenario], rounds: u32, bench: &Bench) -> Duration {
    let of = |subject: &Subject| match subject {
        Subject::OpenLoop { .. } => bench.duration + bench.open_loop,
        Subject::Extra(..) => bench.duration * 2,
        Subject::Idle(_) => bench.idle,
        Subject::Crowd => crowd::time_needed(bench),
        Subject::Delayed => delayed::time_needed(bench.size),
        _ => bench.duration,
    };
    let in_rounds = |scenario: &&Scenario| {
        let once = of(&scenario.ours) + scenario.reference.as_ref().map_or(Duration::ZERO, of);
        once * if scenario.is_once { 1 } else { rounds }
    };
    scenarios.iter().map(in_rounds).sum()
}

#[cfg(test)]
mod tests {
    use super::super::scenarios::Row;
    use super::super::server::tests::Script;
    use super::super::subject::Size;
    use super::super::target::Target;
    use super::*;
    use crate::floors::CpuPair;
    use std::cell::RefCell;

    static PING_PONG: Scenario = Scenario {
        name: "ping-pong",
        ours: Subject::RtrbPingPong,
        reference: Some(Subject::RtrbPingPong),
        rows: &[Row { what: "p50", figure: Figure::P50Ns, target: Target::Stated }],
        is_once: false,
    };
    static BROKEN: Scenario = Scenario {
        name: "broken",
        ours: Subject::Idle(1),
        reference: None,
        rows: PING_PONG.rows,
        is_once: true,
    };

    fn bench(script: &Script) -> Bench {
        let short = Duration::from_millis(5);
        let cpus = CpuPair::choose(None, None).expect("this host tells its CPUs");
        let program = script.path.clone();
        Bench {
            program,
            cpus,
            duration: short,
            open_loop: short,
            idle: short,
            size: Size::QUICK,
            count_allocations: |_| unreachable!("nothing here allocates"),
        }
    }

    #[test]
    fn each_round_measures_both_sides_and_what_is_once_only_once() {
        let told = RefCell::new(Vec::new());
        let progress = |round, name: &str| told.borrow_mut().push(format!("{round} {name}"));
        let script = Script::new("rounds", "exit 3");
        let all = run(&[&PING_PONG, &BROKEN], 2, &bench(&script), &progress);
        assert_eq!(told.into_inner(), ["0 ping-pong", "0 broken", "1 ping-pong"]);
        let [ours, reference, ratio] = all[0].spreads(Figure::P50Ns).map(|spread| spread.is_some());
        assert!(ours && reference && ratio && all[0].failures.is_empty());
        assert_eq!(all[1].rounds, [(None, None)]);
        assert!(all[1].failures[0].to_string().contains("exit status: 3"), "{:?}", all[1]);
    }

    #[test]
    fn the_time_needed_counts_every_side() {
        let script = Script::new("time", "exit 3");
        let needed = time_needed(&[&PING_PONG, &BROKEN], 3, &bench(&script));
        assert_eq!(needed, Duration::from_millis(3 * 2 * 5 + 5));
    }

    #[test]
    fn a_failure_is_kept_once() {
        let mut measured = Measured::new(&BROKEN);
        for sentence in ["a", "b", "a"] {
            assert_eq!(measured.keep(Err(Failure::Failed(sentence.into()))), None);
        }
        assert_eq!(measured.failures.len(), 2);
    }
}
