//! Sending and receiving a snapshot: its manifest first, then what the receiver lacks, a chunk at a time.
//!
//! The receiver says how much of each file it has from an earlier try, so that a broken connection costs no more than
//! the chunk under way. Every file's length and checksum are verified before the snapshot is installed, and by the sender
//! while it reads: damage on its disk takes it out of service, instead of being sent again and again.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use prost::bytes::Bytes;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::machine;
use crate::proto::peer::{OfferSnapshotRequest, SnapshotChunk, SnapshotData, SnapshotStart, snapshot_chunk};
use crate::proto::store::{self, SnapshotFile};
use crate::raft::fault::Fault;
use crate::raft::peer::channel::Client;
use crate::storage::state::{Incoming, ReceiveError, Snapshot};

/// Bytes of one message.
const CHUNK_BYTES: usize = 1 << 20;

/// Messages read ahead of the network: with the one under way, all that is ever in memory.
const CHUNKS_AHEAD: usize = 4;

/// Offers a snapshot and sends what is missing; `sent` is told the length of each part. Returns the receiver's vote once
/// it has installed the snapshot.
///
/// # Errors
/// The status of the call that failed; a next try resumes. A snapshot that cannot be read as it was written is declared
/// as a fault of this node.
pub async fn send(
    mut client: Client,
    vote: store::Vote,
    snapshot: &Snapshot,
    fault: Fault,
    sent: impl Fn(usize) + Sync,
) -> Result<store::Vote, Status> {
    let manifest = snapshot.offer();
    let offer = OfferSnapshotRequest { vote: Some(vote), manifest: Some(manifest.clone()) };
    let have = client.offer_snapshot(offer).await?.into_inner().have;

    let (chunks, outgoing) = mpsc::channel(CHUNKS_AHEAD);
    let start = SnapshotStart { id: manifest.id, vote: Some(vote) };
    // The reader ends when the stream does; its own error says more than the stream's.
    let reading = read_chunks(snapshot, start, &have, chunks, &sent);
    match tokio::join!(reading, client.send_snapshot(ReceiverStream::new(outgoing))) {
        (Err(error), _) => {
            fault.declare(format!("a snapshot of its state could not be read: {error}"));
            Err(Status::internal("the sender's snapshot is damaged"))
        }
        (Ok(()), response) => {
            response?.into_inner().vote.ok_or_else(|| Status::internal("snapshot response without a vote"))
        }
    }
}

async fn read_chunks(
    snapshot: &Snapshot,
    start: SnapshotStart,
    have: &[u64],
    chunks: mpsc::Sender<SnapshotChunk>,
    sent: &impl Fn(usize),
) -> io::Result<()> {
    let chunk = |part| SnapshotChunk { part: Some(part) };
    if chunks.send(chunk(snapshot_chunk::Part::Start(start))).await.is_err() {
        return Ok(());
    }
    for (position, described) in snapshot.manifest().files.iter().enumerate() {
        let have = have.get(position).copied().unwrap_or(0);
        if have >= described.size {
            continue;
        }
        let number = u32::try_from(position).map_err(io::Error::other)?;
        let mut reader = FileReader::new(&snapshot.folder().join(&described.name), described, have);
        loop {
            let read = move || (reader.next(), reader);
            let part;
            (part, reader) = machine::blocking(read).await.map_err(io::Error::other)?;
            let Some((offset, bytes)) = part? else { break };
            let length = bytes.len();
            let data = SnapshotData { file: number, offset, bytes: Bytes::from(bytes) };
            if chunks.send(chunk(snapshot_chunk::Part::Data(data))).await.is_err() {
                return Ok(());
            }
            sent(length);
        }
    }
    Ok(())
}

/// Reads a file from its beginning, for its checksum, and hands out what lies behind `have`.
struct FileReader {
    path: PathBuf,
    described: SnapshotFile,
    have: u64,
    file: Option<File>,
    checksum: crc32fast::Hasher,
    offset: u64,
}

