//! Calls about what people agreed to.

use super::retry::Kind;
use super::{Client, ClientError};
use crate::proto::registry::consent_client::ConsentClient;
use crate::proto::registry::{
    CheckConsentRequest, ConsentRecord, ConsentResponse, GrantConsentRequest, ListConsentsRequest, PersonKey,
    RequestContext, WithdrawConsentRequest,
};

impl Client {
    /// Records a consent of a person.
    ///
    /// # Errors
    /// `OPERATION_NOT_PERMITTED`, `PERSON_NOT_FOUND`, any reason of `INVALID_ARGUMENT`, or an unknown outcome.
    pub async fn grant_consent(
        &self,
        context: RequestContext,
        key: PersonKey,
        consent: ConsentRecord,
    ) -> Result<ConsentResponse, ClientError> {
        let request = GrantConsentRequest { context: Some(context), key: Some(key), consent: Some(consent) };
        self.call(Kind::Write, request, send!(self, ConsentClient.grant)).await
    }

    /// Ends a consent: no node lets anybody rely on it from the answer on.
    ///
    /// # Errors
    /// `CONSENT_UNKNOWN`, or an unknown outcome.
    pub async fn withdraw_consent(
        &self,
        context: RequestContext,
        consent_id: String,
    ) -> Result<ConsentResponse, ClientError> {
        let request = WithdrawConsentRequest { context: Some(context), consent_id };
        self.call(Kind::Write, request, send!(self, ConsentClient.withdraw)).await
    }

    /// Says whether a consent holds.
    ///
    /// # Errors
    /// `CONSENT_UNKNOWN`; when no endpoint answers within the deadline.
    pub async fn check_consent(&self, consent_id: String) -> Result<ConsentResponse, ClientError> {
        let request = CheckConsentRequest { context: Some(self.context()), consent_id };
        self.call(Kind::Read, request, send!(self, ConsentClient.check)).await
    }

    /// All consents of a person.
    ///
    /// # Errors
    /// `OPERATION_NOT_PERMITTED`, `PERSON_NOT_FOUND`; when no endpoint answers within the deadline.
    pub async fn list_consents(&self, key: PersonKey) -> Result<Vec<ConsentRecord>, ClientError> {
        let request = ListConsentsRequest { context: Some(self.context()), key: Some(key) };
        Ok(self.call(Kind::Read, request, send!(self, ConsentClient.list)).await?.consents)
    }
}
