//! FindPersons: people by name, in pages that all show one revision.
//!
//! The first page is as fresh as asked, five seconds at most when nothing is asked; its revision stands in the token
//! of the next one, which is read as of then. A page looks at a bounded number of index rows, so one of a common name
//! in a small place may have few people or none and still not be the last.

use prost::Message;
use tonic::Status;

use super::super::lookup::Lookup;
use super::super::read::{View, shown};
use super::super::status;
use super::page::Page;
use crate::domain::policy::Licence;
use crate::domain::units::{self, Coverage};
use crate::domain::{matching, text, validate};
use crate::proto::registry::{
    Address, Consistency, FindPersonsRequest, FindPersonsResponse, FoundPerson, Operation, PartialDate,
    Person, ReadOptions, Rejection,
};
use crate::raft::NameCursor;

/// The age that a first page may have when the request says nothing.
const DEFAULT_STALENESS_MS: u64 = 5_000;
/// Looks into the index for one page: few enough to end soon, enough to fill a page that a unit thins out.
const LOOKS: usize = 8;

/// One page of a search.
pub async fn find(call: &Lookup, request: FindPersonsRequest) -> Result<FindPersonsResponse, Status> {
    call.identify_reader(request.context.as_ref())?;
    validate::find(&request).map_err(|rejection| status::rejected(&rejection))?;
    let limit = validate::find_limit(request.limit).map_err(|rejection| status::rejected(&rejection))?;
    let (view, instant_ms, after) = if request.page.is_empty() {
        let options = request.options.unwrap_or_else(recent);
        (call.read(Some(&options), may_find).await?, instant_of(&options), None)
    } else {
        let foreign = || status::invalid("page", "is not the next_page of this search: begin it again");
        let page = Page::of(&request.page, &request).ok_or_else(foreign)?;
        let view = call.read(Some(&as_of(page.revision)), may_find).await?.at_instant(page.instant_ms)?;
        (view, page.instant_ms, Some(page.after))
    };
    let meta = call.meta_of_read(&view, 0);
    let revision = view.revision();
    let search = Search::of(&request, limit, call.max_message_bytes() / 2);
    let (persons, next) = call.run_batch(move || search.page(&view, after)).await?;
    let next_page = next.map(|after| Page { revision, instant_ms, after }.token(&request));
    Ok(FindPersonsResponse { meta: Some(meta), persons, next_page: next_page.unwrap_or_default().into() })
}

/// Whoever is found is shown whole.
fn may_find(licence: &Licence) -> Result<(), Rejection> {
    licence.may(Operation::Find, "")?;
    licence.may_read_whole()
}

fn recent() -> ReadOptions {
    ReadOptions {
        consistency: Consistency::BoundedStale.into(),
        max_staleness_ms: DEFAULT_STALENESS_MS,
        ..ReadOptions::default()
    }
}

fn as_of(revision: u64) -> ReadOptions {
    ReadOptions { consistency: Consistency::AsOf.into(), revision, ..ReadOptions::default() }
}

/// The instant that options ask for; `u64::MAX` when they ask for none.
fn instant_of(options: &ReadOptions) -> u64 {
    let by_instant = options.consistency() == Consistency::AsOf && options.revision == 0;
    if by_instant { options.as_of_ms } else { u64::MAX }
}

/// What is looked for, and how much of it at once.
struct Search {
    name: String,
    born: Option<PartialDate>,
    unit: Option<Address>,
    /// How people are shown, and more that is not looked at here.
    options: Option<ReadOptions>,
    limit: usize,
    max_bytes: usize,
}

impl Search {
    fn of(request: &FindPersonsRequest, limit: usize, max_bytes: usize) -> Self {
        let name = text::nfc_trimmed(&request.name).into_owned();
        let (unit, options) = (request.unit.clone(), request.options);
        Self { name, born: request.birth_date, unit, options, limit, max_bytes }
    }

    /// The people after a place, and where to go on.
    fn page(
        &self,
        view: &View,
        mut after: Option<NameCursor>,
    ) -> Result<(Vec<FoundPerson>, Option<NameCursor>), Status> {
        let folded = text::folded(&self.name);
        let (mut hits, mut bytes) = (Vec::new(), 0);
        for _ in 0..LOOKS {
            let wanted = self.limit - hits.len();
            let (rows, next) = view.named(&folded, self.born, after, wanted)?;
            for person in rows.into_iter().filter_map(|row| row.person) {
                let place = place(&person);
                if let Some(hit) =
                    Some(person).filter(|it| view.licence().covers(it)).and_then(|it| self.hit(it))
                {
                    bytes += hit.encoded_len();
                    if bytes > self.max_bytes && !hits.is_empty() {
                        return Ok((hits, after));
                    }
                    view.shows(place.uid);
                    hits.push(hit);
                }
                after = Some(place);
            }
            after = next;
            if after.is_none() || hits.len() >= self.limit {
                break;
            }
        }
        Ok((hits, after))
    }

    fn hit(&self, person: Person) -> Option<FoundPerson> {
        let lives_there =
            self.unit.as_ref().is_none_or(|unit| within(person.permanent_residence.as_ref(), unit));
        let name = person.birth_name.as_ref().map(matching::full_name).unwrap_or_default();
        let strength = matching::strength(&self.name, &name);
        lives_there.then(|| FoundPerson {
            person: Some(shown(person, self.options.as_ref())),
            name_strength: strength.into(),
        })
    }
}

/// Where a person stands in the index of their name.
fn place(person: &Person) -> NameCursor {
    let born = person.birth_date.unwrap_or_default();
    NameCursor { born: (born.year, born.month, born.day), uid: person.uid }
}

/// Whether an address surely lies in a unit.
fn within(held: Option<&Address>, unit: &Address) -> bool {
    held.is_some_and(|held| units::covers(unit, held) == Coverage::Covers)
}
