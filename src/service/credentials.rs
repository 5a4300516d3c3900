//! Credentials and EidAccount: what a person was issued, and the account for electronic identification. Writes become
//! one command each; what may follow what is decided by `domain::command`.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::call::Call;
use super::lookup::Lookup;
use super::read::valid_key;
use super::{Shared, status, write};
use crate::domain::error::rejection;
use crate::domain::policy::Licence;
use crate::proto::registry::change_credential::Change;
use crate::proto::registry::credentials_server::Credentials;
use crate::proto::registry::eid_account_server::EidAccount;
use crate::proto::registry::write::Write as Op;
use crate::proto::registry::{
    ChangeCredential, ChangeEid, CredentialStatus, CredentialStatusChange, CredentialStatusRequest, EidLevel,
    EidState, ErrorReason, IssueCredentialRequest, LockEidRequest, PersonField, PersonKey,
    ReadCredentialsRequest, ReadCredentialsResponse, ReadEidRequest, ReadEidResponse, RequestContext,
    SetEidLevelRequest, UnlockEidRequest, UpdateCredentialRequest, WriteResponse,
};

/// Both services.
#[derive(Clone)]
pub(super) struct Issued {
    shared: Arc<Shared>,
}

impl Issued {
    /// The services of this node.
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Gives a credential another status.
    async fn set_status(
        &self,
        request: Request<CredentialStatusRequest>,
        to: CredentialStatus,
    ) -> Result<Response<WriteResponse>, Status> {
        let call = self.shared.admit(&request)?;
        let CredentialStatusRequest { context, credential, since } = request.into_inner();
        let context = write::writer(&call, context)?;
        let credential = status::required(credential, "credential")?;
        let since = status::required(since, "since")?;
        let change =
            CredentialStatusChange { credential: Some(credential), status: to.into(), since: Some(since) };
        change_credential(&call, context, None, Change::Status(change)).await.map(Response::new)
    }
}

#[tonic::async_trait]
impl Credentials for Issued {
    async fn issue_credential(
        &self,
        request: Request<IssueCredentialRequest>,
    ) -> Result<Response<WriteResponse>, Status> {
        let call = self.shared.admit(&request)?;
        let IssueCredentialRequest { context, key, credential } = request.into_inner();
        let context = write::writer(&call, context)?;
        let key = valid_key(key, "key")?;
        let credential = status::required(credential, "credential")?;
        change_credential(&call, context, Some(key), Change::Issue(credential)).await.map(Response::new)
    }

    async fn update_credential(
        &self,
        request: Request<UpdateCredentialRequest>,
    ) -> Result<Response<WriteResponse>, Status> {
        let call = self.shared.admit(&request)?;
        let UpdateCredentialRequest { context, credential } = request.into_inner();
        let context = write::writer(&call, context)?;
        let credential = status::required(credential, "credential")?;
        change_credential(&call, context, None, Change::Update(credential)).await.map(Response::new)
    }

    async fn suspend_credential(
        &self,
        request: Request<CredentialStatusRequest>,
    ) -> Result<Response<WriteResponse>, Status> {
        self.set_status(request, CredentialStatus::Suspended).await
    }

    async fn unsuspend_credential(
        &self,
        request: Request<CredentialStatusRequest>,
    ) -> Result<Response<WriteResponse>, Status> {
        self.set_status(request, CredentialStatus::Valid).await
    }

    async fn revoke_credential(
        &self,
        request: Request<CredentialStatusRequest>,
    ) -> Result<Response<WriteResponse>, Status> {
        self.set_status(request, CredentialStatus::Revoked).await
    }

    async fn read_credentials(
        &self,
        request: Request<ReadCredentialsRequest>,
    ) -> Result<Response<ReadCredentialsResponse>, Status> {
        let serve = |call: Arc<Lookup>, asked| async move { held(&call, asked).await };
        self.shared.lookup("Credentials/ReadCredentials", request, serve).await
    }
}

