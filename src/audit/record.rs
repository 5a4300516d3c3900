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
    let record = match bytes.split_first() {
        Some((&codec::FORMAT, body)) => {
            AccessRecord::decode(body).map_err(|_| "it is no record".to_owned())?
        }
        Some((format, _)) => return Err(format!("it is in format {format}, which this version cannot read")),
        None => return Err("it is empty".to_owned()),
    };
    if record.node_id != node_id {
        return Err(format!("it is a record of node {}", record.node_id));
    }
    if record.position != position {
        return Err(format!("record {} stands in its place", record.position));
    }
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_keeps_its_place() {
        let record =
            AccessRecord { node_id: 3, method: "Verification/Verify".into(), ..AccessRecord::default() };
        for position in [0, 1, u64::MAX] {
            let mut bytes = encode(&record);
            place(&mut bytes, position);
            assert_eq!(decode(&bytes, 3, position), Ok(AccessRecord { position, ..record.clone() }));
            assert!(decode(&bytes, 4, position).unwrap_err().contains("node 3"));
            assert!(decode(&bytes, 3, position ^ 1).is_err());
        }
        assert!(decode(&[], 3, 0).is_err());
        assert!(decode(&[9], 3, 0).unwrap_err().contains("format 9"));
        assert!(decode(&[1, 0xff], 3, 0).is_err());
    }
}
