//! Whom the load asks about: people of the synthetic population, who are put into the registry first.

use std::sync::Arc;

use indicatif::ProgressBar;
use tokio::sync::{Mutex, mpsc};

use crate::cli::Failure;
use crate::client::Client;
use crate::domain::matching::full_name;
use crate::domain::population::{PEOPLE, Population};
use crate::proto::registry::claim::Value;
use crate::proto::registry::person_key::Key;
use crate::proto::registry::person_result::Result as Found;
use crate::proto::registry::{
    Address, Attribute, Claim, ImportResponse, PartialDate, PatchPerson, Person, PersonKey,
    PhysicalStatusKind, ReadOptions, Subject, UnitEdition,
};

/// The most people whose particulars are kept in memory, some 100 bytes each. Of a larger population every second,
/// third ... person is asked about.
const MOST_KNOWN: u64 = 1_000_000;
/// People of a chunk when they are put in.
const CHUNK: usize = 500;
/// Characters of an import's name.
const NAME_CHARS: usize = 28;

/// The people that a load asks about.
pub struct People {
    population: Population,
    count: u64,
    known: Vec<Known>,
}

/// What is claimed of a person.
struct Known {
    personal_id: Box<str>,
    name: Box<str>,
    birth_date: PartialDate,
    gender: i32,
}

impl People {
    /// The first `count` people of a seed's population. Some, who died or are missing, are put in and not asked about,
    /// since not everything can be asked or written of them.
    pub fn new(seed: u64, count: u64) -> Self {
        let population = Population::new(seed);
        let step = usize::try_from(count.div_ceil(MOST_KNOWN)).expect("at most 135");
        let known = (0..count).step_by(step.max(1)).filter_map(|index| known(population.person(index)));
        Self { population, count, known: known.collect() }
    }

    /// How many can be asked about.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// The key of one of them.
    pub fn key(&self, place: usize) -> PersonKey {
        PersonKey { key: Some(Key::PersonalId(self.known[place].personal_id.to_string())) }
    }

    /// One of them, with claims that all match: name, birth date and gender.
    pub fn subject(&self, place: usize) -> Subject {
        let known = &self.known[place];
        let claim = |attribute: Attribute, value| Claim {
            attribute: attribute.into(),
            value: Some(value),
            ..Claim::default()
        };
        let claims = vec![
            claim(Attribute::FullName, Value::Text(known.name.to_string())),
            claim(Attribute::BirthDate, Value::Date(known.birth_date)),
            claim(Attribute::Gender, Value::Gender(known.gender)),
        ];
        Subject { key: Some(self.key(place)), claims }
    }

    /// A move of one of them to a place that nobody moved to before: a change that leaves all claims true.
    pub fn patch(&self, place: usize, detail: String) -> PatchPerson {
        let residence = Address {
            unit_code: "01".to_owned(),
            unit_edition: UnitEdition::V34.into(),
            detail,
            ..Address::default()
        };
        PatchPerson {
            key: Some(self.key(place)),
            person: Some(Person { current_residence: Some(residence), ..Person::default() }),
            update_mask: Some(prost_types::FieldMask { paths: vec!["current_residence".to_owned()] }),
            expected_record_revision: 0,
        }
    }

    /// Makes sure that they are in the registry: looks for some of them, and imports all when one is missing.
    ///
    /// # Errors
    /// When they are missing and `existing` says that they are there; when the import fails.
    pub async fn prepare(
        &self,
        client: &Client,
        existing: bool,
        progress: &ProgressBar,
    ) -> Result<(), Failure> {
        if self.are_there(client).await? {
            return Ok(());
        }
        if existing {
            return Err(Failure::Input(format!(
                "the registry lacks some of the {} people to ask about: leave out --existing to import them, or say \
                 with --people and --seed who is there",
                self.count
            )));
        }
        progress.set_length(self.count);
        progress.set_message("importing people");
        let mut context = client.context();
        context.request_id.truncate(NAME_CHARS);
        let mut session = client.import(context);
        let chunks = Chunks::new(self.population, 0, self.count, CHUNK);
        while let Some(chunk) = chunks.next().await {
            for answer in session.send(chunk).await? {
                imported(&answer, progress)?;
            }
        }
        for answer in session.finish().await? {
            imported(&answer, progress)?;
        }
        Ok(())
    }

    /// Whether the first and the last one and some between are on record.
    async fn are_there(&self, client: &Client) -> Result<bool, Failure> {
        let places = (0..10).map(|tenth| (self.len() - 1) * tenth / 9);
        on_record(client, places.map(|place| self.key(place)).collect()).await
    }

