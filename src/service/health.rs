//! gRPC health: SERVING while the node is ready, for "" and for each service.
//!
//! ClusterAdmin serves from the start to the end: a node that waits for a cluster must be reachable to get one.

use std::sync::Arc;
use std::time::Duration;

use tonic::server::NamedService;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::server::{HealthReporter, health_reporter};

use super::{
    Shared, access, audit, cluster, consent, credentials, policy, registry, uin, units, verification,
};
use crate::proto::cluster::cluster_admin_server::ClusterAdminServer;
use crate::proto::registry::admin_units_server::AdminUnitsServer;
use crate::proto::registry::audit_server::AuditServer;
use crate::proto::registry::consent_server::ConsentServer;
use crate::proto::registry::credentials_server::CredentialsServer;
use crate::proto::registry::data_access_server::DataAccessServer;
use crate::proto::registry::eid_account_server::EidAccountServer;
use crate::proto::registry::policy_server::PolicyServer;
use crate::proto::registry::population_registry_server::PopulationRegistryServer;
use crate::proto::registry::uin_management_server::UinManagementServer;
use crate::proto::registry::verification_server::VerificationServer;

/// How often readiness is looked at.
const PERIOD: Duration = Duration::from_millis(200);

/// The operators' service by its full name.
pub(super) const ADMIN: &str = <ClusterAdminServer<cluster::Admin> as NamedService>::NAME;

/// The services that serve while the node is ready, by their full names.
pub(super) const REGISTRY: [&str; 10] = [
    <PopulationRegistryServer<registry::Registry> as NamedService>::NAME,
    <VerificationServer<verification::Verifier> as NamedService>::NAME,
    <DataAccessServer<access::Access> as NamedService>::NAME,
    <UinManagementServer<uin::Uin> as NamedService>::NAME,
    <CredentialsServer<credentials::Issued> as NamedService>::NAME,
    <EidAccountServer<credentials::Issued> as NamedService>::NAME,
    <AdminUnitsServer<units::Units> as NamedService>::NAME,
    <PolicyServer<policy::Policing> as NamedService>::NAME,
    <ConsentServer<consent::Consents> as NamedService>::NAME,
    <AuditServer<audit::Trails> as NamedService>::NAME,
];

/// The health service, kept up to date until the server stops.
pub(super) fn start(shared: &Arc<Shared>) -> HealthServer<impl Health> {
    let (reporter, server) = health_reporter();
    tokio::spawn(follow(shared.clone(), reporter));
    server
}

async fn follow(shared: Arc<Shared>, reporter: HealthReporter) {
    reporter.set_service_status(ADMIN, ServingStatus::Serving).await;
    let mut ticks = tokio::time::interval(PERIOD);
    let mut last = None;
    loop {
        let stopping = tokio::select! {
            biased;
            () = shared.stopping.cancelled() => true,
            _ = ticks.tick() => false,
        };
        let ready = if stopping { Err("the server is stopping".to_owned()) } else { shared.node.readiness() };
        if last.as_ref() != Some(&ready) {
            match &ready {
                Ok(()) => tracing::info!("ready: serving requests"),
                Err(why) => tracing::info!("not ready: {why}"),
            }
            report(&reporter, ready.is_ok()).await;
            last = Some(ready);
        }
        if stopping {
            reporter.set_service_status(ADMIN, ServingStatus::NotServing).await;
            return;
        }
    }
}

async fn report(reporter: &HealthReporter, ready: bool) {
    let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
    for name in REGISTRY.into_iter().chain([""]) {
        reporter.set_service_status(name, status).await;
    }
}
