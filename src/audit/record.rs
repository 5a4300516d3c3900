//! A record as bytes: what is written, hashed and carried. Its bytes are never made anew from the message, so that a later
//! version that knows more fields keeps the hashes of earlier ones.

use prost::Message;

use crate::proto::registry::AccessRecord;
use crate::storage::codec;

/// The number of the field `position` of a record.
const POSITION: u32 = 2;

/// A record without its position: [`place`] gives it one.
pub fn encode(record: &AccessRecord) -> Vec<u8> {
    debug_assert_eq!(record.position, 0, "it has no place yet");
    codec::encode(record)
}

/// Gives a record its position: the last field, so that it can be added when the record's turn has come.
pub fn place(bytes: &mut Vec<u8>, position: u64) {
    prost::encoding::uint64::encode(POSITION, &position, bytes);
}

/// The record in these bytes, which stand at a position of a node's log.
///
/// # Errors
/// In words, when they hold no record, or that of another place.
pub fn decode(bytes: &[u8], node_id: u64, position: u64) -> Result<AccessRecord, String> {
    let record: AccessRecord = read(bytes)?;
    check(record.node_id, record.position, (node_id, position))?;
    Ok(record)
}

/// What an index needs of an [`AccessRecord`]: the rest is passed over, which takes a fraction of the time. Central nodes do this
/// with every record of the country.
#[derive(Clone, PartialEq, Message)]
pub struct Outline {
    #[prost(uint64, tag = "1")]
    node_id: u64,
    #[prost(uint64, tag = "2")]
    position: u64,
    /// When it was, in milliseconds since 1970.
    #[prost(uint64, tag = "3")]
    pub time_ms: u64,
    #[prost(message, repeated, tag = "6")]
    persons: Vec<OutlinedPerson>,
}

#[derive(Clone, PartialEq, Message)]
struct OutlinedPerson {
    #[prost(uint64, tag = "1")]
    uid: u64,
    #[prost(uint64, tag = "2")]
    merged_from: u64,
}

impl Outline {
    /// Whom the record is about, by the uids that they have or had.
    pub fn uids(&self) -> Vec<u64> {
        let both = self.persons.iter().flat_map(|person| [person.uid, person.merged_from]);
        let mut uids: Vec<u64> = both.filter(|uid| *uid != 0).collect();
        uids.sort_unstable();
        uids.dedup();
        uids
    }
}

/// The outline of the record in these bytes.
///
/// # Errors
/// As [`decode`].
pub fn outline(bytes: &[u8], node_id: u64, position: u64) -> Result<Outline, String> {
    let outline: Outline = read(bytes)?;
    check(outline.node_id, outline.position, (node_id, position))?;
    Ok(outline)
}

fn read<M: Message + Default>(bytes: &[u8]) -> Result<M, String> {
    match bytes.split_first() {
        Some((&codec::FORMAT, body)) => M::decode(body).map_err(|_| "it is no record".to_owned()),
        Some((format, _)) => Err(format!("it is in format {format}, which this version cannot read")),
        None => Err("it is empty".to_owned()),
    }
}

fn check(node_id: u64, position: u64, wanted: (u64, u64)) -> Result<(), String> {
    if node_id != wanted.0 {
        return Err(format!("it is a record of node {node_id}"));
    }
    if position != wanted.1 {
        return Err(format!("record {position} stands in its place"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::registry::AccessedPerson;

    #[test]
    fn a_record_keeps_its_place() {
        let seen = |uid, merged_from| AccessedPerson { uid, merged_from, ..AccessedPerson::default() };
        let record = AccessRecord {
            node_id: 3,
            time_ms: 7,
            method: "Verification/Verify".into(),
            persons: vec![seen(9, 0), seen(4, 9), seen(9, 2)],
            ..AccessRecord::default()
        };
        for position in [0, 1, u64::MAX] {
            let mut bytes = encode(&record);
            place(&mut bytes, position);
            assert_eq!(decode(&bytes, 3, position), Ok(AccessRecord { position, ..record.clone() }));
            assert!(decode(&bytes, 4, position).unwrap_err().contains("node 3"));
            assert!(decode(&bytes, 3, position ^ 1).is_err());
            let outline = outline(&bytes, 3, position).unwrap();
            assert_eq!((outline.time_ms, outline.uids()), (7, vec![2, 4, 9]));
            assert!(super::outline(&bytes, 3, position ^ 1).is_err());
        }
        assert!(decode(&[], 3, 0).is_err());
        assert!(decode(&[9], 3, 0).unwrap_err().contains("format 9"));
        assert!(decode(&[1, 0xff], 3, 0).is_err());
    }
}
