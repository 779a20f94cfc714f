//! The suite: ours and what bounds it, measured in turn and set side by side.
//!
//! One table of scenarios (`scenarios`) says what is measured against what and which target it has
//! to meet. Ours over TCP is the real program: `ringway serve` pinned to one CPU and `ringway load`
//! pinned to the other. Each round measures every scenario and, right beside it, its floor or peer,
//! because figures of different minutes do not compare; a ratio is taken within a round, and the
//! table shows the median of the rounds with the lowest and the highest.
//!
//! | file | what |
//! |---|---|
//! | `scenarios` | the table: names, targets, settings |
//! | `subject` | everything that can be measured, and how |
//! | `in_process` | queues on one thread, lanes between two: no socket, no other process |
//! | `delayed` | ten million messages that are not due yet, on one thread |
//! | `crowd` | our program with as many queues, connections and messages as it is to bear |
//! | `server`, `load_run`, `idle` | our program as child processes |
//! | `redis` | the peer that everybody knows, under its own benchmark, if it is installed |
//! | `peers` | those with an acknowledgement for each message, under a load of ours |
//! | `process` | what a process used |
//! | `rounds` | the order of measuring |
//! | `figure`, `spread`, `target` | one measured quantity; median, lowest, highest; its bound |
//! | `report` | rows with verdicts, as a table and as JSON |

mod crowd;
mod delayed;
pub mod figure;
mod idle;
pub mod in_process;
mod load_run;
pub mod peers;
mod process;
pub mod redis;
pub mod report;
pub mod rounds;
pub mod scenarios;
mod server;
pub mod spread;
pub mod subject;
pub mod target;