    /// The next `count` people of the population who are not on record, in chunks. Who is there already is found by
    /// bisection: people are put in in the order of the population.
    ///
    /// # Errors
    /// When the registry cannot be asked.
    pub async fn others(&self, client: &Client, count: u64, chunk: usize) -> Result<Chunks, Failure> {
        let (mut there, mut absent) = (self.count, PEOPLE);
        while there < absent {
            let middle = there + (absent - there) / 2;
            let key = Key::PersonalId(self.population.person(middle).personal_id);
            if on_record(client, vec![PersonKey { key: Some(key) }]).await? {
                there = middle + 1;
            } else {
                absent = middle;
            }
        }
        Ok(Chunks::new(self.population, absent, count, chunk))
    }
}

/// Whether all of them are on record.
async fn on_record(client: &Client, keys: Vec<PersonKey>) -> Result<bool, Failure> {
    let results = client.batch_read(keys, ReadOptions::default()).await?.results;
    Ok(results.iter().all(|result| matches!(result.result, Some(Found::Person(_)))))
}

fn known(person: Person) -> Option<Known> {
    use PhysicalStatusKind::{Deceased, Missing};
    let gone = person.physical_status.is_some_and(|status| matches!(status.kind(), Deceased | Missing));
    if gone || person.personal_id.is_empty() {
        return None;
    }
    let name = full_name(&person.birth_name?);
    let (birth_date, gender) = (person.birth_date?, person.gender);
    Some(Known { personal_id: person.personal_id.into(), name: name.into(), birth_date, gender })
}

fn imported(answer: &ImportResponse, progress: &ProgressBar) -> Result<(), Failure> {
    progress.inc(u64::from(answer.created + answer.existing));
    let Some(reject) = answer.rejects.first() else { return Ok(()) };
    let why = reject.rejection.clone().unwrap_or_default();
    Err(Failure::Negative(format!(
        "the registry does not take the people to ask about: {} {} ({}). It may hold people of another seed: give \
         their seed, or use an empty cluster",
        why.field,
        why.reason().as_str_name(),
        why.detail
    )))
}

/// People in chunks, made on a thread of their own, a little ahead of those who take them. Clones share the chunks.
#[derive(Clone)]
pub struct Chunks(Arc<Mutex<mpsc::Receiver<Vec<Person>>>>);

impl Chunks {
    /// `count` people of a population from the one at `first` on. Ends early where the population does.
    fn new(population: Population, first: u64, count: u64, chunk: usize) -> Self {
        let (sender, receiver) = mpsc::channel(64);
        let end = first.saturating_add(count).min(PEOPLE);
        // Ends with the chunks, or when nobody wants more of them.
        std::thread::spawn(move || {
            let mut index = first;
            while index < end {
                let next = (index + chunk as u64).min(end);
                let people = (index..next).map(|index| population.person(index)).collect();
                if sender.blocking_send(people).is_err() {
                    break;
                }
                index = next;
            }
        });
        Self(Arc::new(Mutex::new(receiver)))
    }

    /// The next chunk; `None` after the last.
    pub async fn next(&self) -> Option<Vec<Person>> {
        self.0.lock().await.recv().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::matching::verify;
    use crate::domain::validate;
    use crate::proto::registry::write::Write as Op;
    use crate::proto::registry::{Verdict, Write};

    #[test]
    fn claims_about_people_match_what_the_population_says() {
        let people = People::new(3, 500);
        assert!((450..500).contains(&people.len()), "{}", people.len());
        let population = Population::new(3);
        let mut seen = 0;
        for index in 0..500 {
            let person = population.person(index);
            let key = PersonKey { key: Some(Key::PersonalId(person.personal_id.clone())) };
            let Some(place) = (0..people.len()).find(|&place| people.key(place) == key) else { continue };
            let verdicts = verify(&person, &people.subject(place).claims);
            assert_eq!(verdicts.len(), 3);
            assert!(verdicts.iter().all(|verdict| verdict.verdict() == Verdict::Match), "{verdicts:?}");
            seen += 1;
        }
        assert_eq!(seen, people.len());
        let patch = Write { write: Some(Op::Patch(people.patch(0, "Số 1".to_owned()))) };
        assert!(validate::write(&patch).is_ok());
    }

    #[tokio::test]
    async fn chunks_hold_each_person_once() {
        let chunks = Chunks::new(Population::new(1), 15, 25, 10);
        let mut found = Vec::new();
        while let Some(chunk) = chunks.next().await {
            found.push(chunk);
        }
        assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 5]);
        let population = Population::new(1);
        let expected: Vec<_> = (15..40).map(|index| population.person(index)).collect();
        assert_eq!(found.concat(), expected);
    }
}
