//! Calls about papers and cards, and about the account for electronic identification.

use super::retry::Kind;
use super::{Client, ClientError};
use crate::proto::registry::credentials_client::CredentialsClient;
use crate::proto::registry::eid_account_client::EidAccountClient;
use crate::proto::registry::{
    Credential, CredentialKey, CredentialStatusRequest, EidLevel, IssueCredentialRequest, LockEidRequest,
    PartialDate, PersonKey, ReadCredentialsRequest, ReadCredentialsResponse, ReadEidRequest, ReadEidResponse,
    ReadOptions, RequestContext, SetEidLevelRequest, UnlockEidRequest, UpdateCredentialRequest,
    WriteResponse,
};

/// Papers and cards.
impl Client {
    /// Adds a credential to a person.
    ///
    /// # Errors
    /// `IDENTIFIER_TAKEN` when type and number are in use, `PERSON_NOT_FOUND`, `PERSON_INACTIVE`, any reason of
    /// `INVALID_ARGUMENT`, or an unknown outcome.
    pub async fn issue_credential(
        &self,
        context: RequestContext,
        key: PersonKey,
        credential: Credential,
    ) -> Result<WriteResponse, ClientError> {
        let (context, key, credential) = (Some(context), Some(key), Some(credential));
        let request = IssueCredentialRequest { context, key, credential };
        self.call(Kind::Write, request, send!(self, CredentialsClient.issue_credential)).await
    }

    /// Replaces what a credential says, but for its status.
    ///
    /// # Errors
    /// `CREDENTIAL_NOT_FOUND`, any reason of `INVALID_ARGUMENT`, or an unknown outcome.
    pub async fn update_credential(
        &self,
        context: RequestContext,
        credential: Credential,
    ) -> Result<WriteResponse, ClientError> {
        let request = UpdateCredentialRequest { context: Some(context), credential: Some(credential) };
        self.call(Kind::Write, request, send!(self, CredentialsClient.update_credential)).await
    }

    /// Puts a credential out of force for a time.
    ///
    /// # Errors
    /// `CREDENTIAL_NOT_FOUND`, `EVENT_CONFLICT` when it was revoked, any reason of `INVALID_ARGUMENT`, or an unknown
    /// outcome.
    pub async fn suspend_credential(
        &self,
        context: RequestContext,
        credential: CredentialKey,
        since: PartialDate,
    ) -> Result<WriteResponse, ClientError> {
        let request = status_request(context, credential, since);
        self.call(Kind::Write, request, send!(self, CredentialsClient.suspend_credential)).await
    }

    /// Puts a suspended credential into force again.
    ///
    /// # Errors
    /// As [`Client::suspend_credential`].
    pub async fn unsuspend_credential(
        &self,
        context: RequestContext,
        credential: CredentialKey,
        since: PartialDate,
    ) -> Result<WriteResponse, ClientError> {
        let request = status_request(context, credential, since);
        self.call(Kind::Write, request, send!(self, CredentialsClient.unsuspend_credential)).await
    }

    /// Puts a credential out of force for good.
    ///
    /// # Errors
    /// As [`Client::suspend_credential`].
    pub async fn revoke_credential(
        &self,
        context: RequestContext,
        credential: CredentialKey,
        since: PartialDate,
    ) -> Result<WriteResponse, ClientError> {
        let request = status_request(context, credential, since);
        self.call(Kind::Write, request, send!(self, CredentialsClient.revoke_credential)).await
    }

    /// Lists the credentials of a person.
    ///
    /// # Errors
    /// As [`Client::read`].
    pub async fn credentials(
        &self,
        key: PersonKey,
        options: ReadOptions,
    ) -> Result<ReadCredentialsResponse, ClientError> {
        let request =
            ReadCredentialsRequest { context: Some(self.context()), key: Some(key), options: Some(options) };
        self.call(Kind::Read, request, send!(self, CredentialsClient.read_credentials)).await
    }
}

fn status_request(
    context: RequestContext,
    credential: CredentialKey,
    since: PartialDate,
) -> CredentialStatusRequest {
    CredentialStatusRequest { context: Some(context), credential: Some(credential), since: Some(since) }
}

/// The account for electronic identification.
impl Client {
    /// Opens the account or changes its level; the age is counted at `on`.
    ///
    /// # Errors
    /// `EID_LOCKED`, `EVENT_CONFLICT` for level 2 under six years of age, `PERSON_INACTIVE`, `PERSON_NOT_FOUND`, any
    /// reason of `INVALID_ARGUMENT`, or an unknown outcome.
    pub async fn set_eid_level(
        &self,
        context: RequestContext,
        key: PersonKey,
        level: EidLevel,
        on: PartialDate,
    ) -> Result<WriteResponse, ClientError> {
        let (context, key) = (Some(context), Some(key));
        let request = SetEidLevelRequest { context, key, level: level.into(), on: Some(on) };
        self.call(Kind::Write, request, send!(self, EidAccountClient.set_eid_level)).await
    }

    /// Locks the account.
    ///
    /// # Errors
    /// `CREDENTIAL_NOT_FOUND` when there is none, `PERSON_NOT_FOUND`, any reason of `INVALID_ARGUMENT`, or an unknown
    /// outcome.
    pub async fn lock_eid(
        &self,
        context: RequestContext,
        key: PersonKey,
        reason: String,
    ) -> Result<WriteResponse, ClientError> {
        let request = LockEidRequest { context: Some(context), key: Some(key), reason };
        self.call(Kind::Write, request, send!(self, EidAccountClient.lock_eid)).await
    }

    /// Unlocks the account.
    ///
    /// # Errors
    /// As [`Client::lock_eid`], and `PERSON_INACTIVE` when the person is not alive.
    pub async fn unlock_eid(
        &self,
        context: RequestContext,
        key: PersonKey,
    ) -> Result<WriteResponse, ClientError> {
        let request = UnlockEidRequest { context: Some(context), key: Some(key) };
        self.call(Kind::Write, request, send!(self, EidAccountClient.unlock_eid)).await
    }

    /// Reads the account, locked or not.
    ///
    /// # Errors
    /// `CREDENTIAL_NOT_FOUND` when there is none; as [`Client::read`].
    pub async fn eid(&self, key: PersonKey, options: ReadOptions) -> Result<ReadEidResponse, ClientError> {
        let request =
            ReadEidRequest { context: Some(self.context()), key: Some(key), options: Some(options) };
        self.call(Kind::Read, request, send!(self, EidAccountClient.read_eid)).await
    }

    /// Asks whether the account may be used.
    ///
    /// # Errors
    /// `EID_LOCKED` when it is locked; as [`Client::eid`].
    pub async fn use_eid(
        &self,
        key: PersonKey,
        options: ReadOptions,
    ) -> Result<ReadEidResponse, ClientError> {
        let request =
            ReadEidRequest { context: Some(self.context()), key: Some(key), options: Some(options) };
        self.call(Kind::Read, request, send!(self, EidAccountClient.use_eid)).await
    }
}
