//! AccessHistory and Query: records of all nodes, from the index of a central one.

use std::sync::Arc;

use prost::Message;
use tonic::Status;

use super::super::lookup::Lookup;
use super::super::read::valid_key;
use super::super::status;
use super::looked_up;
use crate::audit::archive::Place;
use crate::audit::{Audit, AuditError, record};
use crate::proto::registry::person_key::Key;
use crate::proto::registry::{
    AccessHistoryRequest, AccessHistoryResponse, AccessRecord, LogCoverage, QueryAccessesRequest,
    QueryAccessesResponse,
};

/// Accesses in an answer when the request does not say.
const DEFAULT_LIMIT: usize = 50;
/// The most of them.
const MAX_LIMIT: usize = 500;
/// Records that a page of a query looks at.
const LOOKS: usize = 5_000;

/// A page of records.
#[derive(Default)]
struct Page {
    accesses: Vec<AccessRecord>,
    /// The last place that was looked at, unless there is none behind it.
    last: Option<Place>,
}

/// The accesses to one person.
pub async fn of_person(
    call: &Lookup,
    request: AccessHistoryRequest,
) -> Result<AccessHistoryResponse, Status> {
    call.identify_reader(request.context.as_ref())?;
    let key = valid_key(request.key, "key")?;
    let (limit, after) = (limit(request.limit)?, place(&request.page)?);
    let view = call.read(request.options.as_ref(), |_| Ok(())).await?;
    let uid = match key.key {
        // A uid names a record, also one that was merged.
        Some(Key::PersonUid(uid)) => view.record(uid, "key")?.uid,
        _ => view.only(&key, "key")?.person.uid,
    };
    let (audit, coverage) = gathered(call).await?;
    let max_bytes = call.max_message_bytes() / 2;
    let page = looked_up(move || {
        let places = audit.archive().index()?.of_person(uid, after, limit + 1)?;
        let mut page = read(&audit, &places, limit, max_bytes, |_| true)?;
        for access in &mut page.accesses {
            access.persons.retain(|person| person.uid == uid || person.merged_from == uid);
        }
        Ok(page)
    });
    let page = page.await?;
    Ok(AccessHistoryResponse { accesses: page.accesses, next_page: token(page.last).into(), coverage })
}

/// The accesses that fit a description.
pub async fn query(call: &Lookup, request: QueryAccessesRequest) -> Result<QueryAccessesResponse, Status> {
    call.identify_reader(request.context.as_ref())?;
    let (limit, mut after) = (limit(request.limit)?, place(&request.page)?);
    if request.until_ms != 0 && after.is_none() {
        // Behind all that are not before that instant.
        after = Some(Place { time_ms: request.until_ms, node_id: u64::MAX, position: u64::MAX });
    }
    let (audit, coverage) = gathered(call).await?;
    let max_bytes = call.max_message_bytes() / 2;
    let page = looked_up(move || {
        let mut places = audit.archive().index()?.all(after, LOOKS + 1)?;
        places.retain(|place| place.time_ms >= request.from_ms);
        read(&audit, &places, limit, max_bytes, |access| fits(&request, access))
    });
    let page = page.await?;
    let seen = page.accesses.iter().flat_map(|access| &access.persons);
    seen.for_each(|person| call.trail().saw(person.uid, person.merged_from));
    Ok(QueryAccessesResponse { accesses: page.accesses, next_page: token(page.last).into(), coverage })
}

fn fits(request: &QueryAccessesRequest, access: &AccessRecord) -> bool {
    let is = |wanted: &str, found: &str| wanted.is_empty() || wanted == found;
    let absent = Default::default();
    let context = access.context.as_ref().unwrap_or(&absent);
    is(&request.agency_id, &context.agency_id)
        && is(&request.officer_id, &context.officer_id)
        && is(&request.request_id, &context.request_id)
        && is(&request.method, &access.method)
        && (!request.refused || access.code != 0)
}

/// The audit trail with all that can be reached now gathered here, and how much that is.
async fn gathered(call: &Lookup) -> Result<(Arc<Audit>, Vec<LogCoverage>), Status> {
    let audit = call.audit()?.clone();
    let coverage = call.fetch_audit().await?;
    Ok((audit, coverage))
}

/// The records at these places that fit, `limit` of them at most. One that is no longer kept is left out.
fn read(
    audit: &Audit,
    places: &[Place],
    limit: usize,
    max_bytes: usize,
    fits: impl Fn(&AccessRecord) -> bool,
) -> Result<Page, AuditError> {
    let mut page = Page::default();
    let mut bytes = 0;
    let looked = places.len().min(LOOKS);
    for (number, place) in places[..looked].iter().enumerate() {
        let Ok(Some(segments)) = audit.segments_of(place.node_id) else { continue };
        let found = segments.read(place.position, 0)?.into_iter().next();
        let found = found.filter(|(position, _)| *position == place.position);
        let access = found.and_then(|(position, bytes)| record::decode(&bytes, place.node_id, position).ok());
        let Some(access) = access.filter(&fits) else { continue };
        bytes += access.encoded_len();
        if bytes > max_bytes && !page.accesses.is_empty() {
            page.last = places.get(number - 1).copied();
            return Ok(page);
        }
        page.accesses.push(access);
        if page.accesses.len() == limit {
            page.last = (number + 1 < places.len()).then_some(*place);
            return Ok(page);
        }
    }
    page.last = (looked < places.len()).then(|| places[looked - 1]);
    Ok(page)
}

fn limit(asked: u32) -> Result<usize, Status> {
    match asked as usize {
        0 => Ok(DEFAULT_LIMIT),
        limit @ 1..=MAX_LIMIT => Ok(limit),
        _ => Err(status::invalid("limit", "1 to 500, or 0 for 50")),
    }
}

/// A page's token is the place that it goes on behind: there is nothing in it that its holder has not seen.
fn token(last: Option<Place>) -> Vec<u8> {
    let numbers = last.map(|place| [place.time_ms, place.node_id, place.position]);
    numbers.into_iter().flatten().flat_map(u64::to_be_bytes).collect()
}

fn place(token: &[u8]) -> Result<Option<Place>, Status> {
    if token.is_empty() {
        return Ok(None);
    }
    let numbers: Option<Vec<u64>> =
        token.chunks(8).map(|number| number.try_into().ok().map(u64::from_be_bytes)).collect();
    match numbers.as_deref() {
        Some([time_ms, node_id, position]) => {
            Ok(Some(Place { time_ms: *time_ms, node_id: *node_id, position: *position }))
        }
        _ => Err(status::invalid("page", "is not the next_page of an answer")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_place_and_nothing_else_is_one() {
        let last = Place { time_ms: 1, node_id: u64::MAX, position: 3 };
        assert_eq!(place(&token(Some(last))).unwrap(), Some(last));
        assert_eq!(place(&token(None)).unwrap(), None);
        for bad in [1, 8, 16, 23, 25, 32] {
            assert!(place(&vec![0; bad]).is_err(), "{bad} bytes");
        }
        assert_eq!((limit(0).unwrap(), limit(500).unwrap()), (50, 500));
        assert!(limit(501).is_err());
    }
}
