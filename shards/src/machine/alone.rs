//! For tests that need a process of their own: limits, users, counts of descriptors.

use std::process::Command;

const VARIABLE: &str = "RINGWAY_TEST_ALONE";

/// Runs `body` in a process that runs nothing else, and fails if it fails there. `path` is the full
/// path of the calling test, for which that process is started.
pub fn alone(path: &str, body: impl FnOnce()) {
    if std::env::var(VARIABLE).is_ok_and(|wanted| wanted == path) {
        return body();
    }
    let tests = std::env::current_exe().expect("the test binary");
    let output = Command::new(tests)
        .args([path, "--exact", "--nocapture", "--test-threads=1"])
        .env(VARIABLE, path)
        .output()
        .expect("it runs a second time");
    let text = String::from_utf8_lossy(&output.stdout);
    let passed = output.status.success() && text.contains("1 passed");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(passed, "{path}, alone in a process:\n{text}\n{errors}");
}

/// Whether the tests run as root, which is not subject to all limits.
pub fn is_root() -> bool {
    // SAFETY: reads a number.
    unsafe { libc::geteuid() == 0 }
}

/// Makes the process that of an ordinary user, if it is root's: one whom nobody else uses, because
/// some limits are shared by all processes of a user.
pub fn become_ordinary_user() {
    if !is_root() {
        return;
    }
    let user = 1_000_000 + std::process::id();
    // SAFETY: numbers, and no group for the empty list; done by all threads of the process.
    unsafe {
        assert_eq!(libc::setgroups(0, std::ptr::null()), 0);
        assert_eq!(libc::setresgid(user, user, user), 0);
        assert_eq!(libc::setresuid(user, user, user), 0);
    }
}

/// Sets a limit of the process, hard and soft.
pub fn set_limit(resource: libc::__rlimit_resource_t, value: u64) {
    let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
    // SAFETY: the pointer is valid for one rlimit, which the kernel only reads.
    assert_eq!(unsafe { libc::setrlimit(resource, &raw const limit) }, 0);
}
