//! Which CPUs this process may use, in which order shards take them, and how `--cpus` is read.
//!
//! Absolute core numbers fail under a cpuset, so everything starts from the allowed set. Shards
//! take one CPU per physical core before any core's second thread, and stay on the first NUMA
//! node as long as it has CPUs left. Hosts that hide their topology are taken as one node of
//! single-threaded cores.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;
use thiserror::Error;

/// Highest CPU number that can be named plus one: what Linux is ever built for (`NR_CPUS`).
const CPUS_MAX: usize = 8192;

const CPU_DIRECTORY: &str = "/sys/devices/system/cpu";

/// Why a list of CPUs was not understood.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CpuListError {
    /// Nothing between two commas, or nothing at all.
    #[error("empty entry in the CPU list '{list}'; write numbers and ranges, like 0-3,6")]
    Empty {
        /// The whole list.
        list: String,
    },
    /// Neither a number nor a range of two.
    #[error("'{entry}' is not a CPU or a range of CPUs; write numbers and ranges, like 0-3,6")]
    NotANumber {
        /// The entry at fault.
        entry: String,
    },
    /// A range whose end lies before its start.
    #[error("the range {first}-{last} runs backwards; write {last}-{first}")]
    Backwards {
        /// Where the range starts.
        first: usize,
        /// Where it ends.
        last: usize,
    },
    /// A number no Linux host has.
    #[error("CPU {cpu} does not exist; Linux counts to {} at most", CPUS_MAX - 1)]
    TooLarge {
        /// The number.
        cpu: usize,
    },
    /// The same CPU named twice.
    #[error("CPU {cpu} is in the list twice; each CPU takes its shards once")]
    Twice {
        /// The number.
        cpu: usize,
    },
    /// A CPU outside the allowed set.
    #[error("CPU {cpu} is not allowed for this process; allowed: {allowed} (taskset, cpuset)")]
    NotAllowed {
        /// The number.
        cpu: usize,
        /// The allowed set, as a list.
        allowed: String,
    },
}

/// The CPUs that the calling thread may run on, ascending: what cpusets and `taskset` leave of the
/// online ones.
///
/// # Errors
/// When the kernel does not say.
pub fn allowed_cpus() -> io::Result<Vec<usize>> {
    let mut mask = [0u64; CPUS_MAX / u64::BITS as usize];
    // SAFETY: the kernel writes at most the given number of bytes, which is the mask's size. The
    // raw call, because the C library's mask ends at CPU 1023.
    let written = unsafe {
        libc::syscall(libc::SYS_sched_getaffinity, 0, size_of_val(&mask), mask.as_mut_ptr())
    };
    if written < 0 {
        return Err(io::Error::last_os_error());
    }
    let is_set = |cpu: &usize| mask[cpu / 64] >> (cpu % 64) & 1 == 1;
    Ok((0..CPUS_MAX).filter(is_set).collect())
}

/// Pins the calling thread to one CPU; threads it starts later inherit that.
///
/// # Errors
/// When the CPU is outside the allowed set or does not exist.
pub fn pin_this_thread(cpu: usize) -> io::Result<()> {
    let mut mask = [0u64; CPUS_MAX / u64::BITS as usize];
    if let Some(word) = mask.get_mut(cpu / 64) {
        *word = 1 << (cpu % 64);
    }
    // SAFETY: the kernel reads the given number of bytes, which is the mask's size; an empty mask
    // is refused with EINVAL.
    let result =
        unsafe { libc::syscall(libc::SYS_sched_setaffinity, 0, size_of_val(&mask), mask.as_ptr()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Reads a list like `0-3,6`, in the order written; CPUs named twice are an error.
///
/// # Errors
/// See [`CpuListError`].
pub fn parse_cpu_list(list: &str) -> Result<Vec<usize>, CpuListError> {
    let mut cpus = Vec::new();
    for entry in list.split(',').map(str::trim) {
        if entry.is_empty() {
            return Err(CpuListError::Empty { list: list.to_owned() });
        }
        let (first, last) = entry.split_once('-').unwrap_or((entry, entry));
        let (first, last) = (parse_cpu(first, entry)?, parse_cpu(last, entry)?);
        if last < first {
            return Err(CpuListError::Backwards { first, last });
        }
        for cpu in first..=last {
            if cpus.contains(&cpu) {
                return Err(CpuListError::Twice { cpu });
            }
            cpus.push(cpu);
        }
    }
    Ok(cpus)
}

fn parse_cpu(number: &str, entry: &str) -> Result<usize, CpuListError> {
    let not_a_number = || CpuListError::NotANumber { entry: entry.to_owned() };
    // `parse` takes a plus sign, and no digits at all is no number either.
    let number = number.trim();
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(not_a_number());
    }
    let cpu = number.parse().unwrap_or(usize::MAX);
    if cpu < CPUS_MAX { Ok(cpu) } else { Err(CpuListError::TooLarge { cpu }) }
}

/// The CPUs of `--cpus LIST`, in the order written, each of them allowed.
///
/// # Errors
/// See [`CpuListError`].
pub fn choose_cpus(list: &str, allowed: &[usize]) -> Result<Vec<usize>, CpuListError> {
    let cpus = parse_cpu_list(list)?;
    match cpus.iter().find(|cpu| !allowed.contains(cpu)) {
        Some(&cpu) => Err(CpuListError::NotAllowed { cpu, allowed: format_cpu_list(allowed) }),
        None => Ok(cpus),
    }
}

/// Writes ascending CPUs as a list like `0-3,6`.
pub fn format_cpu_list(cpus: &[usize]) -> String {
    let mut entries = Vec::new();
    for run in cpus.chunk_by(|left, right| left + 1 == *right) {
        match run {
            [] => {}
            [cpu] => entries.push(cpu.to_string()),
            [first, .., last] => entries.push(format!("{first}-{last}")),
        }
    }
    entries.join(",")
}

/// The given CPUs in the order in which shards take them: one per physical core first, the first
/// NUMA node before the next.
pub fn order_for_shards(cpus: &[usize]) -> Vec<usize> {
    order_by_topology(cpus, thread_siblings, numa_node)
}

fn order_by_topology(
    cpus: &[usize],
    siblings: impl Fn(usize) -> Option<Vec<usize>>,
    node: impl Fn(usize) -> Option<usize>,
) -> Vec<usize> {
    let mut ascending = cpus.to_vec();
    ascending.sort_unstable();
    let mut threads_taken = HashMap::<usize, usize>::new();
    let mut keyed = Vec::with_capacity(cpus.len());
    for cpu in ascending {
        // A core is known by its lowest thread, allowed or not.
        let core = siblings(cpu).and_then(|threads| threads.into_iter().min()).unwrap_or(cpu);
        let rank = threads_taken.entry(core).or_default();
        keyed.push((*rank, node(cpu).unwrap_or(0), cpu));
        *rank += 1;
    }
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, _, cpu)| cpu).collect()
}

