//! Calls about who may ask what, for operators; and the explanation of that, for agencies too.
//!
//! A policy is put whole under its name, so that putting it again changes nothing: these calls are repeated like reads.

use super::retry::Kind;
use super::{Client, ClientError};
use crate::proto::registry::policy_client::PolicyClient;
use crate::proto::registry::{
    AccessPolicy, Agency, ExplainRequest, ExplainResponse, Procedure, PutAgencyRequest, PutPolicyRequest,
    PutPolicyResponse, PutProcedureRequest, ReadPoliciesRequest, ReadPoliciesResponse, SuspendAgencyRequest,
};

impl Client {
    /// Licenses an agency, or changes its licence.
    ///
    /// # Errors
    /// `FIELD_INVALID` with what is wrong with it; `METHOD_NOT_PERMITTED` for who may not administer.
    pub async fn put_agency(&self, agency: Agency) -> Result<PutPolicyResponse, ClientError> {
        let request = PutAgencyRequest { agency: Some(agency) };
        self.operate(Kind::Write, request, send!(self, PolicyClient.put_agency)).await
    }

    /// Puts a procedure.
    ///
    /// # Errors
    /// As [`Client::put_agency`].
    pub async fn put_procedure(&self, procedure: Procedure) -> Result<PutPolicyResponse, ClientError> {
        let request = PutProcedureRequest { procedure: Some(procedure) };
        self.operate(Kind::Write, request, send!(self, PolicyClient.put_procedure)).await
    }

    /// Puts a policy.
    ///
    /// # Errors
    /// As [`Client::put_agency`].
    pub async fn put_policy(&self, policy: AccessPolicy) -> Result<PutPolicyResponse, ClientError> {
        let request = PutPolicyRequest { policy: Some(policy) };
        self.operate(Kind::Write, request, send!(self, PolicyClient.put_policy)).await
    }

    /// Suspends an agency, or ends that.
    ///
    /// # Errors
    /// As [`Client::put_agency`].
    pub async fn suspend_agency(
        &self,
        request: SuspendAgencyRequest,
    ) -> Result<PutPolicyResponse, ClientError> {
        self.operate(Kind::Write, request, send!(self, PolicyClient.suspend_agency)).await
    }

    /// Reads all agencies, procedures and policies.
    ///
    /// # Errors
    /// `METHOD_NOT_PERMITTED` for who is no operator; when no endpoint answers within the deadline.
    pub async fn read_policies(&self) -> Result<ReadPoliciesResponse, ClientError> {
        self.operate(Kind::Read, ReadPoliciesRequest {}, send!(self, PolicyClient.read_policies)).await
    }

    /// Says whether a call of this client's own agency would pass and why.
    ///
    /// # Errors
    /// `AGENCY_MISMATCH` when the context names another one; when no endpoint answers within the deadline.
    pub async fn explain(&self, request: ExplainRequest) -> Result<ExplainResponse, ClientError> {
        self.call(Kind::Read, request, send!(self, PolicyClient.explain)).await
    }

    /// The same of any agency, which the context names: for operators.
    ///
    /// # Errors
    /// When no endpoint answers within the deadline.
    pub async fn explain_of(&self, request: ExplainRequest) -> Result<ExplainResponse, ClientError> {
        self.operate(Kind::Read, request, send!(self, PolicyClient.explain)).await
    }
}
