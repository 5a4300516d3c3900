//! Verification: claims in, verdicts out.
//!
//! | file | methods |
//! |---|---|
//! | `claims` | Verify, BatchVerify |
//! | `stream` | VerifyStream: the same, many after another without waiting |
//! | `identifiers` | VerifyIdentifierLink, ResolveIdentifier |
//! | `credential` | VerifyCredential |
//! | `household` | VerifyHousehold |

mod claims;
mod credential;
mod household;
mod identifiers;
mod stream;

use std::sync::Arc;

use futures::stream::BoxStream;
use tonic::{Request, Response, Status, Streaming};

use super::{Shared, observe};
use crate::proto::registry::verification_server::Verification;
use crate::proto::registry::{
    BatchVerifyRequest, BatchVerifyResponse, ResolveIdentifierRequest, ResolveIdentifierResponse,
    VerifyCredentialRequest, VerifyCredentialResponse, VerifyHouseholdRequest, VerifyHouseholdResponse,
    VerifyIdentifierLinkRequest, VerifyIdentifierLinkResponse, VerifyRequest, VerifyResponse,
    VerifyStreamRequest, VerifyStreamResponse,
};

/// The service.
pub(super) struct Verifier {
    shared: Arc<Shared>,
}

impl Verifier {
    /// The service of this node.
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

#[tonic::async_trait]
impl Verification for Verifier {
    async fn verify(&self, request: Request<VerifyRequest>) -> Result<Response<VerifyResponse>, Status> {
        let call = self.shared.admit(&request)?;
        claims::verify(&call, request.into_inner()).await.map(Response::new)
    }

    async fn batch_verify(
        &self,
        request: Request<BatchVerifyRequest>,
    ) -> Result<Response<BatchVerifyResponse>, Status> {
        let call = self.shared.admit(&request)?;
        claims::batch_verify(&call, request.into_inner()).await.map(Response::new)
    }

    type VerifyStreamStream = BoxStream<'static, Result<VerifyStreamResponse, Status>>;

    async fn verify_stream(
        &self,
        request: Request<Streaming<VerifyStreamRequest>>,
    ) -> Result<Response<Self::VerifyStreamStream>, Status> {
        let caller = observe::caller(request.extensions())?;
        Ok(Response::new(stream::answers(self.shared.clone(), caller, request.into_inner())))
    }

    async fn verify_identifier_link(
        &self,
        request: Request<VerifyIdentifierLinkRequest>,
    ) -> Result<Response<VerifyIdentifierLinkResponse>, Status> {
        let call = self.shared.admit(&request)?;
        identifiers::link(&call, request.into_inner()).await.map(Response::new)
    }

    async fn resolve_identifier(
        &self,
        request: Request<ResolveIdentifierRequest>,
    ) -> Result<Response<ResolveIdentifierResponse>, Status> {
        let call = self.shared.admit(&request)?;
        identifiers::resolve(&call, request.into_inner()).await.map(Response::new)
    }

    async fn verify_credential(
        &self,
        request: Request<VerifyCredentialRequest>,
    ) -> Result<Response<VerifyCredentialResponse>, Status> {
        let call = self.shared.admit(&request)?;
        credential::verify(&call, request.into_inner()).await.map(Response::new)
    }

    async fn verify_household(
        &self,
        request: Request<VerifyHouseholdRequest>,
    ) -> Result<Response<VerifyHouseholdResponse>, Status> {
        let call = self.shared.admit(&request)?;
        household::verify(&call, request.into_inner()).await.map(Response::new)
    }
}