fn thread_siblings(cpu: usize) -> Option<Vec<usize>> {
    let file = format!("{CPU_DIRECTORY}/cpu{cpu}/topology/thread_siblings_list");
    parse_cpu_list(fs::read_to_string(file).ok()?.trim()).ok()
}

/// The NUMA node of a CPU; `None` where the host does not say.
pub fn numa_node(cpu: usize) -> Option<usize> {
    node_in(&Path::new(CPU_DIRECTORY).join(format!("cpu{cpu}")))
}

/// A CPU's directory holds a link called `node` and its number.
fn node_in(directory: &Path) -> Option<usize> {
    let names = fs::read_dir(directory).ok()?.flatten().map(|entry| entry.file_name());
    names.into_iter().find_map(|name| name.to_str()?.strip_prefix("node")?.parse().ok())
}

/// Where each shard goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// One CPU a shard, by shard; `None` leaves the thread unpinned.
    pub cpus: Vec<Option<usize>>,
    /// More shards than CPUs: they share, and must not spin.
    pub oversubscribed: bool,
}

/// Places `shards` shards on `cpus`, taken in the order given and again from the start when there
/// are more shards. With no CPUs known, every shard stays unpinned.
pub fn plan(shards: usize, cpus: &[usize]) -> Placement {
    let placed = (0..shards).map(|shard| cpus.get(shard % cpus.len().max(1)).copied());
    Placement { cpus: placed.collect(), oversubscribed: shards > cpus.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_lists_as_text() {
        for (list, expected) in [
            ("0", "[0]"),
            ("0-3,6", "[0, 1, 2, 3, 6]"),
            (" 6 , 0-1 ", "[6, 0, 1]"),
            ("5-5", "[5]"),
            ("8191", "[8191]"),
            ("", "empty entry in the CPU list ''; write numbers and ranges, like 0-3,6"),
            ("1,,2", "empty entry in the CPU list '1,,2'; write numbers and ranges, like 0-3,6"),
            ("1,", "empty entry in the CPU list '1,'; write numbers and ranges, like 0-3,6"),
            ("a", "'a' is not a CPU or a range of CPUs; write numbers and ranges, like 0-3,6"),
            ("-1", "'-1' is not a CPU or a range of CPUs; write numbers and ranges, like 0-3,6"),
            ("+1", "'+1' is not a CPU or a range of CPUs; write numbers and ranges, like 0-3,6"),
            ("1-", "'1-' is not a CPU or a range of CPUs; write numbers and ranges, like 0-3,6"),
            (
                "1-2-3",
                "'1-2-3' is not a CPU or a range of CPUs; write numbers and ranges, like 0-3,6",
            ),
            ("3-1", "the range 3-1 runs backwards; write 1-3"),
            ("0-9999", "CPU 9999 does not exist; Linux counts to 8191 at most"),
            ("8192", "CPU 8192 does not exist; Linux counts to 8191 at most"),
            ("0-2,1", "CPU 1 is in the list twice; each CPU takes its shards once"),
        ] {
            let found = match parse_cpu_list(list) {
                Ok(cpus) => format!("{cpus:?}"),
                Err(error) => error.to_string(),
            };
            assert_eq!(found, expected, "for '{list}'");
        }
        let absurd = parse_cpu_list("0-99999999999999999999");
        assert!(matches!(absurd, Err(CpuListError::TooLarge { .. })), "{absurd:?}");
    }

    #[test]
    fn a_chosen_cpu_must_be_allowed() {
        assert_eq!(choose_cpus("3,1", &[1, 2, 3]), Ok(vec![3, 1]));
        let error = choose_cpus("1,4", &[0, 1, 2, 6]).expect_err("4 is not allowed");
        let text = "CPU 4 is not allowed for this process; allowed: 0-2,6 (taskset, cpuset)";
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn lists_are_written_as_they_are_read() {
        for list in ["", "0", "0-1", "0-3,6", "1,3,5-7"] {
            let cpus = if list.is_empty() { Ok(vec![]) } else { parse_cpu_list(list) };
            assert_eq!(format_cpu_list(&cpus.expect("a valid list")), list);
        }
    }

    /// Each line: allowed CPUs | sibling lists | CPUs of node 1 | expected order.
    #[test]
    fn one_cpu_per_core_and_one_node_first() {
        for case in [
            "0-3  |            |     | 0,1,2,3", // topology hidden: every CPU a core
            "0-3  | 0-1 2-3    |     | 0,2,1,3", // neighbours are siblings
            "0-3  | 0,2 1,3    |     | 0,1,2,3", // halves are siblings
            "1-3  | 0-1 2-3    |     | 1,2,3",   // a cpuset took CPU 0
            "1,3,5| 0,1 2,3 4,5|     | 1,3,5",   // a cpuset of second threads
            "0-7  | 0,4 1,5 2,6 3,7 | 1,3,5,7 | 0,2,1,3,4,6,5,7", // nodes interleaved
            "0-3  | 0-1 2-3    | 2,3 | 0,2,1,3", // a core of the next node beats a sibling
            "3,1,2| 0-1 2-3    |     | 1,2,3",   // the order given does not matter
        ] {
            let [cpus, cores, node_one, expected] =
                case.split('|').map(str::trim).collect::<Vec<_>>()[..]
            else {
                panic!("four columns in '{case}'");
            };
            let list = |text| parse_cpu_list(text).expect("a valid list");
            let cores = cores.split_whitespace().map(list).collect::<Vec<_>>();
            let node_one = if node_one.is_empty() { vec![] } else { list(node_one) };
            let siblings = |cpu| cores.iter().find(|core| core.contains(&cpu)).cloned();
            let node = |cpu| node_one.contains(&cpu).then_some(1);
            assert_eq!(order_by_topology(&list(cpus), siblings, node), list(expected), "{case}");
        }
    }

    #[test]
    fn more_shards_than_cpus_share() {
        let cpus = |shards, cpus: &[usize]| plan(shards, cpus).cpus;
        assert_eq!(cpus(2, &[4, 6, 8]), [Some(4), Some(6)]);
        assert_eq!(cpus(3, &[4, 6]), [Some(4), Some(6), Some(4)]);
        assert_eq!(cpus(2, &[]), [None, None]);
        assert!(!plan(2, &[4, 6]).oversubscribed);
        assert!(plan(3, &[4, 6]).oversubscribed);
        assert!(plan(1, &[]).oversubscribed, "CPUs that nobody knows may be shared");
    }

    #[test]
    fn the_node_is_read_from_the_directory() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        assert_eq!(node_in(directory.path()), None);
        for name in ["cache", "node_of_something", "topology", "node12"] {
            fs::create_dir(directory.path().join(name)).expect("a new directory");
        }
        assert_eq!(node_in(directory.path()), Some(12));
        assert_eq!(node_in(&directory.path().join("absent")), None);
    }

    #[test]
    fn this_host_orders_exactly_its_allowed_cpus() {
        let allowed = allowed_cpus().expect("Linux says");
        assert!(!allowed.is_empty());
        let mut ordered = order_for_shards(&allowed);
        ordered.sort_unstable();
        assert_eq!(ordered, allowed);
    }

    #[test]
    fn a_thread_pinned_to_one_cpu_is_allowed_that_one() {
        let cpu = *allowed_cpus().expect("Linux says").last().expect("one at least");
        let seen = std::thread::spawn(move || {
            pin_this_thread(cpu).expect("an allowed CPU");
            allowed_cpus().expect("Linux says")
        });
        assert_eq!(seen.join().expect("the thread returns"), [cpu]);
        for absent in [CPUS_MAX - 1, CPUS_MAX, usize::MAX] {
            assert!(pin_this_thread(absent).is_err(), "pinned to CPU {absent}");
        }
    }
}
