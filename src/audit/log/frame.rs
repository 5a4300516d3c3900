//! A frame: one record as it stands in a file.
//!
//! ```text
//! [length u32 BE][crc32 u32 BE over length and bytes][bytes: format u8, protobuf]
//! ```

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;

/// Bytes in front of a record.
pub const HEAD: usize = 8;

/// The largest record.
pub const MAX: usize = 16 << 20;

/// Adds a frame to a buffer.
pub fn put(buffer: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).expect("a record is smaller than 4 GiB").to_be_bytes();
    buffer.extend_from_slice(&length);
    buffer.extend_from_slice(&checksum(length, bytes).to_be_bytes());
    buffer.extend_from_slice(bytes);
}

fn checksum(length: [u8; 4], bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length);
    hasher.update(bytes);
    hasher.finalize()
}

/// What stands where a frame may.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// A whole one.
    Frame(Vec<u8>),
    /// The file ends.
    End,
    /// Something else, in words.
    Bad(&'static str),
}

/// The frames of a file from a place on, read in large pieces.
pub struct Frames<'a> {
    input: BufReader<At<'a>>,
    /// Where the next one begins.
    pub offset: u64,
}

impl<'a> Frames<'a> {
    /// From `offset` on.
    pub fn from(file: &'a File, offset: u64) -> Self {
        Self { input: BufReader::with_capacity(1 << 16, At { file, offset }), offset }
    }

    /// The next frame.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn advance(&mut self) -> io::Result<Found> {
        let mut head = [0; HEAD];
        match self.fill(&mut head)? {
            0 => return Ok(Found::End),
            HEAD => {}
            _ => return Ok(Found::Bad("the file ends within a record")),
        }
        let [l0, l1, l2, l3, c0, c1, c2, c3] = head;
        let length = [l0, l1, l2, l3];
        let bytes = u32::from_be_bytes(length) as usize;
        if bytes > MAX {
            return Ok(Found::Bad("its length cannot be"));
        }
        let mut record = vec![0; bytes];
        if self.fill(&mut record)? < bytes {
            return Ok(Found::Bad("the file ends within a record"));
        }
        if checksum(length, &record) != u32::from_be_bytes([c0, c1, c2, c3]) {
            return Ok(Found::Bad("its checksum differs"));
        }
        self.offset += (HEAD + bytes) as u64;
        Ok(Found::Frame(record))
    }

    /// Reads until the buffer is full or the file ends.
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.input.read(&mut buffer[filled..])? {
                0 => break,
                read => filled += read,
            }
        }
        Ok(filled)
    }
}

/// A file read from a place of its own, whoever else reads or writes it.
struct At<'a> {
    file: &'a File,
    offset: u64,
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let mut bytes = Vec::new();
        put(&mut bytes, b"a record");
        let file = tempfile::tempfile().unwrap();
        let found = |bytes: &[u8]| {
            file.set_len(0).unwrap();
            file.write_all_at(bytes, 0).unwrap();
            Frames::from(&file, 0).advance().unwrap()
        };
        assert_eq!(found(&bytes), Found::Frame(b"a record".to_vec()));
        assert_eq!(found(&[]), Found::End);
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(found(&damaged), Found::Bad(_)), "bit {bit} flipped and not noticed");
        }
        for length in 1..bytes.len() {
            assert!(matches!(found(&bytes[..length]), Found::Bad(_)), "cut to {length} and not noticed");
        }
    }
}
