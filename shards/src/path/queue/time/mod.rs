//! What is due when: messages that are scheduled, and messages that expire.
//!
//! | file | what it knows |
//! |---|---|
//! | `calendar` | ten million timers, sixteen bytes each |
//! | `schedule` | messages that are not due yet |
//! | `mortality` | messages expire |

#[allow(dead_code, reason = "tests ask how much it holds")]
pub(super) mod calendar;
pub(super) mod mortality;
pub(super) mod schedule;
