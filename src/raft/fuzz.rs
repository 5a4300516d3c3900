//! For the fuzzer: what a node makes of any bytes that a peer sends or its own log holds. See `crate::fuzz`.

use bytes::Bytes;
use prost::Message;

use crate::proto::store::{Entry, Membership, SnapshotManifest};
use crate::raft::convert;
use crate::raft::types::TypeConfig;

/// An entry of the log.
pub(crate) fn entry(bytes: &[u8]) {
    if let Ok(entry) = convert::decode_entry(Bytes::copy_from_slice(bytes)) {
        let again = Bytes::from(convert::entry(&entry).encode_to_vec());
        assert!(convert::decode_entry(again).expect("reads its own") == entry, "an entry is read as another");
    }
    if let Ok(Entry { log_id: Some(id), .. }) = Entry::decode(bytes) {
        assert_eq!(convert::log_id(&convert::raft_log_id(&id)), id);
    }
}

/// Entries that a leader sends, and what it says besides.
pub(crate) fn append(request: crate::proto::peer::AppendRequest) {
    let entries = request.entries.len();
    let read: Result<openraft::raft::AppendEntriesRequest<TypeConfig>, _> =
        crate::raft::peer::server::append_entries(request);
    if let Ok(read) = read {
        assert_eq!(read.entries.len(), entries, "entries are lost");
    }
}

/// What a snapshot's manifest says that it covers.
pub(crate) fn manifest(manifest: &SnapshotManifest) {
    if let Ok(meta) = convert::snapshot_meta(manifest) {
        let applied = manifest.applied.as_ref().expect("without it there is no meta");
        assert_eq!(meta.last_log_id.as_ref().map(convert::log_id), applied.log_id);
    }
}

/// Voters and learners.
pub(crate) fn membership(stated: &Membership) {
    if let Ok(read) = convert::raft_membership(stated) {
        let again = convert::raft_membership(&convert::membership(&read)).expect("reads its own");
        assert!(again == read, "a membership is read as another");
    }
}
