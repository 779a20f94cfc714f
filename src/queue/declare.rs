//! `ringway queue declare`: options as people write them become a queue's options.

use clap::{Args, ValueEnum};
use ringway_protocol::options::{FullPolicy, QueueOptions};
use serde_json::json;

use super::{Session, failure};
use crate::failure::Outcome;
use crate::units::{Size, Span};

/// The arguments of `ringway queue declare`. Without any option the plane's defaults count.
#[derive(Args)]
pub struct DeclareArguments {
    /// Name: 1 to 255 letters, digits, '.', '_', '-' or '/'
    name: String,

    /// Most messages held, ready and leased together
    #[arg(long, value_name = "N")]
    messages_max: Option<u64>,

    /// Most bytes of memory held
    #[arg(long, value_name = "SIZE")]
    bytes_max: Option<Size>,

    /// How long a lease lasts unless the take says otherwise
    #[arg(long, value_name = "DURATION")]
    lease: Option<Span>,

    /// Longest wait that a take may ask for
    #[arg(long, value_name = "DURATION")]
    wait_max: Option<Span>,

    /// Deliveries before a message goes to NAME.dead; 0 for no limit
    #[arg(long, value_name = "N")]
    deliveries_max: Option<u32>,

    /// What happens to a put when the queue is full
    #[arg(long, value_name = "POLICY")]
    when_full: Option<WhenFull>,
}

#[derive(Clone, Copy, ValueEnum)]
enum WhenFull {
    /// The put is refused
    Reject,
    /// The oldest ready messages make room
    DropOldest,
}

impl From<WhenFull> for FullPolicy {
    fn from(word: WhenFull) -> Self {
        match word {
            WhenFull::Reject => FullPolicy::Reject,
            WhenFull::DropOldest => FullPolicy::DropOldest,
        }
    }
}

impl DeclareArguments {
    /// What was asked for; `None` leaves everything to the plane. One option given fixes the rest
    /// at the protocol's defaults, because a declaration carries all of them or none.
    fn options(&self) -> Option<QueueOptions> {
        let base = QueueOptions::default();
        let options = QueueOptions {
            messages_max: self.messages_max.unwrap_or(base.messages_max),
            bytes_max: self.bytes_max.map_or(base.bytes_max, |size| size.0),
            lease_ms: self.lease.map_or(base.lease_ms, Span::ms),
            wait_max_ms: self.wait_max.map_or(base.wait_max_ms, Span::ms),
            deliveries_max: self.deliveries_max.unwrap_or(base.deliveries_max),
            full_policy: self.when_full.map_or(base.full_policy, FullPolicy::from),
            ..base
        };
        let said = self.messages_max.is_some()
            || self.bytes_max.is_some()
            || self.lease.is_some()
            || self.wait_max.is_some()
            || self.deliveries_max.is_some()
            || self.when_full.is_some();
        said.then_some(options)
    }
}

pub fn run(session: &mut Session, arguments: &DeclareArguments) -> Outcome {
    let name = &arguments.name;
    let declared = session.client.declare_new(name, arguments.options());
    let (queue, created) = declared.map_err(failure)?;
    let document = json!({ "queue": name, "id": queue.0, "created": created });
    let found = if created { "declared" } else { "was there already, with these options" };
    session.answer(&document, &format!("{name} {found}"))
}
