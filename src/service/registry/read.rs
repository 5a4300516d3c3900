//! ReadPerson, BatchReadPersons, ReadPersonHistory.

use prost::Message;
use tonic::Status;

use super::super::call::Call;
use super::super::read::{Found, View, lookup, run_batch};
use super::super::status;
use crate::domain::validate;
use crate::proto::registry::{
    BatchReadPersonsRequest, BatchReadPersonsResponse, PersonKey, PersonResult, PersonVersion,
    ReadPersonHistoryRequest, ReadPersonHistoryResponse, ReadPersonRequest, ReadPersonResponse,
    person_result,
};
use crate::proto::store::PersonRow;

/// One person.
pub async fn one(call: &Call, request: ReadPersonRequest) -> Result<ReadPersonResponse, Status> {
    call.identify_reader(request.context.as_ref())?;
    let key = valid_key(request.key)?;
    let view = call.read(request.options.as_ref()).await?;
    let Found { person, resolution } = view.only(&key, "key")?;
    let meta = call.meta_of_read(&view, person.record_revision);
    Ok(ReadPersonResponse { meta: Some(meta), person: Some(person), resolution: Some(resolution) })
}

/// Several people from one view.
pub async fn batch(
    call: &Call,
    request: BatchReadPersonsRequest,
) -> Result<BatchReadPersonsResponse, Status> {
    call.identify_reader(request.context.as_ref())?;
    validate::keys(&request.keys).map_err(|rejection| status::rejected(&rejection))?;
    let view = call.read(request.options.as_ref()).await?;
    let meta = call.meta_of_read(&view, 0);
    let results = run_batch(move || {
        let keys = request.keys.iter().enumerate();
        keys.map(|(position, key)| result(&view, key, &format!("keys[{position}]"))).collect()
    });
    call.sendable(BatchReadPersonsResponse { meta: Some(meta), results: results.await? }, "keys")
}

/// Versions of one person, newest first: as many as asked for and as fit into one message.
pub async fn history(
    call: &Call,
    request: ReadPersonHistoryRequest,
) -> Result<ReadPersonHistoryResponse, Status> {
    call.identify_reader(request.context.as_ref())?;
    let key = valid_key(request.key)?;
    let limit = validate::history_limit(request.limit).map_err(|rejection| status::rejected(&rejection))?;
    let view = call.read(request.options.as_ref()).await?;
    let Found { person, .. } = view.only(&key, "key")?;
    let (rows, more) = view
        .state
        .history(person.uid, request.before_revision, limit)
        .map_err(|error| view.failed(&error))?;
    let (versions, cut) = fitting(rows, call.max_message_bytes() / 2);
    let meta = call.meta_of_read(&view, person.record_revision);
    Ok(ReadPersonHistoryResponse { meta: Some(meta), versions, more: more || cut })
}

/// The first versions that fit into `max_bytes`, one at least, and whether some were left out.
fn fitting(rows: Vec<PersonRow>, max_bytes: usize) -> (Vec<PersonVersion>, bool) {
    let total = rows.len();
    let mut bytes = 0;
    let mut versions = Vec::new();
    for row in rows {
        bytes += row.encoded_len();
        if bytes > max_bytes && !versions.is_empty() {
            break;
        }
        versions.push(PersonVersion {
            person: row.person,
            written_at_ms: row.written_at_ms,
            written_by: row.written_by,
        });
    }
    let cut = versions.len() < total;
    (versions, cut)
}

fn result(view: &View, key: &PersonKey, field: &str) -> Result<PersonResult, Status> {
    Ok(match lookup(view, Some(key), field)? {
        Ok(Found { person, resolution }) => {
            PersonResult { result: Some(person_result::Result::Person(person)), resolution: Some(resolution) }
        }
        Err(missing) => {
            PersonResult { result: Some(person_result::Result::Missing(missing)), resolution: None }
        }
    })
}

fn valid_key(key: Option<PersonKey>) -> Result<PersonKey, Status> {
    validate::key(key.as_ref(), "key").map_err(|rejection| status::rejected(&rejection))?;
    status::required(key, "key")
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
            let (versions, cut) = fitting(rows(), max_bytes);
            (versions.len(), cut)
        };
        assert_eq!(count(size * 3), (3, false));
        assert_eq!(count(size * 2), (2, true));
        assert_eq!(count(0), (1, true));
        assert!(!fitting(Vec::new(), 10).1);
    }
}
