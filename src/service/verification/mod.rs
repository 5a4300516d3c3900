//! Verification: claims in, verdicts out.
//!
//! | file | methods |
//! |---|---|
//! | `claims` | Verify, BatchVerify |
//! | `stream` | VerifyStream: the same, many after another without waiting |
//! | `identifiers` | VerifyIdentifierLink, ResolveIdentifier |
//! | `credential` | VerifyCredential |
//! | `household` | VerifyHousehold |
//! | `receipts` | VerifyReceipt, and the receipts of Verify |

mod claims;
mod credential;
mod household;
mod identifiers;
mod receipts;
mod stream;

use std::sync::Arc;

use futures::stream::BoxStream;
use tonic::{Request, Response, Status, Streaming};

use super::lookup::Lookup;
use super::{Shared, observe};
use crate::proto::registry::verification_server::Verification;
use crate::proto::registry::{
    BatchVerifyRequest, BatchVerifyResponse, ResolveIdentifierRequest, ResolveIdentifierResponse,
    VerifyCredentialRequest, VerifyCredentialResponse, VerifyHouseholdRequest, VerifyHouseholdResponse,
    VerifyIdentifierLinkRequest, VerifyIdentifierLinkResponse, VerifyReceiptRequest, VerifyReceiptResponse,
    VerifyRequest, VerifyResponse, VerifyStreamRequest, VerifyStreamResponse,
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
        let serve = |call: Arc<Lookup>, asked| async move { claims::verify(&call, asked).await };
        let (unsealed, position) = self.shared.lookup_placed("Verification/Verify", request, serve).await?;
        unsealed.sealed(position).map(Response::new)
    }

    async fn batch_verify(
        &self,
        request: Request<BatchVerifyRequest>,
    ) -> Result<Response<BatchVerifyResponse>, Status> {
        let serve = |call: Arc<Lookup>, asked| async move { claims::batch_verify(&call, asked).await };
        self.shared.lookup("Verification/BatchVerify", request, serve).await
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
        let serve = |call: Arc<Lookup>, asked| async move { identifiers::link(&call, asked).await };
        self.shared.lookup("Verification/VerifyIdentifierLink", request, serve).await
    }

    async fn resolve_identifier(
        &self,
        request: Request<ResolveIdentifierRequest>,
    ) -> Result<Response<ResolveIdentifierResponse>, Status> {
        let serve = |call: Arc<Lookup>, asked| async move { identifiers::resolve(&call, asked).await };
        self.shared.lookup("Verification/ResolveIdentifier", request, serve).await
    }

    async fn verify_credential(
        &self,
        request: Request<VerifyCredentialRequest>,
    ) -> Result<Response<VerifyCredentialResponse>, Status> {
        let serve = |call: Arc<Lookup>, asked| async move { credential::verify(&call, asked).await };
        self.shared.lookup("Verification/VerifyCredential", request, serve).await
    }

    async fn verify_household(
        &self,
        request: Request<VerifyHouseholdRequest>,
    ) -> Result<Response<VerifyHouseholdResponse>, Status> {
        let serve = |call: Arc<Lookup>, asked| async move { household::verify(&call, asked).await };
        self.shared.lookup("Verification/VerifyHousehold", request, serve).await
    }

    async fn verify_receipt(
        &self,
        request: Request<VerifyReceiptRequest>,
    ) -> Result<Response<VerifyReceiptResponse>, Status> {
        // Nothing of anybody is read; that somebody shows a forgery is worth a record all the same.
        let serve = |call: Arc<Lookup>, asked: VerifyReceiptRequest| async move {
            let answer = receipts::verify(&call, &asked.receipt).await?;
            call.trail().came_to(answer.verdict().as_str_name());
            Ok(answer)
        };
        self.shared.lookup("Verification/VerifyReceipt", request, serve).await
    }
}
