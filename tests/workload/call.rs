//! The calls: each asks one node, and notes what it was told.

use dancu::client::{ClientError, Outcome};
use dancu::proto::registry::claim::Value;
use dancu::proto::registry::person_key::Key;
use dancu::proto::registry::{
    Attribute, Claim, Consistency, CreatePerson, ErrorReason, PatchPerson, Person, PersonKey, ReadOptions,
    Subject, Verdict, WriteResponse,
};

use tokio::time::Instant;

use super::super::check::history::{Answer, Call};
use super::super::harness::api;
use super::super::harness::people::citizen;
use super::{Asker, Done, Record, lock, name};

impl Asker {
    /// Adds a record; `None` when it is not known that it is there.
    pub(super) async fn create(&mut self, node: usize, key: u32) -> Option<PersonKey> {
        let value = self.shared.value();
        let person = Person { other_names: vec![name::of(value)], ..citizen(key) };
        let client = self.shared.nodes[node].clone();
        let (start, call) = (self.shared.now(), Call::Create { value });
        let create = CreatePerson { person: Some(person), accept_existing: false };
        let answer = client.create(client.context(), create).await;
        let uid = answer.as_ref().ok().map(|answer| written(answer).0);
        let answer = self.write_answer(answer)?;
        self.note(key, start, call, answer);
        let person = PersonKey { key: Some(Key::PersonUid(uid?)) };
        lock(&self.shared.people)[key as usize] = person.clone();
        Some(person)
    }

    /// Asks a node about a record; false when it did not answer.
    pub(super) async fn ask(&mut self, node: usize, record: &Record, call: Call) -> bool {
        let start = self.shared.now();
        let answer = match call {
            Call::Patch { value } => self.patch(node, record, value, 0).await,
            Call::PatchIf { value, revision, .. } => self.patch(node, record, value, revision).await,
            Call::Verify { value } => self.verify(node, record, value).await,
            _ => self.read(node, record, call).await,
        };
        answer.is_some_and(|answer| {
            self.note(record.key, start, call, answer);
            answer != Answer::Unknown
        })
    }

    /// Asks for an acknowledged write once more, as a client does whose answer was lost.
    pub(super) async fn ask_again(&mut self, node: usize) -> bool {
        let Some(Done { record, context, patch, value, revision, .. }) = self.done.take() else {
            return false;
        };
        let (start, call) = (self.shared.now(), Call::Again { value, revision });
        let answer = self.shared.nodes[node].patch(context, patch).await;
        match self.write_answer(answer) {
            None | Some(Answer::Unknown) => false,
            Some(answer) => {
                self.note(record.key, start, call, answer);
                true
            }
        }
    }

    async fn patch(&mut self, node: usize, record: &Record, value: u64, expected: u64) -> Option<Answer> {
        let person = Person { other_names: vec![name::of(value)], ..Person::default() };
        let patch = PatchPerson {
            key: Some(record.person.clone()),
            person: Some(person),
            update_mask: Some(prost_types::FieldMask { paths: vec!["other_names".to_owned()] }),
            expected_record_revision: expected,
        };
        let client = self.shared.nodes[node].clone();
        let context = client.context();
        let answer = client.patch(context.clone(), patch.clone()).await;
        let answer = self.write_answer(answer);
        if let Some(Answer::Wrote { revision }) = answer {
            let (record, since) = (record.clone(), Instant::now());
            self.done = Some(Done { record, context, patch, value, revision, since });
        }
        answer
    }

    async fn read(&mut self, node: usize, record: &Record, call: Call) -> Option<Answer> {
        let (options, bound_ms) = match call {
            Call::Stale { bound_ms } => (api::stale(bound_ms), bound_ms),
            Call::AtLeast { revision } => (api::at(Consistency::AtLeast, revision), 0),
            _ => (ReadOptions::default(), 0),
        };
        match self.shared.nodes[node].read(record.person.clone(), options).await {
            Ok(answer) => {
                let (meta, person) = (answer.meta.unwrap_or_default(), answer.person.unwrap_or_default());
                let value = person.other_names.first().and_then(|found| name::number(found));
                let within_ms = if bound_ms > 0 { meta.staleness_bound_ms.into() } else { 0 };
                let (revision, at) = (person.record_revision, meta.revision);
                Some(Answer::Saw { revision, value: value.unwrap_or_default(), at, within_ms })
            }
            Err(error) => self.absent(&error, bound_ms),
        }
    }

    async fn verify(&mut self, node: usize, record: &Record, value: u64) -> Option<Answer> {
        let value = Some(Value::Text(name::of(value)));
        let claim = Claim { attribute: Attribute::OtherName.into(), value, ..Claim::default() };
        let subject = Subject { key: Some(record.person.clone()), claims: vec![claim] };
        match self.shared.nodes[node].verify(subject, ReadOptions::default()).await {
            Ok(answer) => {
                let meta = answer.meta.unwrap_or_default();
                let verdict = answer.verdicts.first().map(dancu::proto::registry::AttributeVerdict::verdict);
                if !matches!(verdict, Some(Verdict::Match | Verdict::NoMatch)) {
                    lock(&self.shared.strange).push(format!("a verification was answered by {verdict:?}"));
                }
                let matches = verdict == Some(Verdict::Match);
                Some(Answer::Verdict { revision: meta.record_revision, matches, at: meta.revision })
            }
            Err(error) => self.absent(&error, 0),
        }
    }

    /// What a read that found nothing says; `None` when it says nothing.
    fn absent(&self, error: &ClientError, within_ms: u64) -> Option<Answer> {
        if error.reason() == ErrorReason::PersonNotFound {
            return Some(Answer::Absent { at: error.revision().unwrap_or_default(), within_ms });
        }
        self.not_done(error);
        None
    }

    /// What came of a write; `None` when it was not done.
    fn write_answer(&self, answer: Result<WriteResponse, ClientError>) -> Option<Answer> {
        match answer {
            Ok(answer) => Some(Answer::Wrote { revision: written(&answer).1 }),
            Err(error) if error.outcome() == Outcome::Unknown => Some(Answer::Unknown),
            Err(error) => match error.current_record_revision() {
                Some(revision) => Some(Answer::Conflict { revision }),
                None => {
                    self.not_done(&error);
                    None
                }
            },
        }
    }

    /// Counts a call that was not done, and notes it when a fault does not explain that.
    fn not_done(&self, error: &ClientError) {
        self.shared.tally.refused.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        match error.reason() {
            ErrorReason::NoQuorum
            | ErrorReason::StalenessExceeded
            | ErrorReason::NotReady
            | ErrorReason::Deadline
            | ErrorReason::Overloaded
            | ErrorReason::NodeFault
            // No node answered.
            | ErrorReason::Unspecified => {}
            _ => lock(&self.shared.strange).push(error.to_string()),
        }
    }
}

/// The person's id and the revision that a write made.
fn written(answer: &WriteResponse) -> (u64, u64) {
    let written = answer.written.as_ref();
    written.map(|written| (written.person_uid, written.record_revision)).unwrap_or_default()
}
