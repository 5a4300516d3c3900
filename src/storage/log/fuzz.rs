//! For the fuzzer: what the log's decoders make of any bytes. See `crate::fuzz`.

use super::{mark, table};
use crate::proto::store::{LogId, Vote};
use crate::storage::codec;
use crate::storage::sealing::Keyring;

/// A row of the log, sealed or to be sealed here, so that the fuzzer need not guess checksums.
pub(crate) fn entry(bytes: &[u8]) {
    const INDEX: u64 = 7;
    for sealed in [bytes.to_vec(), codec::seal(bytes)] {
        if let Ok(entry) = table::entry("entry 7", INDEX, &sealed, &Keyring::default()) {
            assert_eq!(entry.id.index, INDEX, "an entry in another's place");
            assert_eq!(codec::seal(&entry.bytes), sealed, "an entry is not read as it was written");
        }
    }
}

/// Rows beside the log.
pub(crate) fn meta(bytes: &[u8]) {
    if let Ok(vote) = codec::decode::<Vote>("vote", bytes) {
        assert_eq!(codec::decode::<Vote>("vote", &codec::encode(&vote)).expect("reads its own"), vote);
    }
    if let Ok(id) = codec::decode::<LogId>("id", bytes) {
        assert_eq!(codec::decode::<LogId>("id", &codec::encode(&id)).expect("reads its own"), id);
    }
}

/// A slot of the mark, sealed or to be sealed here.
pub(crate) fn slot(bytes: &[u8]) {
    for sealed in [bytes.to_vec(), codec::seal(bytes)] {
        if let Ok((number, promise)) = mark::parse("slot", &sealed) {
            let again = mark::slot(number, &promise).expect("a promise can be written");
            assert_eq!(again.len(), mark::SLOT_LEN, "a slot is one sector");
            assert_eq!(mark::parse("slot", &again).expect("reads its own"), (number, promise));
        }
    }
}

/// What these write themselves.
#[cfg(test)]
pub(crate) fn seeds() -> [Vec<u8>; 3] {
    use prost::Message;
    let id = LogId { term: 3, leader_id: 2, index: 7 };
    let vote = Vote { term: 3, node_id: 2, committed: true };
    let entry = crate::proto::store::Entry { log_id: Some(id), payload: None };
    let promise = mark::Promise { writes: 9, vote: Some(vote), last: Some(id) };
    [
        codec::seal(&entry.encode_to_vec()),
        codec::encode(&vote),
        mark::slot(4, &promise).expect("it fits a slot"),
    ]
}
