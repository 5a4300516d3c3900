//! Sending and receiving a snapshot: its manifest first, then what the receiver lacks, a chunk at a time.
//!
//! The receiver says how much of each file it has from an earlier try, so that a broken connection costs no more than
//! the chunk under way. Every file's length and checksum are verified before the snapshot is installed.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use prost::bytes::Bytes;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::proto::peer::{OfferSnapshotRequest, SnapshotChunk, SnapshotData, SnapshotStart, snapshot_chunk};
use crate::proto::store;
use crate::raft::peer::channel::Client;
use crate::storage::state::{Incoming, ReceiveError, Snapshot};

/// Bytes of one message.
const CHUNK_BYTES: usize = 1 << 20;

/// Messages read ahead of the network: with the one under way, all that is ever in memory.
const CHUNKS_AHEAD: usize = 4;

/// Offers a snapshot and sends what is missing; `sent` is told the length of each part. Returns the receiver's vote once it has installed the snapshot.
///
/// # Errors
/// The status of the call that failed; a next try resumes.
pub async fn send(
    mut client: Client,
    vote: store::Vote,
    snapshot: &Snapshot,
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
        Ok(Err(error)) => Err(Status::internal(format!("the snapshot could not be read: {error}"))),
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
        let mut offset = have.get(position).copied().unwrap_or(0);
        let mut file = File::open(snapshot.folder().join(&described.name))?;
        file.seek(SeekFrom::Start(offset))?;
        while offset < described.size {
            let length = CHUNK_BYTES.min(usize::try_from(described.size - offset).unwrap_or(CHUNK_BYTES));
            let mut bytes = vec![0; length];
            file.read_exact(&mut bytes)?;
            let file = u32::try_from(position).map_err(io::Error::other)?;
            let data = SnapshotData { file, offset, bytes: Bytes::from(bytes) };
            if chunks.blocking_send(chunk(snapshot_chunk::Part::Data(data))).is_err() {
                return Ok(());
            }
            sent(length);
            offset += length as u64;
        }
    }
    Ok(())
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
