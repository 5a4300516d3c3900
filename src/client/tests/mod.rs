//! The client against servers that fail in every way it must survive.
//!
//! Each server here is a real tonic server on a port of its own whose answers are scripted: one [`Act`] a call, and
//! success when the script is over. It keeps the request ids it saw, so that a test can say how often and under which
//! id the client asked.

mod fake;

use std::time::Duration;

use tokio::net::TcpListener;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use self::fake::{Act, Fake};
use super::*;
use crate::proto::registry::verify_stream_response::Result as Answer;
use crate::proto::registry::{
    CreatePerson, ErrorReason, Person, PersonKey, ReadOptions, StreamError, Subject, VerifyStreamResponse,
};

/// A status as dancu's server makes it.
fn refusal(code: Code, reason: &str, metadata: &[(&str, &str)], retry_after: Option<Duration>) -> Status {
    let mut details = ErrorDetails::new();
    let metadata: Vec<_> =
        metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    details.set_error_info(
        reason,
        "dancu",
        metadata.into_iter().collect::<std::collections::HashMap<_, _>>(),
    );
    if retry_after.is_some() {
        details.set_retry_info(retry_after);
    }
    Status::with_error_details(code, "scripted", details)
}

fn no_quorum() -> Act {
    Act::Fail(refusal(Code::Unavailable, "NO_QUORUM", &[], None))
}

fn client(endpoints: &[&String], deadline: Duration, attempt_timeout: Duration) -> Client {
    let endpoints = endpoints.iter().map(|address| (*address).clone()).collect();
    let agency_id = "test".to_owned();
    Client::connect(
        endpoints,
        ClientOptions { deadline, attempt_timeout, agency_id, ..ClientOptions::default() },
    )
    .unwrap()
}

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(300);

/// An address on which nothing listens: one that was just given back.
async fn nowhere() -> String {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string()
}

#[tokio::test]
async fn a_write_is_repeated_under_its_request_id_until_it_is_answered() {
    let lost = Act::Fail(Status::unknown("transport error"));
    let fault = Act::Fail(refusal(Code::Internal, "NODE_FAULT", &[], None));
    let cancelled = Act::Fail(Status::cancelled("the server went away"));
    let (fake, address) = Fake::start([no_quorum(), lost, fault, cancelled]).await;
    let client = client(&[&address], LONG, LONG);
    let context = client.context();
    client.create(context.clone(), CreatePerson::default()).await.unwrap();
    assert_eq!(fake.seen(), vec![context.request_id; 5]);
}

#[tokio::test]
async fn a_rejection_is_final_and_carries_what_the_server_said() {
    let metadata = [("current_record_revision", "7"), ("revision", "9")];
    let conflict = Act::Fail(refusal(Code::Aborted, "REVISION_CONFLICT", &metadata, None));
    let (fake, address) = Fake::start([conflict]).await;
    let client = client(&[&address], LONG, LONG);
    let error = client.create(client.context(), CreatePerson::default()).await.unwrap_err();
    assert_eq!((error.reason(), error.code()), (ErrorReason::RevisionConflict, Code::Aborted));
    assert_eq!((error.current_record_revision(), error.revision()), (Some(7), Some(9)));
    assert!(!error.is_unknown());
    assert_eq!(fake.seen().len(), 1);
}

#[tokio::test]
async fn the_next_endpoint_is_asked_at_once_and_kept() {
    let dead = nowhere().await;
    let (fake, address) = Fake::start([]).await;
    let client = client(&[&dead, &address], LONG, LONG);
    for _ in 0..3 {
        client.read(PersonKey::default(), ReadOptions::default()).await.unwrap();
    }
    assert_eq!(fake.seen().len(), 3);
    assert_eq!(client.endpoints(), [address, dead]);
}

#[tokio::test]
async fn a_hung_node_costs_one_attempt() {
    let (hung, first) = Fake::start([Act::Hang]).await;
    let (fake, second) = Fake::start([]).await;
    let client = client(&[&first, &second], LONG, Duration::from_secs(2));
    let context = client.context();
    client.create(context.clone(), CreatePerson::default()).await.unwrap();
    assert_eq!(hung.seen(), fake.seen());
    assert_eq!(fake.seen(), [context.request_id]);
}

#[tokio::test]
async fn a_write_whose_answers_were_lost_is_unknown() {
    let (fake, address) = Fake::start(std::iter::repeat_n(no_quorum(), 1000)).await;
    let client = client(&[&address], SHORT, SHORT);
    let error = client.create(client.context(), CreatePerson::default()).await.unwrap_err();
    assert!(error.is_unknown(), "{error}");
    assert_eq!(error.reason(), ErrorReason::NoQuorum);
    assert!(error.to_string().contains("repeat it with the same request id"), "{error}");
    let ids = fake.seen();
    assert!(ids.len() > 1 && ids.iter().all(|id| *id == ids[0]), "{} attempts", ids.len());
}

#[tokio::test]
async fn what_never_left_is_known_not_to_be_applied() {
    let dead = nowhere().await;
    let client = client(&[&dead], Duration::from_secs(1), LONG);
    let error = client.create(client.context(), CreatePerson::default()).await.unwrap_err();
    assert!(!error.is_unknown(), "{error}");
    assert!(error.to_string().contains(&dead), "{error}");
    // A change of members may not happen twice, but what was refused a connection did not happen at all.
    let error = client.promote(4).await.unwrap_err();
    assert!(!error.is_unknown(), "{error}");
}

