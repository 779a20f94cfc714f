//! Version logic and explanations as cases; refusals and limits for real.

use super::kernel::{Version, hands_buffers_out_twice, parse};
use super::trial::Delivery;
use super::*;
use crate::machine::alone::{alone, become_ordinary_user, set_limit};
use crate::machine::doorbell::Doorbell;
use crate::machine::linux::LinuxWorld;
use crate::machine::{executor, seccomp};
use std::sync::Arc;
use std::sync::mpsc::channel;

#[test]
fn releases_parse() {
    let cases = "
        6.18.44-fc-v669                      6.18.44
        6.6.87.2-microsoft-standard-WSL2     6.6.87
        6.1.0-18-amd64                       6.1.0
        5.15.0-91-generic                    5.15.0
        6.8                                  6.8.0
        6.17-rc3                             6.17.0
        6.12.46+deb13-cloud-arm64            6.12.46
        4.4.0                                4.4.0
        Linux                                -
        6                                    -
        six.one.two                          -";
    for case in cases.lines().filter(|line| !line.trim().is_empty()) {
        let mut words = case.split_whitespace();
        let (release, expected) = (words.next().expect("a release"), words.next().expect("more"));
        let parsed = parse(release).map_or("-".to_owned(), |version| version.to_string());
        assert_eq!(parsed, expected, "{release}");
    }
}

#[test]
fn kernels_are_judged() {
    use Severity::{Advice, Fatal, Good};
    // Release, then the severity as it is, with --accept-known-bad-kernel, with readiness.
    let cases = [
        ("5.15.0-91-generic", Fatal, Fatal, Fatal, false),
        ("6.0.19", Fatal, Fatal, Fatal, false),
        ("6.1.112", Fatal, Advice, Fatal, false),
        ("6.3.13", Fatal, Advice, Fatal, false),
        ("6.4.0", Fatal, Advice, Advice, true),
        ("6.6.103", Fatal, Advice, Advice, true),
        ("6.6.104", Advice, Advice, Advice, false),
        ("6.6.999", Advice, Advice, Advice, false),
        ("6.7.0", Fatal, Advice, Advice, true),
        ("6.8.0-51-generic", Fatal, Advice, Advice, true),
        ("6.11.11", Fatal, Advice, Advice, true),
        ("6.12.44", Fatal, Advice, Advice, true),
        ("6.12.45", Advice, Advice, Advice, false),
        ("6.12.46", Good, Good, Good, false),
        ("6.13.12", Fatal, Advice, Advice, true),
        ("6.14.11", Fatal, Advice, Advice, true),
        ("6.15.11", Fatal, Advice, Advice, true),
        ("6.16.2", Fatal, Advice, Advice, true),
        ("6.16.3", Good, Good, Good, false),
        ("6.18.44-fc-v669", Good, Good, Good, false),
        ("7.2.1", Good, Good, Good, false),
        ("unheard-of", Advice, Advice, Advice, false),
    ];
    let options = ProbeOptions::new(1, 1);
    let accepting = ProbeOptions { accept_known_bad_kernel: true, ..options.clone() };
    let plain = ProbeOptions { receive: Some(ReceiveMode::Readiness), ..options.clone() };
    for (release, as_it_is, accepted, with_readiness, twice) in cases {
        let host = Host { release: release.into(), ..Host::default() };
        let severity = |options| kernel::judge(options, &host).severity;
        let found = (severity(&options), severity(&accepting), severity(&plain));
        assert_eq!(found, (as_it_is, accepted, with_readiness), "{release}");
        assert_eq!(parse(release).is_some_and(hands_buffers_out_twice), twice, "{release}");
    }
    assert!(Version(6, 6, 103) < Version(6, 12, 0));
}

