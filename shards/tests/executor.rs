//! An executor thread as the plane sees it: pinned, named, parked, timely, loud when it panics, and
//! gone without a trace.

use ringway_shards::machine::doorbell::Doorbell;
use ringway_shards::machine::executor::{ExecutorError, ParkEvent, spawn, spawn_beside};
use ringway_shards::machine::{affinity, clock};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const CHILD: &str = "RINGWAY_TEST_CHILD";

/// Runs one test of this file in a process of its own, where it finds `CHILD` set: for what ends a
/// process, counts what a process holds, or needs the limits that `shell` sets first.
fn in_child(test: &str, shell: &str) -> Output {
    let program = std::env::current_exe().expect("the test program has a path");
    let mut child = Command::new("sh");
    child.arg("-c").arg(format!("{shell} exec \"$0\" \"$@\"")).arg(program);
    child.args(["--exact", "--nocapture", test]).env(CHILD, "1").env("RUST_BACKTRACE", "0");
    child.output().expect("it starts again")
}

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

fn passes_in_child(test: &str, shell: &str) {
    let output = in_child(test, shell);
    let text = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&text));
}

#[test]
fn the_thread_is_named_and_pinned() {
    let cpu = *affinity::allowed_cpus().expect("Linux says").last().expect("one at least");
    let handle = spawn("shard-7", Some(cpu), || async {
        let name = std::thread::current().name().map(str::to_owned);
        (name, affinity::allowed_cpus().expect("Linux says"))
    });
    let (name, cpus) = handle.expect("it starts").join().expect("it returns");
    assert_eq!(name.as_deref(), Some("shard-7"));
    assert_eq!(cpus, [cpu]);
}

#[test]
fn an_unpinned_thread_keeps_the_allowed_set() {
    let handle = spawn("shard-0", None, || async { affinity::allowed_cpus() });
    let cpus = handle.expect("it starts").join().expect("it returns");
    assert_eq!(cpus.expect("Linux says"), affinity::allowed_cpus().expect("Linux says"));
}

#[test]
fn a_cpu_that_is_not_there_is_an_error_at_once() {
    let error = spawn("shard-0", Some(8191), || async {}).expect_err("no such CPU");
    assert!(matches!(error, ExecutorError::Pin { cpu: 8191, .. }), "{error}");
}

