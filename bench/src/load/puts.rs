//! The puts of one queue: encoded before the run where only their number changes, and named one by
//! one where repeated ones would be recognised.

use ringway_client::{Batch, Error, Outbox, Request, Template};
use ringway_protocol::request::{Producer, Put};
use ringway_protocol::{QueueId, Records};

use crate::load::settings::Settings;
use crate::load::work::{Deduplication, MESSAGE_ID_BYTES, message_id};

/// The byte of every payload.
const FILLER: u8 = 0x5a;

/// The puts of one queue, as many as it takes until every key was there.
pub struct Puts {
    queue: QueueId,
    count: u32,
    kind: Kind,
}

enum Kind {
    Encoded(Vec<Template>),
    /// Batches of records that are sent as their producer's next ones.
    Numbered(Vec<Vec<u8>>),
    /// Batches whose records get their ids when they are sent: in the last bytes before the
    /// payload.
    Named {
        batches: Vec<Vec<u8>>,
        record_bytes: usize,
        payload_bytes: usize,
    },
}

impl Puts {
    /// Encodes the puts of a run to `queue`.
    pub fn new(settings: &Settings, queue: QueueId) -> Result<Self, Error> {
        let count = settings.put_batch();
        let turns = settings.work.puts_for_all_keys(count) as u64;
        let batches = (0..turns).map(|turn| batch(settings, turn * u64::from(count), count));
        let kind = match settings.work.dedup {
            None => {
                let encoded = batches.map(|batch| Ok(Template::put(queue, &batch?)));
                Kind::Encoded(encoded.collect::<Result<_, Error>>()?)
            }
            Some(by) => {
                let batches = batches.map(|batch| Ok(batch?.as_bytes().to_vec()));
                let batches = batches.collect::<Result<_, Error>>()?;
                let (record_bytes, payload_bytes) =
                    (settings.record_bytes() as usize, settings.size);
                match by {
                    Deduplication::Producer => Kind::Numbered(batches),
                    Deduplication::Id => Kind::Named { batches, record_bytes, payload_bytes },
                }
            }
        };
        Ok(Self { queue, count, kind })
    }

    /// How many there are before the keys come again.
    pub fn turns(&self) -> usize {
        match &self.kind {
            Kind::Encoded(templates) => templates.len(),
            Kind::Numbered(batches) | Kind::Named { batches, .. } => batches.len(),
        }
    }

    /// Appends the put of a turn as request `number`; `producer` tells its next message.
    #[inline]
    pub fn send(&mut self, turn: usize, producer: &mut Producer, outbox: &mut Outbox, number: u32) {
        let (records, named) = match &mut self.kind {
            Kind::Encoded(templates) => return outbox.template(&templates[turn], number),
            Kind::Numbered(batches) => (&batches[turn], Some(*producer)),
            Kind::Named { batches, record_bytes, payload_bytes } => {
                let id_at = *record_bytes - *payload_bytes - MESSAGE_ID_BYTES;
                let records = batches[turn].chunks_exact_mut(*record_bytes);
                for (record, sequence) in records.zip(producer.sequence..) {
                    let id = message_id(producer.id, sequence);
                    record[id_at..id_at + MESSAGE_ID_BYTES].copy_from_slice(&id);
                }
                (&batches[turn], None)
            }
        };
        producer.sequence += u64::from(self.count);
        let records = Records::parse(records, self.count)
            .expect("the client checked them, and ids have one length");
        let put = Put { queue: self.queue, producer: named, records };
        outbox.request(&Request::Put(put), number);
    }
}

/// Messages `first` to `first + count` of a run, through the client's own checks.
fn batch(settings: &Settings, first: u64, count: u32) -> Result<Batch, Error> {
    let payload = vec![FILLER; settings.size];
    let mut batch = Batch::default();
    for number in first..first + u64::from(count) {
        settings.work.with_attributes(number, |attributes| batch.push(attributes, &payload))?;
    }
    Ok(batch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::work::WorkOptions;
    use ringway_protocol::Attribute;
    use ringway_protocol::frame::{self, Split};
    use ringway_protocol::limits::FRAME_BYTES_MAX;

    /// What a server reads of the puts of some turns: producer's sequence, keys and ids.
    fn sent(work: WorkOptions, turns: &[usize]) -> Vec<(Option<u64>, Vec<u32>, Vec<u128>)> {
        let settings = Settings { batch: 4, size: 3, work, ..Settings::default() };
        let mut puts = Puts::new(&settings, QueueId::new(1, 0, 0)).unwrap();
        let mut producer = Producer { id: 9, sequence: 0 };
        let mut read = Vec::new();
        for turn in turns {
            let mut outbox = Outbox::default();
            puts.send(*turn % puts.turns(), &mut producer, &mut outbox, 7);
            let Split::Frame(frame) = frame::split(outbox.unsent(), FRAME_BYTES_MAX).unwrap()
            else {
                panic!("a whole frame was sent")
            };
            let Request::Put(put) = Request::decode(frame).unwrap() else { panic!("not a put") };
            assert_eq!((frame.header.request, put.records.count()), (7, 4));
            assert!(put.records.iter().all(|record| record.payload == [FILLER; 3]));
            let (mut keys, mut ids) = (Vec::new(), Vec::new());
            for attribute in put.records.iter().flat_map(|record| record.attributes()) {
                match attribute {
                    Attribute::Key(key) => keys.push(u32::from_le_bytes(key.try_into().unwrap())),
                    Attribute::DeduplicationId(id) => {
                        ids.push(u128::from_le_bytes(id.try_into().unwrap()));
                    }
                    Attribute::DelayMs(delay) => assert_eq!(delay, 1500),
                    other => panic!("{other:?}"),
                }
            }
            read.push((put.producer.map(|producer| producer.sequence), keys, ids));
        }
        read
    }

    #[test]
    fn keys_come_in_turn_and_again() {
        let work = WorkOptions { keys: 6, ..WorkOptions::default() };
        let keys: Vec<Vec<u32>> = sent(work, &[0, 1, 2]).into_iter().map(|put| put.1).collect();
        assert_eq!(keys, [[0, 1, 2, 3], [4, 5, 0, 1], [0, 1, 2, 3]]);
        assert_eq!(sent(WorkOptions::default(), &[0]), [(None, vec![], vec![])]);
    }

    #[test]
    fn each_put_or_each_message_is_named_once() {
        let delay = std::time::Duration::from_millis(1500);
        let work = |dedup| WorkOptions { dedup: Some(dedup), keys: 4, delay, ..Default::default() };
        let keys = || vec![0, 1, 2, 3];
        let numbered = sent(work(Deduplication::Producer), &[0, 0]);
        assert_eq!(numbered, [(Some(0), keys(), vec![]), (Some(4), keys(), vec![])]);
        let named = sent(work(Deduplication::Id), &[0, 0]);
        let id = |sequence: u128| 9 << 64 | sequence;
        assert_eq!(named[1], (None, keys(), (4..8).map(id).collect()));
        assert_eq!(named[0].2, (0..4).map(id).collect::<Vec<_>>());
    }
}
