//! Sending and receiving a snapshot: its manifest first, then what the receiver lacks, a chunk at a time.
//!
//! The receiver says how much of each file it has from an earlier try, so that a broken connection costs no more than
//! the chunk under way. Every file's length and checksum are verified before the snapshot is installed, and by the sender
//! while it reads: damage on its disk takes it out of service, instead of being sent again and again.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use prost::bytes::Bytes;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

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
    sent: impl Fn(usize) + Send + 'static,
) -> Result<store::Vote, Status> {
    let manifest = snapshot.manifest().clone();
    let offer = OfferSnapshotRequest { vote: Some(vote), manifest: Some(manifest.clone()) };
    let have = client.offer_snapshot(offer).await?.into_inner().have;

    let (chunks, outgoing) = mpsc::channel(CHUNKS_AHEAD);
    let start = SnapshotStart { id: manifest.id, vote: Some(vote) };
    let snapshot = snapshot.clone();
    let reader = tokio::task::spawn_blocking(move || read_chunks(&snapshot, start, &have, &chunks, &sent));
    let response = client.send_snapshot(ReceiverStream::new(outgoing)).await;
    // The reader ends when the stream does; its own error says more than the stream's.
    match reader.await {
        Ok(Err(error)) => {
            fault.declare(format!("a snapshot of its state could not be read: {error}"));
            Err(Status::internal("the sender's snapshot is damaged"))
        }
        _ => response?.into_inner().vote.ok_or_else(|| Status::internal("snapshot response without a vote")),
    }
}

fn read_chunks(
    snapshot: &Snapshot,
    start: SnapshotStart,
    have: &[u64],
    chunks: &mpsc::Sender<SnapshotChunk>,
    sent: &impl Fn(usize),
) -> io::Result<()> {
    let chunk = |part| SnapshotChunk { part: Some(part) };
    if chunks.blocking_send(chunk(snapshot_chunk::Part::Start(start))).is_err() {
        return Ok(());
    }
    for (position, described) in snapshot.manifest().files.iter().enumerate() {
        let have = have.get(position).copied().unwrap_or(0);
        if have >= described.size {
            continue;
        }
        let number = u32::try_from(position).map_err(io::Error::other)?;
        let send = |offset, bytes: Vec<u8>| {
            let length = bytes.len();
            let data = SnapshotData { file: number, offset, bytes: Bytes::from(bytes) };
            let taken = chunks.blocking_send(chunk(snapshot_chunk::Part::Data(data))).is_ok();
            if taken {
                sent(length);
            }
            taken
        };
        if !read_file(&snapshot.folder().join(&described.name), described, have, send)? {
            return Ok(());
        }
    }
    Ok(())
}

/// Reads a file from its beginning, for its checksum, and hands out what lies behind `have`; false when nobody takes it.
fn read_file(
    path: &Path,
    described: &SnapshotFile,
    have: u64,
    send: impl Fn(u64, Vec<u8>) -> bool,
) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let mut checksum = crc32fast::Hasher::new();
    let mut offset = 0;
    while offset < described.size {
        let end = if offset < have { have } else { described.size };
        let length = CHUNK_BYTES.min(usize::try_from(end - offset).unwrap_or(CHUNK_BYTES));
        let mut bytes = vec![0; length];
        file.read_exact(&mut bytes)?;
        checksum.update(&bytes);
        let begin = offset;
        offset += length as u64;
        if offset == described.size && checksum.clone().finalize() != described.crc32 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a file is not what it was when it was written",
            ));
        }
        if begin >= have && !send(begin, bytes) {
            return Ok(false);
        }
    }
    Ok(true)
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
    let done = tokio::task::spawn_blocking(work).await.map_err(|e| Status::internal(e.to_string()))?;
    done.map_err(|error| Status::internal(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
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
            let got = RefCell::new(content[..have].to_vec());
            let take = |offset, bytes: Vec<u8>| {
                assert_eq!(offset, got.borrow().len() as u64);
                got.borrow_mut().extend(bytes);
                true
            };
            assert!(read_file(&path, &described, have as u64, take).expect("read"));
            assert!(*got.borrow() == content, "from {have}");
        }
        assert!(!read_file(&path, &described, 0, |_, _| false).expect("read"));

        // Also where the damage lies in the part that the receiver has.
        let mut damaged = content.clone();
        damaged[3] ^= 1;
        fs::write(&path, &damaged).expect("written");
        for have in [0, CHUNK_BYTES as u64] {
            let last = described.size - 1;
            let take = |offset, bytes: Vec<u8>| {
                assert!(offset + bytes.len() as u64 <= last, "the end is not sent");
                true
            };
            let error = read_file(&path, &described, have, take).expect_err("noticed");
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
        fs::write(&path, &content[..9]).expect("written");
        assert!(read_file(&path, &described, 0, |_, _| true).is_err());
    }
}
