//! The messages of a move: taken under one lease, each of them moved, refused or left alone.

use crate::path::queue::{named_queue, rewrite};
use ringway_protocol::LeaseId;
use ringway_protocol::record::{self, Record};
use ringway_protocol::reply::Delivery;

/// What becomes of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    /// Nothing yet.
    Taken,
    /// It is being put.
    Put,
    /// It is in its new queue.
    Moved,
    /// Its new queue refused it, or is not there.
    Refused,
}

/// Messages under one lease, in the order of their records.
#[derive(Debug)]
pub(super) struct Batch {
    pub lease: LeaseId,
    standings: Vec<Standing>,
}

impl Batch {
    /// What was delivered.
    pub fn new(delivery: &Delivery<'_>) -> Self {
        Self { lease: delivery.lease, standings: vec![Standing::Taken; delivery.count() as usize] }
    }

    /// How many messages stand so.
    pub fn count(&self, wanted: Standing) -> u32 {
        self.standings.iter().filter(|standing| **standing == wanted).count() as u32
    }

    /// Starts to move all that is left.
    pub fn put_all(&mut self) {
        self.change(Standing::Taken, Standing::Put);
    }

    /// Starts to move those that are left and name the same queue as the first of them, which is
    /// returned. Those that name none are refused.
    pub fn put_next<'a>(&mut self, records: &'a [u8]) -> Option<&'a str> {
        let mut found = None;
        for (record, standing) in each(records).zip(&mut self.standings) {
            if *standing != Standing::Taken {
                continue;
            }
            match named_queue(&record) {
                None => *standing = Standing::Refused,
                Some(name) if *found.get_or_insert(name) == name => *standing = Standing::Put,
                Some(_) => {}
            }
        }
        found
    }

    /// Of those that are being put, leaves the ones that have the same place as the first, which is
    /// returned; the others are moved later.
    pub fn narrow(&mut self, records: &[u8], place: impl Fn(&Record<'_>) -> usize) -> usize {
        let mut found = None;
        for (record, standing) in each(records).zip(&mut self.standings) {
            if *standing == Standing::Put {
                let place = place(&record);
                if *found.get_or_insert(place) != place {
                    *standing = Standing::Taken;
                }
            }
        }
        found.unwrap_or(0)
    }

    /// Notes of each of those that are being put whether it is stored, in their order.
    pub fn note(&mut self, stored: &[u8]) {
        let put = self.standings.iter_mut().filter(|standing| **standing == Standing::Put);
        for (standing, stored) in put.zip(stored) {
            if *stored == 0 {
                *standing = Standing::Refused;
            }
        }
    }

    /// Those that are being put have become this.
    pub fn settle(&mut self, outcome: Standing) {
        self.change(Standing::Put, outcome);
    }

    fn change(&mut self, from: Standing, to: Standing) {
        let standings = self.standings.iter_mut().filter(|standing| **standing == from);
        standings.for_each(|standing| *standing = to);
    }

    /// Appends the records that are being put; returns how many. What was said of their time in the
    /// queue that they leave does not count again: they are due, and no repeats.
    pub fn write(&self, records: &[u8], redrive: bool, out: &mut Vec<u8>) -> u32 {
        self.being_put(records).for_each(|(record, _)| rewrite(&record, redrive, out));
        self.count(Standing::Put)
    }

    /// The ranges of those that are being put, within the lease.
    pub fn ranges(&self) -> Vec<(u32, u32)> {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for (index, _) in self.standings.iter().enumerate().filter(|(_, it)| **it == Standing::Put)
        {
            match ranges.last_mut() {
                Some((first, count)) if *first + *count == index as u32 => *count += 1,
                _ => ranges.push((index as u32, 1)),
            }
        }
        ranges
    }

    fn being_put<'a>(&self, records: &'a [u8]) -> impl Iterator<Item = (Record<'a>, &Standing)> {
        each(records).zip(&self.standings).filter(|(_, standing)| **standing == Standing::Put)
    }
}

fn each(mut records: &[u8]) -> impl Iterator<Item = Record<'_>> {
    std::iter::from_fn(move || {
        let (record, rest) = record::first(records)?;
        records = rest;
        Some(record)
    })
}