#[test]
fn a_doorbell_wakes_a_parked_executor_that_uses_no_cpu() {
    let doorbell = Arc::new(Doorbell::new().expect("a descriptor is left"));
    let wakes = Arc::new(AtomicU64::new(0));
    let (owner_bell, owner_wakes) = (Arc::clone(&doorbell), Arc::clone(&wakes));
    let handle = spawn("shard-0", None, move || async move {
        let event = ParkEvent::new(&owner_bell).expect("a descriptor is left");
        let from_ns = clock::thread_cpu_ns();
        for _ in 0..5 {
            owner_bell.prepare_to_park();
            event.wait().await.expect("the eventfd is readable");
            owner_bell.unpark();
            owner_wakes.fetch_add(1, Ordering::Release);
        }
        event.close().await.expect("it was open");
        clock::thread_cpu_ns() - from_ns
    });
    let handle = handle.expect("it starts");
    for wake in 0..5 {
        let rung = Instant::now();
        while !doorbell.ring_if_parked() {
            assert!(rung.elapsed() < Duration::from_secs(20), "it never parked");
            std::thread::sleep(Duration::from_millis(1));
        }
        while wakes.load(Ordering::Acquire) == wake {
            assert!(rung.elapsed() < Duration::from_secs(20), "it never woke");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    let cpu_ns = handle.join().expect("it returns");
    assert!(cpu_ns < 20_000_000, "parking five times cost {cpu_ns} ns of CPU");
}

/// A task that is always runnable must not keep glommio from its timers.
#[test]
fn timers_fire_while_a_task_never_rests() {
    let nap = Duration::from_millis(5);
    let nap_beside_a_busy_task = move || async move {
        let timer = spawn_beside(async move {
            let started = Instant::now();
            glommio::timer::sleep(nap).await;
            started.elapsed()
        });
        let doorbell = Arc::new(Doorbell::new().expect("one left"));
        let event = ParkEvent::new(&doorbell).expect("a descriptor is left");
        let started = Instant::now();
        while started.elapsed() < 10 * nap {
            event.yield_if_due(clock::monotonic_ns()).await.expect("the eventfd is readable");
        }
        timer.await.expect("nobody cancels it")
    };
    // Without the passes the timer is seen when the busy task ends, after 50 ms. Where the machine
    // is busy ours may be late too, but not ten times in a row.
    let in_time = (0..10).any(|_| {
        let handle = spawn("shard-0", None, nap_beside_a_busy_task).expect("it starts");
        let slept = handle.join().expect("it returns");
        assert!(slept >= nap, "{slept:?}");
        slept < 5 * nap
    });
    assert!(in_time, "ten naps of {nap:?} took over {:?} each", 5 * nap);
}

/// With a short preempt timer glommio stops for good within seconds here: the busy task loses its
/// CPU to a thread that never rests, now and then just after glommio has armed that timer.
#[test]
fn a_busy_task_keeps_running_where_its_cpu_is_contended() {
    let cpu = *affinity::allowed_cpus().expect("Linux says").last().expect("one at least");
    let turns = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let (rival_stop, task_stop, task_turns) = (stop.clone(), stop.clone(), turns.clone());
    let rival = std::thread::spawn(move || {
        affinity::pin_this_thread(cpu).expect("an allowed CPU");
        while !rival_stop.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
    });
    let handle = spawn("shard-0", Some(cpu), move || async move {
        let doorbell = Arc::new(Doorbell::new().expect("a descriptor is left"));
        let event = ParkEvent::new(&doorbell).expect("a descriptor is left");
        let _never_ends = spawn_beside(std::future::pending::<()>());
        while !task_stop.load(Ordering::Relaxed) {
            // A clock of whole seconds makes a pass due each turn: tens of thousands a second.
            let turn = task_turns.fetch_add(1, Ordering::Relaxed) + 1;
            event.yield_if_due(turn * 1_000_000_000).await.expect("the eventfd is readable");
        }
    });
    let handle = handle.expect("it starts");
    let mut longest_stall = 0;
    for _ in 0..4 {
        let before = turns.load(Ordering::Relaxed);
        let mut stall = 0;
        std::thread::sleep(Duration::from_millis(500));
        while turns.load(Ordering::Relaxed) == before && stall < 200 {
            std::thread::sleep(Duration::from_millis(100));
            stall += 1;
        }
        longest_stall = longest_stall.max(stall);
    }
    stop.store(true, Ordering::Relaxed);
    assert!(longest_stall < 200, "glommio sleeps beside a runnable task");
    handle.join().expect("it returns");
    rival.join().expect("it returns");
}

#[test]
fn a_panic_takes_the_process_down_before_anything_unwinds() {
    struct SaysWhenDropped;
    impl Drop for SaysWhenDropped {
        fn drop(&mut self) {
            eprintln!("unwound");
        }
    }
    if is_child() {
        let task = || async {
            let _buffer = SaysWhenDropped;
            assert_eq!(1 + 1, 3, "a planted mistake");
        };
        let _ = spawn("shard-3", None, task).expect("it starts").join();
        println!("still here");
        return;
    }
    let output = in_child("a_panic_takes_the_process_down_before_anything_unwinds", "");
    let text = String::from_utf8_lossy(&output.stderr);
    let signal = std::os::unix::process::ExitStatusExt::signal(&output.status);
    assert_eq!(signal, Some(libc::SIGABRT), "{text}");
    assert!(text.contains("a planted mistake"), "{text}");
    assert!(text.contains("ringway: 'shard-3' panicked"), "{text}");
    assert!(!text.contains("unwound"), "{text}");
    assert!(!String::from_utf8_lossy(&output.stdout).contains("still here"));
}

#[test]
fn a_panic_is_fatal_even_where_the_hook_was_replaced() {
    if is_child() {
        spawn("shard-2", None, || async {}).expect("it starts").join().expect("it returns");
        std::panic::set_hook(Box::new(|_| {}));
        let task =
            || async { glommio::spawn_local(async { panic!("in a task beside the first") }).await };
        let _ = spawn("shard-3", None, task).expect("it starts").join();
        return;
    }
    let output = in_child("a_panic_is_fatal_even_where_the_hook_was_replaced", "");
    let signal = std::os::unix::process::ExitStatusExt::signal(&output.status);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(signal, Some(libc::SIGABRT), "{text}");
    assert!(text.contains("ringway: 'shard-3' panicked"), "{text}");
}

#[test]
fn too_little_locked_memory_is_an_error_with_the_reason() {
    if !is_child() {
        let test = "too_little_locked_memory_is_an_error_with_the_reason";
        return passes_in_child(test, "ulimit -l 64;");
    }
    let error = spawn("shard-0", None, || async {}).expect_err("64 KiB are too little");
    assert!(matches!(error, ExecutorError::Start { .. }), "{error}");
    assert!(error.to_string().to_lowercase().contains("memlock"), "{error}");
}

#[test]
fn executors_leave_nothing_behind() {
    fn held() -> (usize, usize) {
        let count = |path| std::fs::read_dir(path).expect("proc is mounted").count();
        (count("/proc/self/fd"), count("/proc/self/task"))
    }
    fn one_life() {
        let doorbell = Arc::new(Doorbell::new().expect("a descriptor is left"));
        let owner_bell = Arc::clone(&doorbell);
        let handle = spawn("shard-0", None, move || async move {
            let event = ParkEvent::new(&owner_bell).expect("a descriptor is left");
            event.wait().await.expect("the eventfd is readable");
            event.close().await.expect("it was open");
        });
        doorbell.ring();
        handle.expect("it starts").join().expect("it returns");
    }
    if !is_child() {
        return passes_in_child("executors_leave_nothing_behind", "");
    }
    one_life();
    let before = held();
    (0..50).for_each(|_| one_life());
    let started = Instant::now();
    // glommio's thread for blocking calls ends on its own, a moment after its executor.
    while held() > before {
        let late = started.elapsed() > Duration::from_secs(20);
        assert!(!late, "descriptors and threads: {before:?} became {:?}", held());
        std::thread::sleep(Duration::from_millis(5));
    }
}
