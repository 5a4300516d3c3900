//! For the fuzzer: what the state's decoders make of any bytes. See `crate::fuzz`.

use super::tables::{
    Row, Table, expiry_key, id_key, id_of, shared_part, split_expiry_key, split_superseded_key,
    superseded_key,
};
use super::{generation, part, position::Position, receive, snapshot};
use crate::domain::fields::Fields;
use crate::domain::policy::Policies;
use crate::proto::store::{
    Applied, HolderRow, NodeRow, PersonRow, PersonalIdRow, ReceiptKeysRow, RequestRow, StoredMembership,
    SupersededRow,
};
use crate::storage::{codec, data_dir};

/// A value of each table.
pub(crate) fn rows(bytes: &[u8]) {
    let framed = [&[codec::FORMAT], bytes].concat();
    for bytes in [bytes, &framed] {
        row::<HolderRow>(bytes);
        row::<PersonalIdRow>(bytes);
        row::<RequestRow>(bytes);
        row::<NodeRow>(bytes);
        row::<ReceiptKeysRow>(bytes);
        row::<StoredMembership>(bytes);
        row::<SupersededRow>(bytes);
        if let Some(applied) = row::<Applied>(bytes)
            && let Ok(position) = Position::from_rows(Some(applied), None, Policies::default())
        {
            let again = Position::from_rows(Some(position.to_row()), None, Policies::default());
            assert_eq!(again.expect("reads its own"), position);
        }
        if let Some(whole) = row::<PersonRow>(bytes) {
            let part = part::decode(bytes, Fields::IDENTITY).expect("a part of what is whole");
            assert_eq!(part.written_at_ms, whole.written_at_ms);
            let ids =
                |row: &PersonRow| row.person.as_ref().map(|p| (p.uid, p.record_revision, p.merged_into));
            assert_eq!(ids(&part), ids(&whole), "a part says something else than the whole");
        }
    }
}

fn row<R: Row + PartialEq>(bytes: &[u8]) -> Option<R> {
    let row = R::from_value(bytes).ok()?;
    let again = R::from_value(&row.to_value()).expect("reads its own");
    assert!(again == row, "a row of {} is not read as it was written", R::TABLE.name());
    Some(row)
}

/// A key of each table.
pub(crate) fn keys(key: &[u8]) {
    if let Ok((revision, uid)) = split_superseded_key(key) {
        assert_eq!(superseded_key(revision, uid), key);
    }
    if let Ok((expires, request)) = split_expiry_key(key) {
        assert_eq!(expiry_key(expires, request), key);
    }
    if let Ok(id) = id_of(Table::Node, key) {
        assert_eq!(id_key(id), key);
    }
    assert!(key.starts_with(shared_part(key)));
}

/// CURRENT, a snapshot's manifest and IDENTITY, sealed or to be sealed here.
pub(crate) fn files(bytes: &[u8]) {
    for sealed in [bytes.to_vec(), codec::seal(bytes)] {
        if let Ok(number) = generation::parse("CURRENT", &sealed) {
            let again = codec::seal(generation::name(number).as_bytes());
            assert_eq!(generation::parse("CURRENT", &again).expect("reads its own"), number);
        }
        if let Ok(manifest) = snapshot::parse("manifest", &sealed)
            && receive::check(&manifest, 1 << 40).is_ok()
        {
            for name in manifest.files.iter().map(|file| &file.name).chain([&manifest.id]) {
                assert!(!name.contains('/') && !name.starts_with('.'), "a name outside of its folder");
            }
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(identity) = data_dir::parse("IDENTITY", text)
    {
        let again = data_dir::parse("IDENTITY", &data_dir::render(&identity));
        assert_eq!(again.expect("reads its own"), identity);
    }
}

/// What these write themselves: rows, keys, files.
#[cfg(test)]
pub(crate) fn seeds() -> [Vec<Vec<u8>>; 3] {
    use crate::domain::fixtures::{context, full_person};
    use crate::proto::store::{LogId, SnapshotFile, SnapshotManifest};
    use prost::Message;
    let log_id = Some(LogId { term: 3, leader_id: 2, index: 7 });
    let person = PersonRow { person: Some(full_person()), written_at_ms: 5, written_by: Some(context()) };
    let applied = Applied { log_id, chain_hash: vec![7; 32].into(), revision: 9, ..Applied::default() };
    let file = SnapshotFile { name: "000012.sst".to_owned(), size: 99, crc32: 7 };
    let manifest = SnapshotManifest {
        id: "3-7-ab".to_owned(),
        applied: Some(applied.clone()),
        files: vec![file],
        keys: Vec::new(),
    };
    let identity =
        data_dir::Identity { cluster_id: "5f0c2f9e".to_owned(), node_id: 3, name: "node-3".to_owned() };
    [
        vec![person.to_value(), applied.to_value()],
        vec![superseded_key(7, 9).to_vec(), expiry_key(9, b"G01r1"), id_key(3).to_vec()],
        vec![
            codec::seal(b"g000002"),
            codec::seal(&manifest.encode_to_vec()),
            data_dir::render(&identity).into_bytes(),
        ],
    ]
}