#[test]
fn refusals_are_explained() {
    let plain = Host { memlock_bytes: Some(64 << 10), ..Host::default() };
    let sysctl = |value| Host { io_uring_disabled: value, ..plain.clone() };
    let filtered = Host { is_filtered: true, ..plain.clone() };
    let wsl = Host { release: "4.4.0-19041-Microsoft".into(), ..plain.clone() };
    let root = Host { capabilities: u64::MAX, in_initial_namespace: true, ..sysctl(1) };
    let cases = [
        (libc::EPERM, &sysctl(2), "kernel.io_uring_disabled is 2", "sysctl -w"),
        (libc::EPERM, &sysctl(1), "kernel.io_uring_disabled is 1", "io_uring_group"),
        (libc::EPERM, &root, "neither sysctl nor seccomp", "SELinux"),
        (libc::EPERM, &filtered, "seccomp filter", "--security-opt seccomp="),
        (libc::EPERM, &plain, "neither sysctl nor seccomp", "SELinux"),
        (libc::ENOSYS, &filtered, "seccomp filter (ENOSYS)", "io_uring_setup"),
        (libc::ENOSYS, &plain, "not in this kernel", "CONFIG_IO_URING"),
        (libc::ENOSYS, &wsl, "WSL", "wsl --update"),
        (libc::ENOMEM, &plain, "may lock 64 KiB", "ulimit -l"),
        (libc::ENOMEM, &root, "no memory for a ring", "cgroup"),
        (libc::EMFILE, &plain, "no file descriptor", "ulimit -n"),
        (libc::EIO, &plain, "io_uring_setup failed", "dmesg"),
    ];
    for (errno, host, found, remedy) in cases {
        let finding = refusal::explain(errno, &[], &ProbeOptions::new(2, 10), host);
        assert_eq!(finding.severity, Severity::Fatal);
        assert!(finding.found.contains(found), "errno {errno}: {finding}");
        assert!(finding.remedy.contains(remedy), "errno {errno}: {finding}");
    }
    let flags = ["IORING_SETUP_DEFER_TASKRUN (6.1)"];
    let finding = refusal::explain(libc::EINVAL, &flags, &ProbeOptions::new(1, 1), &plain);
    assert!(finding.found.contains(flags[0]), "{finding}");
}

#[test]
fn the_way_of_receiving_is_the_best_or_as_told() {
    let all = Delivery { multishot: true, single_shot: true };
    let one = Delivery { multishot: false, ..all };
    let none = Delivery::default();
    let told = |receive| ProbeOptions { receive, ..ProbeOptions::new(1, 1) };
    let cases = [
        (None, all, ReceiveMode::Multishot, Severity::Good),
        (None, one, ReceiveMode::SingleShot, Severity::Advice),
        (None, none, ReceiveMode::Readiness, Severity::Advice),
        (Some(ReceiveMode::SingleShot), all, ReceiveMode::SingleShot, Severity::Good),
        (Some(ReceiveMode::Readiness), none, ReceiveMode::Readiness, Severity::Good),
        (Some(ReceiveMode::Multishot), one, ReceiveMode::Multishot, Severity::Fatal),
    ];
    for (receive, delivery, mode, severity) in cases {
        let (chosen, finding) = receiving(&told(receive), delivery);
        assert_eq!((chosen, finding.severity), (mode, severity), "{receive:?} {delivery:?}");
    }
}

#[test]
fn limits_are_compared_with_what_is_needed() {
    let host = |memlock, files| Host {
        release: "6.18.0".into(),
        memlock_bytes: Some(memlock),
        descriptors: files,
        ..Host::default()
    };
    let options = ProbeOptions::new(12, 10_000);
    let ample = host(8 << 20, (20_000, 20_000));
    assert_eq!(limits::memlock(&options, &ample).severity, Severity::Good, "12 shards in 8 MiB");
    assert_eq!(limits::descriptors(&options, &ample).severity, Severity::Good);

    let scarce = host(4 << 20, (1024, 4096));
    let finding = limits::memlock(&options, &scarce);
    assert_eq!(finding.severity, Severity::Fatal);
    assert!(finding.found.contains("4096 KiB") && finding.remedy.contains("ulimit -l"));
    assert_eq!(limits::descriptors(&options, &scarce).severity, Severity::Advice);
    assert_eq!(limits::descriptors(&options, &host(0, (100, 100))).severity, Severity::Fatal);

    let older = Host { release: "6.12.50".into(), ..scarce.clone() };
    assert_eq!(limits::memlock(&options, &older).severity, Severity::Good, "rings do not count");
    let root = Host { capabilities: u64::MAX, in_initial_namespace: true, ..scarce };
    assert_eq!(limits::memlock(&options, &root).severity, Severity::Good);
    // glommio looks at the limit even where it does not apply.
    let root = Host { memlock_bytes: Some(64 << 10), ..root };
    assert_eq!(limits::memlock(&options, &root).severity, Severity::Fatal);
}

#[test]
fn this_host_is_found_good() {
    let probe = Probe::run(&ProbeOptions::new(2, 100));
    assert_eq!(probe.fatal(), None, "these tests need a host that can run the plane");
    assert_eq!(probe.mode, ReceiveMode::Multishot);
    assert!(probe.findings.iter().all(|finding| !finding.check.is_empty()));
}

