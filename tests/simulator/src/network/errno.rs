//! The negative results that a kernel gives, as Linux numbers them on every machine that it serves.

pub const EINTR: i32 = -4;
pub const EAGAIN: i32 = -11;
pub const ENOMEM: i32 = -12;
pub const ENFILE: i32 = -23;
pub const EMFILE: i32 = -24;
pub const ENOENT: i32 = -2;
pub const EPIPE: i32 = -32;
pub const ECONNABORTED: i32 = -103;
pub const ECONNRESET: i32 = -104;
pub const ENOBUFS: i32 = -105;
pub const EALREADY: i32 = -114;
pub const ECANCELED: i32 = -125;
