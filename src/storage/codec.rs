//! The one place that turns values into bytes on disk and back.
//!
//! ```text
//! encode   [format u8 = 1][protobuf]                       rows of tables: RocksDB checks its blocks itself
//! seal     [format u8 = 1][crc32 u32 BE][bytes]            log entries and small files: checked end to end
//! sealed   [format u8 = 2]..                               a value encrypted on its way to the disk: see `sealing`
//! pack     bincode, never without a seal around it         the high-water mark only
//! ```
//!
//! The format byte comes first, so that a newer dancu may change all that follows and an older one says so instead of
//! misreading it. The checksum is CRC-32 (IEEE) over format byte and bytes. Protobuf is for all that lives long or
//! travels; bincode has no evolution story and is for values that only the node that wrote them reads.

use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::StorageError;

/// The format this version writes, and the newest it reads.
pub const FORMAT: u8 = 1;

/// The first byte of a value that is encrypted, and of a frame around one: dancu versions that know of no encryption say so.
pub const SEALED: u8 = 2;

/// Bytes that a seal adds.
pub const SEAL_LEN: usize = 5;

/// A table's value: format byte and protobuf.
pub fn encode(message: &impl Message) -> Vec<u8> {
    // Room for nearly every row: to ask for the exact length is to walk through the whole message once more.
    let mut bytes = Vec::with_capacity(1024);
    bytes.push(FORMAT);
    message.encode_raw(&mut bytes);
    bytes
}

/// Reads what [`encode`] wrote. `what` names the value in the error: a table and a kind, never a citizen's data.
///
/// # Errors
/// `Format` if it was written by a newer version, `Corrupt` if it is no such message.
pub fn decode<M: Message + Default>(what: &str, bytes: &[u8]) -> Result<M, StorageError> {
    decode_onto(what, bytes, M::default())
}

/// The same, added to a message that is there already.
///
/// # Errors
/// As [`decode`].
pub fn decode_onto<M: Message>(what: &str, bytes: &[u8], mut message: M) -> Result<M, StorageError> {
    let body = check_format(what, bytes)?;
    match message.merge(body) {
        Ok(()) => Ok(message),
        Err(e) => Err(StorageError::corrupt(what, format!("it cannot be decoded ({e})"))),
    }
}

/// Format byte, checksum, bytes.
pub fn seal(bytes: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(SEAL_LEN + bytes.len());
    seal_into(&mut sealed, bytes);
    sealed
}

/// [`seal`] into a buffer that the caller keeps: what it held before is gone.
pub fn seal_into(buffer: &mut Vec<u8>, bytes: &[u8]) {
    frame_into(buffer, FORMAT, |buffer| buffer.extend_from_slice(bytes));
}

/// The same around what `fill` appends, in this format.
pub fn frame_into(buffer: &mut Vec<u8>, format: u8, fill: impl FnOnce(&mut Vec<u8>)) {
    buffer.clear();
    buffer.extend_from_slice(&[format, 0, 0, 0, 0]);
    fill(buffer);
    let crc = checksum(format, &buffer[SEAL_LEN..]);
    buffer[1..SEAL_LEN].copy_from_slice(&crc.to_be_bytes());
}

/// The bytes within a seal, once the checksum is found right. `what` names them in the error.
///
/// # Errors
/// `Format` if they were written by a newer version, `Corrupt` if the checksum differs or the seal is cut.
pub fn unseal<'a>(what: &str, sealed: &'a [u8]) -> Result<&'a [u8], StorageError> {
    unframe(what, sealed, FORMAT, check_format(what, sealed)?)
}

/// The same of what may be encrypted: then it begins with [`SEALED`].
///
/// # Errors
/// As [`unseal`].
pub fn unseal_either<'a>(what: &str, sealed: &'a [u8]) -> Result<&'a [u8], StorageError> {
    match sealed.split_first() {
        Some((&SEALED, body)) => unframe(what, sealed, SEALED, body),
        _ => unseal(what, sealed),
    }
}

