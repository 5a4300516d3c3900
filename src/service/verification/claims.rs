//! Verify and BatchVerify: what comparing means is `domain::matching`; here people are found and verdicts gathered, all
//! of a batch from one view. A receipt is begun before anything is read, so that nothing is for who cannot have one.

use tonic::Status;

use super::super::lookup::{Lookup, Trail};
use super::super::read::{self, Found, View};
use super::super::status;
use super::receipts::{self, Unsealed};
use crate::domain::{matching, validate};
use crate::proto::registry::{
    AttributeVerdict, BatchVerifyRequest, BatchVerifyResponse, Claim, Person, Rejection, Subject,
    SubjectResult, Verdict, VerifyRequest, VerifyResponse,
};

/// The verdicts on one person.
pub async fn verify(call: &Lookup, request: VerifyRequest) -> Result<Unsealed, Status> {
    call.identify_reader(request.context.as_ref())?;
    let draft = if request.receipt { Some(receipts::begin(call, &request)?) } else { None };
    let subject = status::required(request.subject, "subject")?;
    validate::subject(&subject).map_err(|rejection| status::rejected(&rejection))?;
    let key = status::required(subject.key, "subject.key")?;
    let view = call.read(request.options.as_ref()).await?.of_fields(matching::fields_of(&subject.claims));
    let Found { person, resolution } = view.only(&key, "subject.key")?;
    let (verdicts, all_match) = compare(&person, &subject.claims);
    call.trail().judged(person.uid, &verdicts);
    let meta = call.meta_of_read(&view, person.record_revision);
    let resolution = Some(resolution);
    let answer = VerifyResponse { meta: Some(meta), all_match, verdicts, resolution, receipt: None };
    Ok(Unsealed { answer, draft })
}

/// The verdicts on several people, from one view.
pub async fn batch_verify(call: &Lookup, request: BatchVerifyRequest) -> Result<BatchVerifyResponse, Status> {
    call.identify_reader(request.context.as_ref())?;
    validate::subjects(&request.subjects).map_err(|rejection| status::rejected(&rejection))?;
    let claims = request.subjects.iter().flat_map(|subject| &subject.claims);
    let view = call.read(request.options.as_ref()).await?.of_fields(matching::fields_of(claims));
    let meta = call.meta_of_read(&view, 0);
    let trail = call.trail().clone();
    let results = call.run_batch(move || {
        let subjects = request.subjects.iter().enumerate();
        subjects.map(|(position, subject)| result(&view, &trail, subject, position)).collect()
    });
    let answer = BatchVerifyResponse { meta: Some(meta), results: results.await? };
    call.sendable(answer, "subjects")
}

fn result(view: &View, trail: &Trail, subject: &Subject, position: usize) -> Result<SubjectResult, Status> {
    Ok(match read::lookup(view, subject.key.as_ref(), "key")? {
        Err(missing) => {
            let field = format!("subjects[{position}].{}", missing.field);
            SubjectResult { missing: Some(Rejection { field, ..missing }), ..SubjectResult::default() }
        }
        Ok(Found { person, resolution }) => {
            let (verdicts, all_match) = compare(&person, &subject.claims);
            trail.judged(person.uid, &verdicts);
            let record_revision = person.record_revision;
            SubjectResult {
                missing: None,
                all_match,
                verdicts,
                resolution: Some(resolution),
                record_revision,
            }
        }
    })
}

/// The verdicts in the order of the claims, and whether all are MATCH.
pub fn compare(person: &Person, claims: &[Claim]) -> (Vec<AttributeVerdict>, bool) {
    let verdicts = matching::verify(person, claims);
    let all_match = verdicts.iter().all(|verdict| verdict.verdict() == Verdict::Match);
    (verdicts, all_match)
}
