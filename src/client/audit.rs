//! Calls about the audit trail, over connections with an auditor's certificate: who saw whom, and proofs.

use tonic::Streaming;

use super::retry::Kind;
use super::{Client, ClientError};
use crate::proto::registry::audit_client::AuditClient;
use crate::proto::registry::{
    AccessHistoryRequest, AccessHistoryResponse, Checkpoint, ExportAccessesRequest, ExportAccessesResponse,
    GetCheckpointRequest, PersonKey, ProveConsistencyRequest, ProveConsistencyResponse,
    ProveInclusionRequest, ProveInclusionResponse, QueryAccessesRequest, QueryAccessesResponse, ReadOptions,
    RequestContext,
};

impl Client {
    /// The context of an auditor, who asks in no agency's name; in the clear nobody knows the difference.
    fn auditor(&self) -> RequestContext {
        let mut context = self.context();
        if !self.options.certificates.is_empty() {
            context.agency_id.clear();
        }
        context
    }

    /// The accesses to one person, newest first: a page of them, from behind `page` on. Central nodes know.
    ///
    /// # Errors
    /// `CLUSTER_STATE` at a provincial node; as [`Client::read`].
    pub async fn access_history(
        &self,
        key: PersonKey,
        limit: u32,
        page: bytes::Bytes,
        options: ReadOptions,
    ) -> Result<AccessHistoryResponse, ClientError> {
        let (context, key, options) = (Some(self.auditor()), Some(key), Some(options));
        let request = AccessHistoryRequest { context, key, limit, page, options };
        self.audit(Kind::Read, request, send!(self, AuditClient.access_history)).await
    }

    /// The accesses that fit a description, newest first: a page of them. The context of the question is this client's.
    ///
    /// # Errors
    /// As [`Client::access_history`].
    pub async fn query_accesses(
        &self,
        request: QueryAccessesRequest,
    ) -> Result<QueryAccessesResponse, ClientError> {
        let request = QueryAccessesRequest { context: Some(self.auditor()), ..request };
        self.audit(Kind::Read, request, send!(self, AuditClient.query)).await
    }

    /// The newest checkpoint of a node's log; 0 is the node that answers.
    ///
    /// # Errors
    /// `ACCESS_UNKNOWN` when it has none.
    pub async fn checkpoint(&self, node_id: u64) -> Result<Checkpoint, ClientError> {
        let request = GetCheckpointRequest { context: Some(self.auditor()), node_id };
        let answer = self.audit(Kind::Read, request, send!(self, AuditClient.get_checkpoint)).await?;
        Ok(answer.checkpoint.unwrap_or_default())
    }

    /// A record of a node's log, and the proof that it is in it. The caller checks the proof.
    ///
    /// # Errors
    /// `ACCESS_UNKNOWN` when the node that answers does not have it, or no checkpoint covers it yet.
    pub async fn prove_inclusion(
        &self,
        node_id: u64,
        position: u64,
    ) -> Result<ProveInclusionResponse, ClientError> {
        let request = ProveInclusionRequest { context: Some(self.auditor()), node_id, position };
        self.audit(Kind::Read, request, send!(self, AuditClient.prove_inclusion)).await
    }

    /// The proof that a node's log still begins with what it held at an earlier size. The caller checks the proof.
    ///
    /// # Errors
    /// As [`Client::prove_inclusion`].
    pub async fn prove_consistency(
        &self,
        node_id: u64,
        earlier_size: u64,
    ) -> Result<ProveConsistencyResponse, ClientError> {
        let request = ProveConsistencyRequest { context: Some(self.auditor()), node_id, earlier_size };
        self.audit(Kind::Read, request, send!(self, AuditClient.prove_consistency)).await
    }

    /// A node's log from a position on, part by part, from one node: a stream that breaks is begun anew by the caller.
    ///
    /// # Errors
    /// As [`Client::prove_inclusion`].
    pub async fn export_accesses(
        &self,
        node_id: u64,
        from: u64,
    ) -> Result<Streaming<ExportAccessesResponse>, ClientError> {
        let request = ExportAccessesRequest { context: Some(self.auditor()), node_id, from };
        self.audit(Kind::LongRead, request, send!(self, AuditClient.export)).await
    }
}