/// What the probe finds on a thread that cannot make rings.
fn probe_with_setup_failing(errno: i32) -> String {
    let probing = std::thread::spawn(move || {
        seccomp::deny(libc::SYS_io_uring_setup, errno);
        let probe = Probe::run(&ProbeOptions::new(2, 100));
        probe.fatal().expect("there is no io_uring").to_string()
    });
    probing.join().expect("the probe does not panic")
}

#[test]
fn a_seccomp_filter_is_named() {
    let sentence = probe_with_setup_failing(libc::EPERM);
    assert!(sentence.starts_with("io_uring: forbidden by a seccomp filter"), "{sentence}");
    assert!(sentence.contains("docker run --security-opt"), "{sentence}");
    assert_eq!(sentence.lines().count(), 1);
    let sentence = probe_with_setup_failing(libc::ENOSYS);
    assert!(sentence.starts_with("io_uring: hidden by a seccomp filter"), "{sentence}");
}

#[test]
fn without_registrations_there_is_no_start() {
    let probing = std::thread::spawn(|| {
        seccomp::deny(libc::SYS_io_uring_register, libc::EPERM);
        Probe::run(&ProbeOptions::new(2, 100))
    });
    let probe = probing.join().expect("the probe does not panic");
    let sentence = probe.fatal().expect("nothing can be registered").to_string();
    assert!(sentence.contains("seccomp filter") && sentence.contains("io_uring_register"));
}

#[test]
fn without_buffer_rings_readiness_is_chosen() {
    const IORING_REGISTER_PBUF_RING: u32 = 22;
    let probing = std::thread::spawn(|| {
        seccomp::deny_registering(IORING_REGISTER_PBUF_RING, libc::EINVAL);
        Probe::run(&ProbeOptions::new(2, 100))
    });
    let probe = probing.join().expect("the probe does not panic");
    assert_eq!((probe.fatal(), probe.mode), (None, ReceiveMode::Readiness));
}

#[test]
fn too_little_locked_memory_is_named_with_both_figures() {
    alone("machine::probe::tests::too_little_locked_memory_is_named_with_both_figures", || {
        set_limit(libc::RLIMIT_MEMLOCK, 600 << 10);
        become_ordinary_user();
        let options = ProbeOptions::new(12, 100);
        let probe = Probe::run(&options);
        let sentence = probe.fatal().expect("12 shards do not fit into 600 KiB").to_string();
        let needed = limits::needed_memlock_bytes(&options, true) / 1024;
        assert!(sentence.contains("600 KiB"), "{sentence}");
        assert!(sentence.contains(&format!("{needed} KiB for 12 shards")), "{sentence}");
        assert!(sentence.contains(&format!("ulimit -l {needed}")), "{sentence}");

        // And when even one ring does not fit, the refusal itself is explained.
        set_limit(libc::RLIMIT_MEMLOCK, 64 << 10);
        let sentence = Probe::run(&options).fatal().expect("no ring fits").to_string();
        assert!(sentence.contains("64 KiB"), "{sentence}");
    });
}

#[test]
fn twelve_shards_start_as_an_ordinary_user_with_8_mib() {
    alone("machine::probe::tests::twelve_shards_start_as_an_ordinary_user_with_8_mib", || {
        set_limit(libc::RLIMIT_MEMLOCK, 8 << 20);
        become_ordinary_user();
        assert_eq!(Probe::run(&ProbeOptions::new(12, 100)).fatal(), None);
        let (standing, stands) = channel();
        let mut doors = Vec::new();
        let mut shards = Vec::new();
        for number in 0..12 {
            let (door, opened) = channel::<()>();
            let standing = standing.clone();
            doors.push(door);
            let shard = executor::spawn(&format!("shard-{number}"), None, move || async move {
                let doorbell = Arc::new(Doorbell::new().expect("a descriptor is left"));
                let config = LinuxConfig::default();
                let world = LinuxWorld::new(&config, 0, vec![doorbell], Vec::new());
                let error = world.as_ref().err().map(ToString::to_string);
                standing.send(error).expect("the test waits");
                // All worlds exist at once: none leaves before its door is opened.
                let _ = opened.recv();
            });
            shards.push(shard.expect("an executor fits too"));
        }
        for _ in 0..12 {
            assert_eq!(stands.recv().expect("each shard says so"), None);
        }
        drop(doors);
        for shard in shards {
            shard.join().expect("a clean end");
        }
    });
}
