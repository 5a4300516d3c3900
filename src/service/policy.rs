//! Policy: who may ask what, put by operators and told to whom it concerns. The decision itself is `domain::policy`.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::call::Call;
use super::caller::Caller;
use super::{Shared, observe, status};
use crate::audit::now_ms;
use crate::domain::{policy, validate};
use crate::proto::registry::policy_server::Policy;
use crate::proto::registry::{
    ErrorReason, ExplainRequest, ExplainResponse, LegalBasis, PutAgencyRequest, PutPolicyRequest,
    PutPolicyResponse, PutProcedureRequest, ReadPoliciesRequest, ReadPoliciesResponse, SuspendAgencyRequest,
};
use crate::proto::store::{Command, PutPolicyItem, Reply, command::Op, put_policy_item::Item, reply};
use crate::tls::Holder;

/// The service.
pub(super) struct Policing {
    shared: Arc<Shared>,
}

impl Policing {
    /// The service of this node.
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    async fn put<T>(
        &self,
        request: &Request<T>,
        item: Option<Item>,
        field: &str,
    ) -> Result<Response<PutPolicyResponse>, Status> {
        let call = self.shared.admit(request)?;
        let item = status::required(item, field)?;
        changed(&call, Op::PutPolicy(PutPolicyItem { item: Some(item) })).await.map(Response::new)
    }
}

/// Has a change agreed on. Whoever made it stands in the log of the node.
async fn changed(call: &Call, op: Op) -> Result<PutPolicyResponse, Status> {
    let command = Command { op: Some(op), ..Command::default() };
    let Reply { reply, revision } = call.write(command, 0).await?;
    match reply {
        Some(reply::Reply::PolicyChanged(changed)) => {
            let by = call.caller().name();
            tracing::info!(changed, by, "policies were put");
            Ok(PutPolicyResponse { meta: Some(call.meta_of_write(revision, 0)), changed })
        }
        Some(reply::Reply::Rejected(rejection)) => Err(status::rejected_at(&rejection, revision)),
        _ => Err(status::broken("the reply to a change of policies is of another kind")),
    }
}

#[tonic::async_trait]
impl Policy for Policing {
    async fn put_agency(
        &self,
        request: Request<PutAgencyRequest>,
    ) -> Result<Response<PutPolicyResponse>, Status> {
        let item = request.get_ref().agency.clone().map(Item::Agency);
        self.put(&request, item, "agency").await
    }

    async fn put_procedure(
        &self,
        request: Request<PutProcedureRequest>,
    ) -> Result<Response<PutPolicyResponse>, Status> {
        let item = request.get_ref().procedure.clone().map(Item::Procedure);
        self.put(&request, item, "procedure").await
    }

    async fn put_policy(
        &self,
        request: Request<PutPolicyRequest>,
    ) -> Result<Response<PutPolicyResponse>, Status> {
        let item = request.get_ref().policy.clone().map(Item::Policy);
        self.put(&request, item, "policy").await
    }

    async fn suspend_agency(
        &self,
        request: Request<SuspendAgencyRequest>,
    ) -> Result<Response<PutPolicyResponse>, Status> {
        let call = self.shared.admit(&request)?;
        changed(&call, Op::SuspendAgency(request.into_inner())).await.map(Response::new)
    }

    async fn read_policies(
        &self,
        request: Request<ReadPoliciesRequest>,
    ) -> Result<Response<ReadPoliciesResponse>, Status> {
        let call = self.shared.admit(&request)?;
        let stand = call.policies().await?;
        let policies = stand.policies();
        let answer = ReadPoliciesResponse {
            agencies: policies.agencies().cloned().collect(),
            procedures: policies.procedures(),
            policies: policies.policies().cloned().collect(),
            meta: Some(stand.meta),
        };
        Ok(Response::new(answer))
    }

    async fn explain(&self, request: Request<ExplainRequest>) -> Result<Response<ExplainResponse>, Status> {
        let call = self.shared.admit(&request)?;
        let caller = observe::caller(request.extensions())?;
        explained(&call, &caller, request.into_inner()).await.map(Response::new)
    }
}

async fn explained(call: &Call, caller: &Caller, request: ExplainRequest) -> Result<ExplainResponse, Status> {
    let context = request.context.clone().unwrap_or_default();
    validate::context_for_read(&context).map_err(|rejection| status::rejected(&rejection))?;
    let agency = match caller {
        // Operators ask about any; they say which.
        Caller::Known(Holder::Operator { .. }) => context.agency_id.as_str(),
        _ => caller.agency(&context)?,
    };
    if agency.is_empty() {
        return Err(status::invalid("context.agency_id", "required: whose call is to be explained"));
    }
    let stand = call.policies().await?;
    let consent = match context.legal_basis() {
        LegalBasis::Consent => stand.consent(&context.consent_id)?,
        _ => None,
    };
    let told = policy::explain(stand.policies(), agency, &request, |_| consent, now_ms());
    debug_assert_eq!(told.permitted, told.reason() == ErrorReason::Unspecified);
    Ok(ExplainResponse { meta: Some(stand.meta), ..told })
}
