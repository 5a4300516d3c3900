//! From reasons to statuses, from options to read modes, and what reflection shows. `live` has the server in front of a
//! real node, `history` what such a server tells of the past.

mod history;
mod live;

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{StreamExt, stream};
use tokio::net::TcpListener;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};
use tonic_types::StatusExt;

use super::caller::Caller;
use super::read::mode;
use super::{observe, reflection, status};
use crate::domain::error::{reason_name, rejection, status_code};
use crate::metrics::Metrics;
use crate::proto::registry::{Consistency, ErrorReason, PersonKey, ReadOptions, Rejection, person_key};
use crate::raft::{AsOf, Error, ReadMode};

/// Lets everything in.
struct Open;

impl observe::Gatekeeper for Open {
    fn welcome(&self, _: &str) -> Result<(), Status> {
        Ok(())
    }

    fn refused(&self, _: &'static str, _: Caller, _: Status) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

#[test]
fn every_reason_becomes_a_status_that_says_so() {
    let reasons: Vec<_> = (1..).map_while(|number| ErrorReason::try_from(number).ok()).collect();
    assert_eq!(reasons.len(), 44, "all reasons of the proto, which are numbered without a gap");
    for reason in reasons {
        let status = status::rejected(&rejection(reason, "", "why"));
        assert_eq!(status.code() as i32, status_code(reason) as i32);
        assert!(!matches!(status.code(), Code::Ok | Code::Unknown));
        assert_eq!(status.get_details_error_info().unwrap().reason, reason_name(reason));
    }
}

#[test]
fn a_rejection_carries_reason_field_and_revisions() {
    let at_field = rejection(ErrorReason::DateInvalid, "person.birth_date", "31 June is no day");
    let status = status::rejected(&at_field);
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(status.message(), "person.birth_date: 31 June is no day");
    let details = status.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!((info.reason.as_str(), info.domain.as_str()), ("DATE_INVALID", "dancu"));
    assert_eq!(info.metadata["field"], "person.birth_date");
    assert_eq!(info.metadata["retry_safe"], "true");
    assert_eq!(details.bad_request().unwrap().field_violations[0].field, "person.birth_date");

    let mut conflict = rejection(ErrorReason::RevisionConflict, "", "");
    conflict.current_record_revision = 41;
    let status = status::rejected_at(&conflict, 99);
    assert_eq!(status.code(), Code::Aborted);
    assert!(status.message().contains("41"));
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.metadata["current_record_revision"], "41");
    assert_eq!(info.metadata["revision"], "99");
}

#[test]
fn what_raft_refuses_says_when_to_come_back() {
    let text = || "why".to_owned();
    let cases = [
        (Error::NotReady(text()), "NOT_READY", Code::Unavailable, true),
        (Error::NoQuorum(text()), "NO_QUORUM", Code::Unavailable, true),
        (Error::Deadline(text()), "DEADLINE", Code::DeadlineExceeded, false),
        (Error::StalenessExceeded { bound_ms: 5 }, "STALENESS_EXCEEDED", Code::Unavailable, true),
        (Error::RevisionFuture { current: 5 }, "REVISION_FUTURE", Code::OutOfRange, false),
        (
            Error::Overloaded { retry_after: Duration::from_millis(70) },
            "OVERLOADED",
            Code::ResourceExhausted,
            true,
        ),
        (Error::Fault("/data/node1 failed".to_owned()), "NODE_FAULT", Code::Internal, false),
        (Error::ClusterState(text()), "CLUSTER_STATE", Code::FailedPrecondition, false),
        (Error::invalid("node_id", "why"), "FIELD_INVALID", Code::InvalidArgument, false),
    ];
    for (error, reason, code, comes_back) in cases {
        let status = status::failed(error);
        let details = status.get_error_details();
        assert_eq!((details.error_info().unwrap().reason.as_str(), status.code()), (reason, code));
        assert_eq!(details.retry_info().is_some(), comes_back, "{reason}");
        assert!(!status.message().contains("/data"), "no internals: {}", status.message());
    }
}

#[test]
fn what_tonic_refuses_is_bad_input() {
    let reason = |code, has_details| {
        let status = status::of_transport(code, has_details, 100)?;
        assert_eq!(status.code(), Code::InvalidArgument);
        Some(status.get_details_error_info().unwrap().reason)
    };
    assert_eq!(reason(Code::OutOfRange, false).as_deref(), Some("TOO_LARGE"));
    assert_eq!(reason(Code::Internal, false).as_deref(), Some("FIELD_INVALID"));
    assert_eq!(reason(Code::OutOfRange, true), None);
    assert_eq!(reason(Code::Ok, false), None);
}

fn options(consistency: Consistency, revision: u64, max_staleness_ms: u64, as_of_ms: u64) -> ReadOptions {
    ReadOptions {
        consistency: consistency.into(),
        revision,
        max_staleness_ms,
        as_of_ms,
        ..ReadOptions::default()
    }
}

#[test]
fn options_become_read_modes() {
    use Consistency::{AsOf as At, AtLeast, BoundedStale, Linearizable, Unspecified};
    let of = |consistency, revision, stale, time| mode(Some(&options(consistency, revision, stale, time)));
    assert_eq!(mode(None), Ok(ReadMode::Linearizable));
    assert_eq!(of(Unspecified, 0, 0, 0), Ok(ReadMode::Linearizable));
    assert_eq!(of(Linearizable, 0, 0, 0), Ok(ReadMode::Linearizable));
    assert_eq!(of(AtLeast, 1, 0, 0), Ok(ReadMode::AtLeast(1)));
    assert_eq!(of(BoundedStale, 0, 1, 0), Ok(ReadMode::BoundedStale(Duration::from_millis(1))));
    assert_eq!(of(BoundedStale, 0, 86_400_000, 0), Ok(ReadMode::BoundedStale(Duration::from_secs(86_400))));
    assert_eq!(of(At, 7, 0, 0), Ok(ReadMode::AsOf(AsOf::Revision(7))));
    assert_eq!(of(At, 0, 0, 7), Ok(ReadMode::AsOf(AsOf::Instant(7))));
    assert_eq!(of(At, 7, 0, 9), Ok(ReadMode::AsOf(AsOf::Revision(7))), "the revision comes first");
}

#[test]
fn options_that_contradict_each_other_are_refused_with_the_field() {
    use Consistency::{AsOf as At, AtLeast, BoundedStale, Linearizable, Unspecified};
    let cases = [
        (options(AtLeast, 0, 0, 0), "options.revision"),
        (options(At, 0, 0, 0), "options.revision"),
        (options(Unspecified, 5, 0, 0), "options.revision"),
        (options(BoundedStale, 5, 5, 0), "options.revision"),
        (options(BoundedStale, 0, 0, 0), "options.max_staleness_ms"),
        (options(BoundedStale, 0, 86_400_001, 0), "options.max_staleness_ms"),
        (options(Linearizable, 0, 5, 0), "options.max_staleness_ms"),
        (options(AtLeast, 5, 0, 5), "options.as_of_ms"),
        (ReadOptions { consistency: 99, ..ReadOptions::default() }, "options.consistency"),
        (ReadOptions { unit_edition: 3, ..ReadOptions::default() }, "options.unit_edition"),
    ];
    for (options, field) in cases {
        let refused: Rejection = mode(Some(&options)).unwrap_err();
        assert_eq!(
            (refused.reason(), refused.field.as_str()),
            (ErrorReason::FieldInvalid, field),
            "{options:?}"
        );
    }
}

#[tokio::test]
async fn what_tonic_refuses_leaves_in_our_terms_and_is_counted() {
    let metrics = Arc::new(Metrics::new());
    let health = tonic_health::server::health_reporter().1.max_decoding_message_size(64);
    let routes = observe::around(Routes::new(health), false, &metrics, 64, Arc::new(Open));
    let channel = serve(routes).await;

    let mut client = HealthClient::new(channel.clone());
    let service = "x".repeat(100);
    let too_large = client.check(HealthCheckRequest { service }).await.unwrap_err();
    assert_eq!(too_large.code(), Code::InvalidArgument);
    assert_eq!(too_large.get_details_error_info().unwrap().reason, "TOO_LARGE");

    let mut raw = tonic::client::Grpc::new(channel);
    raw.ready().await.unwrap();
    let number = PersonKey { key: Some(person_key::Key::PersonUid(5)) };
    let path = "/grpc.health.v1.Health/Check".parse().unwrap();
    let codec = tonic_prost::ProstCodec::<PersonKey, PersonKey>::default();
    let malformed = raw.unary(tonic::Request::new(number), path, codec).await.unwrap_err();
    assert_eq!(malformed.code(), Code::InvalidArgument);
    assert_eq!(malformed.get_details_error_info().unwrap().reason, "FIELD_INVALID");

    client.check(HealthCheckRequest::default()).await.unwrap();
    let text = metrics.encode();
    for line in [
        "dancu_grpc_requests_total{method=\"Health/Check\",code=\"INVALID_ARGUMENT\"} 2",
        "dancu_grpc_requests_total{method=\"Health/Check\",code=\"OK\"} 1",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

/// Serves on a free port and connects to it.
async fn serve(routes: Routes) -> Channel {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(Server::builder().add_routes(routes).serve_with_incoming(TcpIncoming::from(listener)));
    Channel::from_shared(address).unwrap().connect().await.unwrap()
}

#[tokio::test]
async fn reflection_shows_the_public_api_with_everything_it_needs() {
    let channel = serve(Routes::new(reflection().build_v1().unwrap())).await;

    let Some(MessageResponse::ListServicesResponse(list)) =
        ask(&channel, MessageRequest::ListServices(String::new())).await.message_response
    else {
        panic!("no list of services")
    };
    let mut names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    names.sort();
    assert_eq!(
        names,
        [
            "dancu.cluster.v1.ClusterAdmin",
            "dancu.registry.v1.AdminUnits",
            "dancu.registry.v1.Audit",
            "dancu.registry.v1.Consent",
            "dancu.registry.v1.Credentials",
            "dancu.registry.v1.DataAccess",
            "dancu.registry.v1.EidAccount",
            "dancu.registry.v1.Policy",
            "dancu.registry.v1.PopulationRegistry",
            "dancu.registry.v1.UinManagement",
            "dancu.registry.v1.Verification",
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
        ]
    );
    for symbol in names {
        let answer = ask(&channel, MessageRequest::FileContainingSymbol(symbol.clone())).await;
        let described = matches!(answer.message_response, Some(MessageResponse::FileDescriptorResponse(_)));
        assert!(described, "{symbol}: {answer:?}");
    }
    for file in ["google/protobuf/field_mask.proto", "dancu/registry/v1/person.proto"] {
        let answer = ask(&channel, MessageRequest::FileByFilename(file.to_owned())).await;
        let described = matches!(answer.message_response, Some(MessageResponse::FileDescriptorResponse(_)));
        assert!(described, "{file}: {answer:?}");
    }
}

async fn ask(channel: &Channel, message: MessageRequest) -> ServerReflectionResponse {
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(message) };
    let mut client = ServerReflectionClient::new(channel.clone());
    let mut answers = client.server_reflection_info(stream::iter([request])).await.unwrap().into_inner();
    answers.next().await.unwrap().unwrap()
}