#[tokio::test]
async fn an_overloaded_server_is_left_alone_as_long_as_it_asks() {
    let wait = Duration::from_millis(150);
    let overloaded = Act::Fail(refusal(Code::ResourceExhausted, "OVERLOADED", &[], Some(wait)));
    let (first, a) = Fake::start([overloaded.clone()]).await;
    let (second, b) = Fake::start([]).await;
    let client = client(&[&a, &b], LONG, LONG);
    let started = std::time::Instant::now();
    client.create(client.context(), CreatePerson::default()).await.unwrap();
    assert!(started.elapsed() >= wait);
    assert_eq!((first.seen().len(), second.seen().len()), (1, 1));
}

#[tokio::test]
async fn a_deadline_holds_even_when_every_node_hangs() {
    let (_, address) = Fake::start(std::iter::repeat_n(Act::Hang, 1000)).await;
    let client = client(&[&address], SHORT, Duration::from_millis(50));
    let started = std::time::Instant::now();
    let error = client.read(PersonKey::default(), ReadOptions::default()).await.unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded);
    assert!(!error.is_unknown(), "a read has no effect: {error}");
    assert!(started.elapsed() < LONG, "{:?}", started.elapsed());
}

#[tokio::test]
async fn an_import_goes_on_after_a_break_with_the_chunks_that_were_not_answered() {
    let (first, a) = Fake::start([Act::BreakAfter(2)]).await;
    let (second, b) = Fake::start([]).await;
    let client = client(&[&a, &b], LONG, LONG);
    let mut import = client.import(RequestContext { request_id: "list-1".to_owned(), ..client.context() });
    let mut answers = Vec::new();
    for _ in 0..8 {
        answers.extend(import.send(vec![Person::default(); 3]).await.unwrap());
    }
    answers.extend(import.finish().await.unwrap());
    assert_eq!(answers.iter().map(|answer| answer.chunk).collect::<Vec<_>>(), (1..=8).collect::<Vec<_>>());
    assert!(answers.iter().all(|answer| answer.created == 3));
    assert_eq!(first.seen(), ["list-1/1", "list-1/2", "list-1/3"]);
    assert_eq!(second.seen(), (3..=8).map(|chunk| format!("list-1/{chunk}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_import_stops_at_a_chunk_that_is_refused() {
    let refused = Act::Fail(refusal(Code::InvalidArgument, "TOO_LARGE", &[("field", "persons")], None));
    let (_, address) = Fake::start([refused]).await;
    let client = client(&[&address], LONG, LONG);
    let mut import = client.import(client.context());
    import.send(vec![Person::default()]).await.unwrap();
    assert_eq!(import.finish().await.unwrap_err().reason(), ErrorReason::TooLarge);
}

/// Sends eight verifications; returns all answers.
async fn verify_eight(client: &Client) -> Vec<VerifyStreamResponse> {
    let mut session = client.verify_stream();
    let mut answers = Vec::new();
    for _ in 0..8 {
        answers.extend(session.send(Subject::default(), ReadOptions::default()).await.unwrap());
    }
    answers.extend(session.finish().await.unwrap());
    let sequences: Vec<_> = answers.iter().map(|answer| answer.sequence).collect();
    assert_eq!(sequences, (1..=8).collect::<Vec<_>>());
    answers
}

#[tokio::test]
async fn a_verification_stream_goes_on_after_a_break_with_what_was_not_answered() {
    let (first, a) = Fake::start([Act::BreakAfter(2)]).await;
    let (second, b) = Fake::start([]).await;
    let client = client(&[&a, &b], LONG, LONG);
    for answer in verify_eight(&client).await {
        assert!(matches!(answer.result, Some(Answer::Response(_))));
    }
    assert_eq!(first.seen(), ["1", "2", "3"]);
    assert_eq!(second.seen(), (3..=8).map(|sequence| sequence.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_error_of_one_request_is_its_answer_and_one_of_the_node_is_asked_elsewhere() {
    let error = |code: Code, reason: ErrorReason| StreamError {
        code: code as i32,
        reason: reason.into(),
        message: "scripted".to_owned(),
    };
    let missing = Act::ErrorAt(2, error(Code::NotFound, ErrorReason::PersonNotFound));
    let (fake, address) = Fake::start([missing]).await;
    let answers = verify_eight(&client(&[&address], LONG, LONG)).await;
    let failed: Vec<_> =
        answers.iter().filter(|a| matches!(a.result, Some(Answer::Error(_)))).map(|a| a.sequence).collect();
    assert_eq!((failed, fake.seen().len()), (vec![3], 8));

    let cut_off = Act::ErrorAt(2, error(Code::Unavailable, ErrorReason::NoQuorum));
    let (_, a) = Fake::start([cut_off]).await;
    let (second, b) = Fake::start([]).await;
    let answers = verify_eight(&client(&[&a, &b], LONG, LONG)).await;
    assert!(answers.iter().all(|answer| matches!(answer.result, Some(Answer::Response(_)))));
    assert_eq!(second.seen().first().map(String::as_str), Some("3"));
}

#[tokio::test]
async fn endpoints_are_checked() {
    for bad in ["", "node1", "node1:", ":7001", "node1:0", "node1:99999", "a b:1"] {
        let error = Client::connect(vec![bad.to_owned()], ClientOptions::default()).unwrap_err();
        assert_eq!(error.reason(), ErrorReason::FieldInvalid, "{bad}");
    }
    assert!(Client::connect(Vec::new(), ClientOptions::default()).is_err());
    let client = Client::connect(vec!["http://[::1]:7001/".to_owned()], ClientOptions::default()).unwrap();
    assert_eq!(client.endpoints(), ["[::1]:7001"]);
}

#[test]
fn request_ids_are_short_and_differ() {
    let (a, b) = (request_id(), request_id());
    assert_eq!(a.len(), 32);
    assert_ne!(a, b);
}
