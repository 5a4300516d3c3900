//! Verify and BatchVerify: what comparing means is `domain::matching`; here people are found and verdicts gathered, all
//! of a batch from one view. A receipt is begun before anything is read, so that nothing is for who cannot have one.

use tonic::Status;

use super::super::budget::{self, Wrong};
use super::super::lookup::{Lookup, Trail};
use super::super::read::{self, Found, View};
use super::super::status;
use super::receipts::{self, Unsealed};
use crate::domain::policy::Licence;
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
    let need = |licence: &Licence| licence.may_verify_some(&subject.claims, "subject.claims");
    let view = call.read(request.options.as_ref(), need).await?;
    let view = view.of_fields(matching::fields_of(&subject.claims));
    let Found { person, resolution } = view.only(&key, "subject.key")?;
    let (verdicts, all_match, wrong) = judged(&view, &person, &subject.claims)?
        .map_err(|refused| status::rejected_at(&refused, view.revision()))?;
    call.trail().judged(person.uid, &verdicts);
    told(call, &view, wrong).await?;
    let meta = call.meta_of_read(&view, person.record_revision);
    let resolution = Some(resolution);
    let answer = VerifyResponse { meta: Some(meta), all_match, verdicts, resolution, receipt: None };
    Ok(Unsealed { answer, draft })
}

/// The verdicts on several people, from one view.
pub async fn batch_verify(call: &Lookup, request: BatchVerifyRequest) -> Result<BatchVerifyResponse, Status> {
    call.identify_reader(request.context.as_ref())?;
    validate::subjects(&request.subjects).map_err(|rejection| status::rejected(&rejection))?;
    let claims = || request.subjects.iter().flat_map(|subject| &subject.claims);
    let need = |licence: &Licence| licence.may_verify_some(claims(), "subjects");
    let view = call.read(request.options.as_ref(), need).await?;
    call.spend(view.licence().agency(), request.subjects.len() as u64 - 1).await?;
    let view = view.of_fields(matching::fields_of(claims()));
    let licence = view.licence().clone();
    let meta = call.meta_of_read(&view, 0);
    let trail = call.trail().clone();
    let results = call.run_batch(move || {
        let (mut results, mut wrong) = (Vec::with_capacity(request.subjects.len()), Wrong::default());
        for (position, subject) in request.subjects.iter().enumerate() {
            let (uid, result, more) = result(&view, &trail, subject, position)?;
            wrong = wrong.and(more);
            results.push((uid, result));
        }
        Ok((results, wrong))
    });
    let (results, wrong) = results.await?;
    let refused = call.charge(&licence, wrong).await?;
    let told = results.into_iter().enumerate().map(|(position, (uid, result))| {
        if refused.contains(&uid) { missing(position, budget::over_budget()) } else { result }
    });
    let answer = BatchVerifyResponse { meta: Some(meta), results: told.collect() };
    call.sendable(answer, "subjects")
}

/// The verdicts on one person of a batch, who that is, and what was claimed wrong of them.
fn result(
    view: &View,
    trail: &Trail,
    subject: &Subject,
    position: usize,
) -> Result<(u64, SubjectResult, Wrong), Status> {
    let found = match read::lookup(view, subject.key.as_ref(), "key")? {
        Err(why) => return Ok((0, missing(position, why), Wrong::default())),
        Ok(found) => found,
    };
    let Found { person, resolution } = found;
    let (verdicts, all_match, wrong) = match judged(view, &person, &subject.claims)? {
        Err(why) => return Ok((person.uid, missing(position, why), Wrong::default())),
        Ok(judged) => judged,
    };
    trail.judged(person.uid, &verdicts);
    let record_revision = person.record_revision;
    let resolution = Some(resolution);
    let result = SubjectResult { missing: None, all_match, verdicts, resolution, record_revision };
    Ok((person.uid, result, wrong))
}

fn missing(position: usize, why: Rejection) -> SubjectResult {
    let field = match why.field.as_str() {
        "" => format!("subjects[{position}]"),
        field => format!("subjects[{position}].{field}"),
    };
    SubjectResult { missing: Some(Rejection { field, ..why }), ..SubjectResult::default() }
}

/// Lets verdicts out, once what was claimed wrong is counted.
///
/// # Errors
/// `GUESS_BUDGET` when that was too much; see [`super::super::call::Call::write`].
pub async fn told(call: &Lookup, view: &View, wrong: Wrong) -> Result<(), Status> {
    match call.charge(view.licence(), wrong).await?.as_slice() {
        [] => Ok(()),
        _ => Err(status::rejected_at(&budget::over_budget(), view.revision())),
    }
}

/// The verdicts on a person, whether all are MATCH, and what was claimed wrong.
type Judged = (Vec<AttributeVerdict>, bool, Wrong);

/// The verdicts on a person that the caller's agency may still ask about.
///
/// # Errors
/// `GUESS_BUDGET` when it may not; see [`View::failed`].
pub fn judged(view: &View, person: &Person, claims: &[Claim]) -> Result<Result<Judged, Rejection>, Status> {
    let known = match view.known_of(person.uid)? {
        Ok(known) => known,
        Err(refused) => return Ok(Err(refused)),
    };
    let (verdicts, all_match) = compare(person, claims, view.licence());
    let mut wrong = Wrong::default();
    wrong.note(person.uid, claims, &verdicts, &known);
    Ok(Ok((verdicts, all_match, wrong)))
}

/// The verdicts in the order of the claims, and whether all are MATCH. What may not be asked is not looked at: it would tell
/// something where parts of a name are compared joined.
fn compare(person: &Person, claims: &[Claim], licence: &Licence) -> (Vec<AttributeVerdict>, bool) {
    let weakest = |attribute| licence.weakest(attribute).unwrap_or_default();
    let verdicts = if claims.iter().all(|claim| licence.permits(claim)) {
        matching::verify_within(person, claims, &weakest)
    } else {
        let permitted: Vec<Claim> = claims.iter().filter(|claim| licence.permits(claim)).cloned().collect();
        let mut judged = matching::verify_within(person, &permitted, &weakest).into_iter();
        let verdict = |claim: &Claim| match licence.permits(claim) {
            true => judged.next().unwrap_or_default(),
            false => AttributeVerdict {
                attribute: claim.attribute,
                verdict: Verdict::NotPermitted.into(),
                ..AttributeVerdict::default()
            },
        };
        claims.iter().map(verdict).collect()
    };
    let all_match = verdicts.iter().all(|verdict| verdict.verdict() == Verdict::Match);
    (verdicts, all_match)
}