#[tonic::async_trait]
impl EidAccount for Issued {
    async fn set_eid_level(
        &self,
        request: Request<SetEidLevelRequest>,
    ) -> Result<Response<WriteResponse>, Status> {
        let call = self.shared.admit(&request)?;
        let SetEidLevelRequest { context, key, level, on } = request.into_inner();
        let context = write::writer(&call, context)?;
        if !EidLevel::try_from(level).is_ok_and(|level| level != EidLevel::Unspecified) {
            return Err(status::invalid("level", "LEVEL_1 or LEVEL_2"));
        }
        let on = status::required(on, "on")?;
        let change = ChangeEid { key, level, on: Some(on), ..ChangeEid::default() };
        write::one(&call, context, Some(Op::Eid(change)), "key").await.map(Response::new)
    }

    async fn lock_eid(&self, request: Request<LockEidRequest>) -> Result<Response<WriteResponse>, Status> {
        let call = self.shared.admit(&request)?;
        let LockEidRequest { context, key, reason } = request.into_inner();
        let context = write::writer(&call, context)?;
        if reason.is_empty() {
            return Err(status::invalid("reason", "1 to 200 characters"));
        }
        let state = EidState::Locked.into();
        let change = ChangeEid { key, state, lock_reason: reason, ..ChangeEid::default() };
        write::one(&call, context, Some(Op::Eid(change)), "key").await.map(Response::new)
    }

    async fn unlock_eid(
        &self,
        request: Request<UnlockEidRequest>,
    ) -> Result<Response<WriteResponse>, Status> {
        let call = self.shared.admit(&request)?;
        let UnlockEidRequest { context, key } = request.into_inner();
        let context = write::writer(&call, context)?;
        let change = ChangeEid { key, state: EidState::Unlocked.into(), ..ChangeEid::default() };
        write::one(&call, context, Some(Op::Eid(change)), "key").await.map(Response::new)
    }

    async fn read_eid(&self, request: Request<ReadEidRequest>) -> Result<Response<ReadEidResponse>, Status> {
        let serve = |call: Arc<Lookup>, asked| async move { account(&call, asked, false).await };
        self.shared.lookup("EidAccount/ReadEid", request, serve).await
    }

    async fn use_eid(&self, request: Request<ReadEidRequest>) -> Result<Response<ReadEidResponse>, Status> {
        let serve = |call: Arc<Lookup>, asked| async move { account(&call, asked, true).await };
        self.shared.lookup("EidAccount/UseEid", request, serve).await
    }
}

async fn change_credential(
    call: &Call,
    context: RequestContext,
    key: Option<PersonKey>,
    change: Change,
) -> Result<WriteResponse, Status> {
    let change = ChangeCredential { key, change: Some(change) };
    write::one(call, context, Some(Op::Credential(change)), "credential").await
}

/// What a person was issued.
async fn held(call: &Lookup, request: ReadCredentialsRequest) -> Result<ReadCredentialsResponse, Status> {
    call.identify_reader(request.context.as_ref())?;
    let key = valid_key(request.key, "key")?;
    let need = |licence: &Licence| licence.may_read(&[PersonField::Credentials], "");
    let view = call.read(request.options.as_ref(), need).await?;
    let person = view.only(&key, "key")?.person;
    call.trail().limited_to(&[PersonField::Credentials]);
    let meta = Some(call.meta_of_read(&view, person.record_revision));
    Ok(ReadCredentialsResponse { meta, credentials: person.credentials })
}

/// The account of a person; one that is to be used must not be locked.
async fn account(call: &Lookup, request: ReadEidRequest, to_use: bool) -> Result<ReadEidResponse, Status> {
    call.identify_reader(request.context.as_ref())?;
    let key = valid_key(request.key, "key")?;
    let need = |licence: &Licence| licence.may_read(&[PersonField::EidAccount], "");
    let view = call.read(request.options.as_ref(), need).await?;
    let person = view.only(&key, "key")?.person;
    call.trail().limited_to(&[PersonField::EidAccount]);
    let refuse =
        |reason, detail: &str| Err(status::rejected_at(&rejection(reason, "key", detail), view.revision()));
    let Some(account) = person.eid_account.filter(|account| account.level() != EidLevel::Unspecified) else {
        let detail = "the person has no electronic identity account";
        return refuse(ErrorReason::CredentialNotFound, detail);
    };
    if to_use && account.state() == EidState::Locked {
        return refuse(ErrorReason::EidLocked, "the electronic identity account is locked");
    }
    let meta = Some(call.meta_of_read(&view, person.record_revision));
    Ok(ReadEidResponse { meta, account: Some(account) })
}