impl FileReader {
    fn new(path: &Path, described: &SnapshotFile, have: u64) -> Self {
        let (path, described, checksum) = (path.to_owned(), described.clone(), crc32fast::Hasher::new());
        Self { path, described, have, file: None, checksum, offset: 0 }
    }

    /// The next piece and where it lies; `None` at the end. The last piece comes only if the whole file is what was
    /// written.
    fn next(&mut self) -> io::Result<Option<(u64, Vec<u8>)>> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(File::open(&self.path)?),
        };
        while self.offset < self.described.size {
            let end = if self.offset < self.have { self.have } else { self.described.size };
            let length = CHUNK_BYTES.min(usize::try_from(end - self.offset).unwrap_or(CHUNK_BYTES));
            let mut bytes = vec![0; length];
            file.read_exact(&mut bytes)?;
            self.checksum.update(&bytes);
            let begin = self.offset;
            self.offset += length as u64;
            if self.offset == self.described.size && self.checksum.clone().finalize() != self.described.crc32
            {
                let changed = "a file is not what it was when it was written";
                return Err(io::Error::new(io::ErrorKind::InvalidData, changed));
            }
            if begin >= self.have {
                return Ok(Some((begin, bytes)));
            }
        }
        Ok(None)
    }
}

/// Writes the chunks of a stream into `incoming` and completes it. `received` is told the length of each.
///
/// # Errors
/// When the stream breaks (what came is kept for the next try) or a file is not what the manifest says.
pub async fn receive(
    mut incoming: Incoming,
    mut chunks: Streaming<SnapshotChunk>,
    received: impl Fn(usize),
) -> Result<Snapshot, Status> {
    while let Some(chunk) = chunks.message().await? {
        let Some(snapshot_chunk::Part::Data(data)) = chunk.part else {
            return Err(Status::invalid_argument("a snapshot chunk without data"));
        };
        received(data.bytes.len());
        incoming = blocking(move || {
            incoming.write(data.file as usize, data.offset, &data.bytes)?;
            Ok(incoming)
        })
        .await?;
    }
    blocking(move || incoming.finish()).await
}

/// Runs disk work where it may block.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ReceiveError> + Send + 'static,
) -> Result<T, Status> {
    let done = machine::blocking(work).await.map_err(|e| Status::internal(e.to_string()))?;
    done.map_err(|error| Status::internal(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_the_receiver_lacks_is_sent_and_damage_is_noticed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("000007.sst");
        let content: Vec<u8> = (0..3 * CHUNK_BYTES + 5).map(|i| (i / 7) as u8).collect();
        fs::write(&path, &content).expect("written");
        let described = SnapshotFile {
            name: "000007.sst".to_owned(),
            size: content.len() as u64,
            crc32: crc32fast::hash(&content),
        };
        for have in [0, 1, CHUNK_BYTES, CHUNK_BYTES + 9, content.len() - 1] {
            let mut got = content[..have].to_vec();
            let mut reader = FileReader::new(&path, &described, have as u64);
            while let Some((offset, bytes)) = reader.next().expect("read") {
                assert_eq!(offset, got.len() as u64);
                got.extend(bytes);
            }
            assert!(got == content, "from {have}");
        }

        // Also where the damage lies in the part that the receiver has.
        let mut damaged = content.clone();
        damaged[3] ^= 1;
        fs::write(&path, &damaged).expect("written");
        for have in [0, CHUNK_BYTES as u64] {
            let mut reader = FileReader::new(&path, &described, have);
            let error = loop {
                match reader.next() {
                    Ok(Some((offset, bytes))) => {
                        assert!(offset + (bytes.len() as u64) < described.size, "the end is not sent");
                    }
                    Ok(None) => panic!("the damage was not noticed"),
                    Err(error) => break error,
                }
            };
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
        fs::write(&path, &content[..9]).expect("written");
        assert!(FileReader::new(&path, &described, 0).next().is_err());
    }
}
