//! Verification over TCP: streams, claims as of the past, and searches whose pages show one revision.

use crate::proto::registry::verify_stream_response::Result as Answer;
use crate::proto::registry::{FindPersonsRequest, VerifyStreamRequest};

use super::*;

fn claim(given: &str) -> Claim {
    Claim {
        attribute: Attribute::GivenName.into(),
        value: Some(claim::Value::Text(given.to_owned())),
        ..Claim::default()
    }
}

fn verify(serial: u32, given: &str, options: Option<ReadOptions>) -> VerifyRequest {
    let subject = Some(Subject { key: Some(key(id(serial))), claims: vec![claim(given)] });
    VerifyRequest { subject, options, ..VerifyRequest::default() }
}

impl Server {
    async fn rename(&self, request_id: &str, serial: u32, given: &str) -> u64 {
        let mut person = person(serial);
        person.birth_name.as_mut().unwrap().given = given.to_owned();
        let patch = PatchPerson {
            key: Some(key(id(serial))),
            person: Some(person),
            update_mask: Some(prost_types::FieldMask { paths: vec!["birth_name.given".to_owned()] }),
            expected_record_revision: 0,
        };
        let request = PatchPersonRequest { context: Some(context(request_id)), patch: Some(patch) };
        self.registry().patch_person(request).await.unwrap().into_inner().written.unwrap().record_revision
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_answers_in_order_and_goes_on_after_a_request_that_fails() {
    const REQUESTS: u64 = 300;
    let server = Server::ready(LimitsConfig::default()).await;
    server.create("r1", person(1)).await.unwrap();
    let request = |sequence: u64| match sequence % 3 {
        0 => verify(1, "Thúy", None),
        1 => verify(1, "Thùy", None),
        _ if sequence.is_multiple_of(2) => verify(2, "Thúy", None),
        _ => VerifyRequest::default(),
    };
    let requests =
        (0..REQUESTS).map(move |sequence| VerifyStreamRequest { sequence, request: Some(request(sequence)) });
    let mut verification = VerificationClient::new(server.channel.clone());
    let mut answers = verification.verify_stream(stream::iter(requests)).await.unwrap().into_inner();
    let mut sequence = 0;
    while let Some(answer) = answers.message().await.unwrap() {
        assert_eq!(answer.sequence, sequence);
        let found = match answer.result.unwrap() {
            Answer::Response(response) => {
                assert_eq!(response.meta.unwrap().consistency_served(), Consistency::Linearizable);
                Ok(response.all_match)
            }
            Answer::Error(error) => Err((Code::from(error.code), error.reason().as_str_name())),
        };
        let expected = match sequence % 3 {
            0 => Ok(true),
            1 => Ok(false),
            _ if sequence.is_multiple_of(2) => Err((Code::NotFound, "ERROR_REASON_PERSON_NOT_FOUND")),
            _ => Err((Code::InvalidArgument, "ERROR_REASON_FIELD_INVALID")),
        };
        assert_eq!(found, expected, "request {sequence}");
        sequence += 1;
    }
    assert_eq!(sequence, REQUESTS);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_ends_a_stream_that_stays_open() {
    let server = Server::ready(LimitsConfig::default()).await;
    server.create("r1", person(1)).await.unwrap();
    let (requests, held_open) = mpsc::channel(4);
    let mut verification = VerificationClient::new(server.channel.clone());
    let mut answers = verification.verify_stream(ReceiverStream::new(held_open)).await.unwrap().into_inner();
    let request = Some(verify(1, "Thúy", None));
    requests.send(VerifyStreamRequest { sequence: 7, request }).await.unwrap();
    assert_eq!(answers.message().await.unwrap().unwrap().sequence, 7);
    server.shutdown().await;
    refused(answers.message().await, "NOT_READY", "", Code::Unavailable);
    drop(requests);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_are_compared_with_the_record_as_it_stood() {
    let server = Server::ready(LimitsConfig::default()).await;
    let (_, first) = server.create("r1", person(1)).await.unwrap();
    let second = server.rename("r2", 1, "Hoa").await;
    let mut verification = VerificationClient::new(server.channel.clone());
    for (revision, given, matches) in
        [(first, "Thúy", true), (first, "Hoa", false), (second, "Thúy", false), (second, "Hoa", true)]
    {
        let options =
            ReadOptions { consistency: Consistency::AsOf.into(), revision, ..ReadOptions::default() };
        let answer = verification.verify(verify(1, given, Some(options))).await.unwrap().into_inner();
        assert_eq!(answer.all_match, matches, "{given} as of {revision}");
        assert_eq!(answer.meta.unwrap().record_revision, revision);
    }
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pages_of_a_search_show_one_revision_whatever_is_written_between_them() {
    let server = Server::ready(LimitsConfig::default()).await;
    for serial in 1..=5 {
        server.create(&format!("r{serial}"), person(serial)).await.unwrap();
    }
    let mut request = FindPersonsRequest {
        name: "Nguyễn Thị Thúy".to_owned(),
        options: Some(ReadOptions::default()),
        limit: 2,
        ..FindPersonsRequest::default()
    };
    let (mut found, mut revisions) = (Vec::new(), Vec::new());
    for page in 0.. {
        let answer = server.registry().find_persons(request.clone()).await.unwrap().into_inner();
        found.extend(answer.persons.into_iter().map(|hit| hit.person.unwrap().uid));
        revisions.push(answer.meta.unwrap().revision);
        if answer.next_page.is_empty() {
            break;
        }
        request.page = answer.next_page;
        // One who was to come goes by another name, and one more has the name: neither is seen.
        server.rename(&format!("p{page}"), 5, ["Hoa", "Lan", "Mai"][page]).await;
        server.create(&format!("q{page}"), person(6 + u32::try_from(page).unwrap())).await.unwrap();
    }
    assert_eq!(found, [1, 2, 3, 4, 5]);
    assert!(revisions.len() > 2 && revisions.iter().all(|revision| *revision == 5), "{revisions:?}");
    server.shutdown().await;
}
