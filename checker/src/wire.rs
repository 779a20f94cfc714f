//! Real replies in the words of the checker.

use ringway_protocol::reply::{
    BrowseEntry, BrowsePage, Delivery, PutOutcome, Receipt, Standing, Verdict,
};
use ringway_protocol::{Record, Reply};

use super::event::{Answer, Delivered, Place, RangeOutcome, Stretch, Taken};
use super::parcel;

/// What a reply says, as far as the checker cares.
pub fn answer(reply: &Reply<'_>) -> Answer {
    match reply {
        Reply::Put(receipt) => Answer::Stored(stretches(receipt)),
        Reply::Delivery(delivery) => Answer::Delivered(delivered(delivery)),
        Reply::Settled(settlement, verdicts) => {
            let listed: u32 = verdicts.iter().map(|range| range.count).sum();
            let (stale, unknown) = (settlement.stale, settlement.unknown);
            let all = settlement.settled + stale + unknown;
            if listed != all && (listed, stale, unknown) != (0, 0, 0) {
                // The totals contradict the verdicts: no answer to any settlement.
                return Answer::Other;
            }
            let outcome = |range: ringway_protocol::reply::RangeVerdict| RangeOutcome {
                first: range.first,
                count: range.count,
                settled: range.verdict == Verdict::Settled,
            };
            Answer::Settled(verdicts.iter().map(outcome).collect())
        }
        Reply::Transferred(settlement, receipt) => {
            let all = (settlement.stale, settlement.unknown) == (0, 0);
            Answer::Transferred(all, stretches(receipt))
        }
        Reply::Published(published) => {
            Answer::Published { matched: published.matched, stored: published.stored }
        }
        Reply::Subscribed { subscription } => Answer::Subscribed(subscription.0),
        Reply::Extended { lease_ms, .. } => Answer::Extended(*lease_ms),
        Reply::Group { group, changed } => Answer::Group(group.0, *changed),
        Reply::Removal(removal) => {
            Answer::Removed { removed: removal.removed, missing: removal.missing }
        }
        Reply::Browsed(page) => Answer::Shown(shown(page)),
        Reply::Refused { .. } => Answer::Refused,
        _ => Answer::Other,
    }
}

fn stretches(receipt: &Receipt<'_>) -> Vec<Stretch> {
    let place = |outcome| match outcome {
        PutOutcome::Stored => Place::Here,
        PutOutcome::Duplicate => Place::Before,
        PutOutcome::Scheduled => Place::Later,
    };
    let runs = receipt.runs().map(|run| Stretch {
        first_sequence: run.first_sequence,
        count: run.count,
        place: place(run.outcome),
    });
    runs.collect()
}

fn delivered(delivery: &Delivery<'_>) -> Delivered {
    let mut records = delivery.records.iter().flat_map(|records| records.iter());
    let mut messages = Vec::new();
    for run in delivery.runs() {
        for offset in 0..u64::from(run.count) {
            let (sequence, record) = (run.first_sequence + offset, records.next());
            messages.push(taken((sequence, run.deliveries), record.as_ref()));
        }
    }
    let (lease, lease_ms) = (delivery.lease.0, delivery.lease_ms);
    Delivered { lease, lease_ms, messages }
}

fn shown(page: &BrowsePage<'_>) -> Vec<Taken> {
    let one = |entry: BrowseEntry<'_>| {
        let Standing { sequence, deliveries, .. } = entry.standing;
        taken((sequence, deliveries), Some(&entry.record))
    };
    page.iter().map(one).collect()
}

fn taken((sequence, deliveries): (u64, u32), record: Option<&Record<'_>>) -> Taken {
    Taken {
        sequence,
        deliveries,
        message: record.and_then(|record| parcel::read(record.payload)),
        traits: record.map(parcel::traits),
        letter: record.and_then(parcel::letter),
    }
}