fn unframe<'a>(what: &str, sealed: &[u8], format: u8, body: &'a [u8]) -> Result<&'a [u8], StorageError> {
    let Some((crc, bytes)) = body.split_first_chunk::<4>() else {
        return Err(StorageError::corrupt(what, format!("only {} bytes are left", sealed.len())));
    };
    if u32::from_be_bytes(*crc) != checksum(format, bytes) {
        return Err(StorageError::corrupt(what, "its checksum differs"));
    }
    Ok(bytes)
}

/// A small value that only this node reads, as bincode. Put a [`seal`] around it.
///
/// # Errors
/// `Corrupt` if the type cannot be written as bincode, which is a defect of this program.
pub fn pack(what: &str, value: &impl Serialize) -> Result<Vec<u8>, StorageError> {
    bincode::serde::encode_to_vec(value, bincode::config::standard())
        .map_err(|e| StorageError::corrupt(what, format!("it cannot be encoded ({e})")))
}

/// Reads what [`pack`] wrote; bytes behind it are ignored, so that a slot of fixed size may be padded.
///
/// # Errors
/// `Corrupt` if it is no such value.
pub fn unpack<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, StorageError> {
    match bincode::serde::decode_from_slice(bytes, bincode::config::standard()) {
        Ok((value, _read)) => Ok(value),
        Err(e) => Err(StorageError::corrupt(what, format!("it cannot be decoded ({e})"))),
    }
}

/// What stands behind the format byte.
fn check_format<'a>(what: &str, bytes: &'a [u8]) -> Result<&'a [u8], StorageError> {
    match bytes.split_first() {
        Some((&FORMAT, body)) => Ok(body),
        None => Err(StorageError::corrupt(what, "it is empty")),
        Some((0, _)) => Err(StorageError::corrupt(what, "its format byte is zero")),
        Some((&found, _)) => {
            Err(StorageError::Format { what: what.to_owned(), found: found.into(), supported: FORMAT.into() })
        }
    }
}

fn checksum(format: u8, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[format]);
    hasher.update(bytes);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::store::LogId;

    #[test]
    fn messages_round_trip() {
        let id = LogId { term: 3, leader_id: 2, index: u64::MAX };
        let back: LogId = decode("id", &encode(&id)).unwrap();
        assert_eq!(back, id);
        assert_eq!(decode::<LogId>("id", &encode(&LogId::default())).unwrap(), LogId::default());
    }

    #[test]
    fn a_newer_format_is_refused_by_name() {
        let mut bytes = encode(&LogId::default());
        bytes[0] = 2;
        let error = decode::<LogId>("row of table node", &bytes).unwrap_err();
        assert!(matches!(error, StorageError::Format { found: 2, supported: 1, .. }), "{error}");
        assert!(error.to_string().starts_with("row of table node is in format 2"));
        assert!(matches!(decode::<LogId>("x", &[]), Err(StorageError::Corrupt { .. })));
        assert!(matches!(decode::<LogId>("x", &[0, 1]), Err(StorageError::Corrupt { .. })));
        assert!(matches!(decode::<LogId>("x", &[1, 0xff]), Err(StorageError::Corrupt { .. })));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let sealed = seal(b"a log entry");
        assert_eq!(unseal("entry", &sealed).unwrap(), b"a log entry");
        for bit in 0..sealed.len() * 8 {
            let mut damaged = sealed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(unseal("entry", &damaged).is_err(), "bit {bit} flipped and not noticed");
        }
        for len in 0..sealed.len() {
            assert!(unseal("entry", &sealed[..len]).is_err(), "cut to {len} bytes and not noticed");
        }
    }

    #[test]
    fn packed_values_may_be_padded() {
        let value = (7_u64, Some("x".to_owned()));
        let mut bytes = pack("pair", &value).unwrap();
        bytes.resize(64, 0);
        assert_eq!(unpack::<(u64, Option<String>)>("pair", &bytes).unwrap(), value);
        assert!(unpack::<(u64, Option<String>)>("pair", &[]).is_err());
    }
}
