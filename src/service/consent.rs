//! Consent: what people agreed to, recorded, ended and shown. Whether one holds for a call is `domain::policy`.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::call::Call;
use super::lookup::Lookup;
use super::read::valid_key;
use super::{Shared, status, write};
use crate::audit::now_ms;
use crate::domain::error::rejection;
use crate::domain::policy;
use crate::proto::registry::consent_server::Consent;
use crate::proto::registry::{
    CheckConsentRequest, ConsentRecord, ConsentResponse, ErrorReason, GrantConsentRequest,
    ListConsentsRequest, ListConsentsResponse, Operation, RequestContext, WithdrawConsentRequest,
};
use crate::proto::store::{Command, GrantConsent, Reply, command::Op, reply};

/// The service.
pub(super) struct Consents {
    shared: Arc<Shared>,
}

impl Consents {
    /// The service of this node.
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

#[tonic::async_trait]
impl Consent for Consents {
    async fn grant(
        &self,
        request: Request<GrantConsentRequest>,
    ) -> Result<Response<ConsentResponse>, Status> {
        let call = self.shared.admit(&request)?;
        let GrantConsentRequest { context, key, consent } = request.into_inner();
        let context = write::writer(&call, context)?;
        let key = valid_key(key, "key")?;
        let consent = status::required(consent, "consent")?;
        policy::check::consent(&consent).map_err(|rejection| status::rejected(&rejection))?;
        let grant = GrantConsent { key: Some(key), consent: Some(consent) };
        change(&call, context, Op::GrantConsent(grant)).await.map(Response::new)
    }

    async fn withdraw(
        &self,
        request: Request<WithdrawConsentRequest>,
    ) -> Result<Response<ConsentResponse>, Status> {
        let call = self.shared.admit(&request)?;
        let WithdrawConsentRequest { context, consent_id } = request.into_inner();
        let context = write::writer(&call, context)?;
        valid_id(&consent_id)?;
        change(&call, context, Op::WithdrawConsent(consent_id)).await.map(Response::new)
    }

    async fn check(
        &self,
        request: Request<CheckConsentRequest>,
    ) -> Result<Response<ConsentResponse>, Status> {
        let serve = |call: Arc<Lookup>, asked| async move { checked(&call, asked).await };
        self.shared.lookup("Consent/Check", request, serve).await
    }

    async fn list(
        &self,
        request: Request<ListConsentsRequest>,
    ) -> Result<Response<ListConsentsResponse>, Status> {
        let serve = |call: Arc<Lookup>, asked| async move { listed(&call, asked).await };
        self.shared.lookup("Consent/List", request, serve).await
    }
}

fn valid_id(id: &str) -> Result<(), Status> {
    policy::check::consent_id(id, "consent_id").map_err(|rejection| status::rejected(&rejection))
}

async fn change(call: &Call, context: RequestContext, op: Op) -> Result<ConsentResponse, Status> {
    let command = Command { context: Some(context), op: Some(op), ..Command::default() };
    let Reply { reply, revision } = call.write(command, 1).await?;
    match reply {
        Some(reply::Reply::Consent(consent)) => Ok(ConsentResponse {
            meta: Some(call.meta_of_write(revision, 0)),
            in_force: policy::in_force(&consent, now_ms()),
            consent: Some(consent),
        }),
        Some(reply::Reply::Rejected(rejection)) => Err(status::rejected_at(&rejection, revision)),
        _ => Err(status::broken("the reply to a change of a consent is of another kind")),
    }
}

async fn checked(call: &Lookup, request: CheckConsentRequest) -> Result<ConsentResponse, Status> {
    call.identify_reader(request.context.as_ref())?;
    valid_id(&request.consent_id)?;
    let view = call.read(None, |_| Ok(())).await?;
    let licence = view.licence();
    let may_see = |consent: &ConsentRecord| match licence.agency() {
        Some(agency) => {
            consent.agency_id == agency.agency_id || licence.may(Operation::GrantConsent, "").is_ok()
        }
        None => true,
    };
    let Some(consent) = view.consent(&request.consent_id)?.filter(may_see) else {
        let detail = "there is no such consent that this agency may see";
        let unknown = rejection(ErrorReason::ConsentUnknown, "consent_id", detail);
        return Err(status::rejected_at(&unknown, view.revision()));
    };
    view.shows(consent.person_uid);
    let in_force = policy::in_force(&consent, now_ms());
    Ok(ConsentResponse { meta: Some(call.meta_of_read(&view, 0)), consent: Some(consent), in_force })
}

async fn listed(call: &Lookup, request: ListConsentsRequest) -> Result<ListConsentsResponse, Status> {
    call.identify_reader(request.context.as_ref())?;
    let key = valid_key(request.key, "key")?;
    let view = call.read(None, |licence| licence.may(Operation::GrantConsent, "")).await?;
    let person = view.only(&key, "key")?.person;
    let consents = view.consents_of(person.uid)?;
    let answer =
        ListConsentsResponse { meta: Some(call.meta_of_read(&view, person.record_revision)), consents };
    call.sendable(answer, "key")
}
