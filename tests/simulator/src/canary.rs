//! Planted bugs: ways in which the world lies, as a shard with that bug would. Each must make a run
//! fail.

mod replies;
mod requests;

use crate::faults::Faults;
use ringway_checker::chance::Rate;
use ringway_checker::clients::queues::{Changes, GroupPlan, QueuePlan, StartPlan};
use ringway_protocol::SpreadOrder;

pub use requests::Heard;

/// Queues of a run where each is to be busy.
const FEW_QUEUES: usize = 4;

/// Declares the canaries once: name on the command line, what it stands for.
macro_rules! canaries {
    ($($name:ident = $word:literal, $means:literal;)*) => {
        /// A planted bug.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Canary { $(#[doc = $means] $name,)* }

        impl Canary {
            /// Every planted bug.
            pub const ALL: &[Canary] = &[$(Canary::$name,)*];

            /// The word that chooses it.
            pub fn as_str(self) -> &'static str {
                match self { $(Canary::$name => $word,)* }
            }

            /// What it stands for.
            pub fn meaning(self) -> &'static str {
                match self { $(Canary::$name => $means,)* }
            }
        }
    };
}

canaries! {
    IgnoreMore = "ignore-more", "a receive that ended stays so: a missing F_MORE is overlooked";
    ReceiveTwice = "receive-twice", "received bytes are consumed twice";
    ReceiveSkips = "receive-skips", "a received byte is lost";
    BufferTwice = "buffer-twice", "a receive buffer is overwritten while its bytes are needed";
    FreeEarly = "free-early", "bytes are freed before their send's terminal completion";
    TwoSends = "two-sends", "a second send starts while the first is under way";
    ShortUnsaid = "short-unsaid", "the rest of a short send is forgotten";
    DoorbellLost = "doorbell-lost", "a parked shard is not woken";
    DeadlineIgnored = "deadline-ignored", "a parked shard sleeps past its next timer";
    LeaseForgotten = "lease-forgotten", "leases never run out: the shard's clock stands still";
    LeaseCutShort = "lease-cut-short", "leases run out too early: the shard's clock runs fast";
    StaleSettles = "stale-settles", "an acknowledgement that came too late is reported as settled";
    Phantom = "phantom", "a delivered message is not what was sent";
    ReplyTwice = "reply-twice", "a request is answered twice";
    RefusalHidden = "refusal-hidden", "a put that was refused is acknowledged";
    Reordered = "reordered", "the messages of a delivery come in another order";
    KeysMistaken = "keys-mistaken", "keys are misread: two messages of one are in flight";
    DueEarly = "due-early", "a shard's time of day is ahead: what has a time comes too early";
    ExpiredKept = "expired-kept", "a shard's clock runs slow: what has expired is delivered";
    RepeatStored = "repeat-stored", "a producer's id is misread: a repeat is stored again";
    ReasonChanged = "reason-changed", "a dead letter states another reason";
    CreditExceeded = "credit-exceeded", "a credit is misread: more is pushed than it allows";
    PauseIgnored = "pause-ignored", "pauses are misread: what is paused goes on";
    ActiveShared = "active-shared", "a group's single active consumer is not the only one";
    ReplayForgotten = "replay-forgotten", "what is kept does not come to a group made later";
    StartMistaken = "start-mistaken", "a group's start is misread: it gets what was before";
    UnbindForgotten = "unbind-forgotten", "a binding that was taken back is still there";
    RemovalFeigned = "removal-feigned", "messages are said to be removed that are not";
    BrowseMistaken = "browse-mistaken", "a page shows a message where another one stands";
    PartsForgetKeys = "parts-forget-keys", "a spread queue keeps no order by key";
    PartsReordered = "parts-reordered", "messages of a spread queue's further parts come reversed";
    CloseForgotten = "close-forgotten", "the socket of a connection that has gone is never closed";
}

impl Canary {
    /// The canary of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|canary| canary.as_str() == word)
    }

    /// Makes sure that the world gives the bug its occasion.
    pub fn provoke(self, faults: &mut Faults) {
        match self {
            Canary::IgnoreMore => faults.multishot_ends = Rate(100_000),
            Canary::TwoSends | Canary::FreeEarly | Canary::ShortUnsaid => {
                faults.pipe_bytes = faults.pipe_bytes.min(700);
            }
            _ => {}
        }
    }

    /// Makes sure that the queues of a run give the bug its occasion.
    pub fn season(self, plans: &mut Vec<QueuePlan>) {
        if self == Canary::RepeatStored {
            // Who repeats a put has to come by that queue again.
            plans.truncate(FEW_QUEUES);
        }
        for plan in plans {
            self.season_one(plan);
            plan.reconcile();
        }
    }

    fn season_one(self, plan: &mut QueuePlan) {
        match self {
            Canary::KeysMistaken => plan.keys = 3,
            Canary::DueEarly => plan.delayed = true,
            Canary::ExpiredKept => plan.mortal = true,
            Canary::RepeatStored => {
                (plan.numbered, plan.identified) = (true, false);
                (plan.options.dedup_ms, plan.options.spread) = (3_600_000, 0);
                plan.options.spread_order = SpreadOrder::Relaxed;
                plan.changes = Changes::default();
            }
            Canary::CreditExceeded => plan.credit_max = 2,
            Canary::ReasonChanged => plan.options.deliveries_max = 1,
            Canary::PauseIgnored => {
                plan.changes = Changes { paused: true, ..Changes::default() };
            }
            Canary::ActiveShared => {
                let shared = group("g1", StartPlan::Earliest);
                plan.groups = vec![GroupPlan { single_active: true, ..shared }];
            }
            Canary::ReplayForgotten => {
                plan.keep_everything();
                plan.groups = vec![group("g1", StartPlan::Earliest)];
            }
            Canary::StartMistaken => {
                plan.changes.replayed = true;
                let starts = [("g1", StartPlan::Sequence(20)), ("g2", StartPlan::Lately)];
                plan.groups = starts.iter().map(|(name, start)| group(name, *start)).collect();
            }
            Canary::UnbindForgotten => {
                plan.topic = Some(1);
                plan.changes = Changes::default();
            }
            Canary::RemovalFeigned => plan.changes.pruned = true,
            Canary::PartsForgetKeys | Canary::PartsReordered => {
                (plan.changes.grows, plan.numbered) = (false, false);
                plan.options.spread = 3;
                let per_key = self == Canary::PartsForgetKeys;
                plan.keys = if per_key { 3 } else { 0 };
                plan.options.spread_order =
                    if per_key { SpreadOrder::PerKey } else { SpreadOrder::Relaxed };
            }
            _ => {}
        }
    }
}

fn group(name: &str, start: StartPlan) -> GroupPlan {
    GroupPlan { name: name.to_owned(), start, single_active: false }
}
