//! ReadPerson, BatchReadPersons, ReadPersonHistory.

use prost::Message;
use tonic::Status;

use super::super::lookup::Lookup;
use super::super::read::{Found, View, lookup, shown, valid_key};
use super::super::status;
use crate::domain::policy::Licence;
use crate::domain::validate;
use crate::proto::registry::person_key::Key;
use crate::proto::registry::{
    BatchReadPersonsRequest, BatchReadPersonsResponse, Operation, PersonKey, PersonResult, PersonVersion,
    ReadOptions, ReadPersonHistoryRequest, ReadPersonHistoryResponse, ReadPersonRequest, ReadPersonResponse,
    person_result,
};
use crate::proto::store::PersonRow;

/// One person.
pub async fn one(call: &Lookup, request: ReadPersonRequest) -> Result<ReadPersonResponse, Status> {
    call.identify_reader(request.context.as_ref())?;
    let key = valid_key(request.key, "key")?;
    let view = call.read(request.options.as_ref(), Licence::may_read_whole).await?;
    let Found { person, resolution } = view.only(&key, "key")?;
    let meta = call.meta_of_read(&view, person.record_revision);
    let person = shown(person, request.options.as_ref());
    Ok(ReadPersonResponse { meta: Some(meta), person: Some(person), resolution: Some(resolution) })
}

/// Several people from one view.
pub async fn batch(
    call: &Lookup,
    request: BatchReadPersonsRequest,
) -> Result<BatchReadPersonsResponse, Status> {
    call.identify_reader(request.context.as_ref())?;
    validate::keys(&request.keys).map_err(|rejection| status::rejected(&rejection))?;
    let view = call.read(request.options.as_ref(), Licence::may_read_whole).await?;
    call.spend(view.licence().agency(), request.keys.len() as u64 - 1).await?;
    let meta = call.meta_of_read(&view, 0);
    let max_bytes = call.max_message_bytes();
    let results = call.run_batch(move || {
        let (mut results, mut bytes) = (Vec::with_capacity(request.keys.len()), 0);
        for (position, key) in request.keys.iter().enumerate() {
            let found = result(&view, key, &format!("keys[{position}]"), request.options.as_ref())?;
            bytes += found.encoded_len();
            results.push(found);
            // What cannot be sent need not be gathered: `sendable` refuses it.
            if bytes > max_bytes {
                break;
            }
        }
        Ok(results)
    });
    call.sendable(BatchReadPersonsResponse { meta: Some(meta), results: results.await? }, "keys")
}

/// Versions of one person, newest first: as many as asked for and as fit into one message.
pub async fn history(
    call: &Lookup,
    request: ReadPersonHistoryRequest,
) -> Result<ReadPersonHistoryResponse, Status> {
    call.identify_reader(request.context.as_ref())?;
    let key = valid_key(request.key, "key")?;
    let limit = validate::history_limit(request.limit).map_err(|rejection| status::rejected(&rejection))?;
    let need = |licence: &Licence| {
        licence.may(Operation::History, "")?;
        licence.may_read_whole()
    };
    let view = call.read(request.options.as_ref(), need).await?;
    let person = match &key.key {
        // A uid names a record, also one that was merged; a number names a person.
        Some(Key::PersonUid(uid)) => view.record(*uid, "key")?,
        _ => view.only(&key, "key")?.person,
    };
    let meta = call.meta_of_read(&view, person.record_revision);
    let max_bytes = call.max_message_bytes() / 2;
    let (versions, more) = call
        .run_batch(move || {
            let before = request.before_revision;
            let (rows, more) = view.history(person.uid, before, limit, max_bytes)?;
            let (versions, cut) = fitting(rows, max_bytes, request.options.as_ref());
            Ok((versions, more || cut))
        })
        .await?;
    Ok(ReadPersonHistoryResponse { meta: Some(meta), versions, more })
}

/// The first versions that fit into `max_bytes`, one at least, and whether some were left out.
fn fitting(
    rows: Vec<PersonRow>,
    max_bytes: usize,
    options: Option<&ReadOptions>,
) -> (Vec<PersonVersion>, bool) {
    let total = rows.len();
    let mut bytes = 0;
    let mut versions = Vec::new();
    for row in rows {
        bytes += row.encoded_len();
        if bytes > max_bytes && !versions.is_empty() {
            break;
        }
        versions.push(PersonVersion {
            person: row.person.map(|person| shown(person, options)),
            written_at_ms: row.written_at_ms,
            written_by: row.written_by,
        });
    }
    let cut = versions.len() < total;
    (versions, cut)
}

fn result(
    view: &View,
    key: &PersonKey,
    field: &str,
    options: Option<&ReadOptions>,
) -> Result<PersonResult, Status> {
    Ok(match lookup(view, Some(key), field)? {
        Ok(Found { person, resolution }) => {
            let person = shown(person, options);
            PersonResult { result: Some(person_result::Result::Person(person)), resolution: Some(resolution) }
        }
        Err(missing) => {
            PersonResult { result: Some(person_result::Result::Missing(missing)), resolution: None }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::registry::Person;

    #[test]
    fn a_history_is_cut_where_the_message_is_full() {
        let row =
            |uid| PersonRow { person: Some(Person { uid, ..Person::default() }), ..PersonRow::default() };
        let size = row(1).encoded_len();
        let rows = || vec![row(1), row(2), row(3)];
        let count = |max_bytes| {
            let (versions, cut) = fitting(rows(), max_bytes, None);
            (versions.len(), cut)
        };
        assert_eq!(count(size * 3), (3, false));
        assert_eq!(count(size * 2), (2, true));
        assert_eq!(count(0), (1, true));
        assert!(!fitting(Vec::new(), 10, None).1);
    }
}
