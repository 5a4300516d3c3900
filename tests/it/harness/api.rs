//! One node's services without the client's retries, so that a test sees every refusal as the node gave it.

use std::sync::Arc;
use std::time::Duration;

use dancu::proto::cluster::StatusRequest;
use dancu::proto::cluster::cluster_admin_client::ClusterAdminClient;
use dancu::proto::registry::audit_client::AuditClient;
use dancu::proto::registry::person_key::Key;
use dancu::proto::registry::population_registry_client::PopulationRegistryClient;
use dancu::proto::registry::verification_client::VerificationClient;
use dancu::proto::registry::{
    Consistency, CreatePerson, CreatePersonRequest, Person, PersonKey, ReadOptions, ReadPersonRequest,
    RequestContext,
};
use dancu::tls::Tls;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use super::{AGENCY, shown};

fn channel(address: &str, tls: &Option<Arc<Tls>>) -> Channel {
    dancu::client::channel(address, tls.as_ref()).unwrap()
}

/// Records.
pub fn registry(address: &str) -> PopulationRegistryClient<Channel> {
    PopulationRegistryClient::new(channel(address, &shown().agency))
}

/// Verdicts.
pub fn verification(address: &str) -> VerificationClient<Channel> {
    VerificationClient::new(channel(address, &shown().agency))
}

/// Who saw whom.
pub fn audit(address: &str) -> AuditClient<Channel> {
    AuditClient::new(channel(address, &shown().auditor))
}

/// Operators' calls.
pub fn admin(address: &str) -> ClusterAdminClient<Channel> {
    ClusterAdminClient::new(channel(address, &shown().operator))
}

/// Asks for the node's own status.
pub fn local() -> StatusRequest {
    StatusRequest { local_only: true }
}

/// A context with this request id.
pub fn context(request_id: &str) -> Option<RequestContext> {
    let (request_id, agency_id) = (request_id.to_owned(), AGENCY.to_owned());
    Some(RequestContext { request_id, agency_id, ..RequestContext::default() })
}

/// A request to add a person.
pub fn create(request_id: &str, person: Person) -> CreatePersonRequest {
    let create = CreatePerson { person: Some(person), accept_existing: false };
    CreatePersonRequest { context: context(request_id), create: Some(create) }
}

/// A request to read a person.
pub fn read(key: PersonKey, options: ReadOptions) -> ReadPersonRequest {
    ReadPersonRequest { context: None, key: Some(key), options: Some(options) }
}

/// A person by the registry's id.
pub fn by_uid(uid: u64) -> PersonKey {
    PersonKey { key: Some(Key::PersonUid(uid)) }
}

/// A person by personal id.
pub fn by_id(personal_id: &str) -> PersonKey {
    PersonKey { key: Some(Key::PersonalId(personal_id.to_owned())) }
}

/// A read mode that needs no number.
pub fn mode(consistency: Consistency) -> ReadOptions {
    ReadOptions { consistency: consistency.into(), ..ReadOptions::default() }
}

/// AT_LEAST or AS_OF a revision.
pub fn at(consistency: Consistency, revision: u64) -> ReadOptions {
    ReadOptions { revision, ..mode(consistency) }
}

/// BOUNDED_STALE.
pub fn stale(max_staleness_ms: u64) -> ReadOptions {
    ReadOptions { max_staleness_ms, ..mode(Consistency::BoundedStale) }
}

/// A request with a deadline that the server learns of.
pub fn within<T>(limit: Duration, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(limit);
    request
}

/// What a refusal says: its code, its reason and the field at fault.
pub fn refusal<T>(answer: Result<T, Status>) -> (Code, String, String) {
    let status = answer.err().expect("the call should have been refused");
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.clone()).unwrap_or_default();
    let violation = details.bad_request().and_then(|bad| bad.field_violations.first());
    (status.code(), reason, violation.map(|violation| violation.field.clone()).unwrap_or_default())
}

/// A number that a refusal carries in its metadata.
pub fn refusal_number(status: &Status, key: &str) -> Option<u64> {
    status.get_error_details().error_info()?.metadata.get(key)?.parse().ok()
}
