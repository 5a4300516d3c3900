//! Calls that verify: claims, numbers, papers, households. A mismatch is an answer, never an error.

use super::retry::Kind;
use super::{Client, ClientError};
use crate::proto::registry::verification_client::VerificationClient;
use crate::proto::registry::{
    BatchVerifyRequest, BatchVerifyResponse, ReadOptions, ResolveIdentifierRequest,
    ResolveIdentifierResponse, Subject, VerifyCredentialRequest, VerifyCredentialResponse,
    VerifyHouseholdRequest, VerifyHouseholdResponse, VerifyIdentifierLinkRequest,
    VerifyIdentifierLinkResponse, VerifyReceiptRequest, VerifyReceiptResponse, VerifyRequest, VerifyResponse,
};

impl Client {
    /// Checks claims about one person. A mismatch is a verdict, never an error.
    ///
    /// # Errors
    /// As [`Client::read`].
    pub async fn verify(
        &self,
        subject: Subject,
        options: ReadOptions,
    ) -> Result<VerifyResponse, ClientError> {
        let (context, subject, options) = (Some(self.context()), Some(subject), Some(options));
        let request = VerifyRequest { context, subject, options, receipt: false };
        self.call(Kind::Read, request, send!(self, VerificationClient.verify)).await
    }

    /// The same, with a signed receipt of the answer.
    ///
    /// # Errors
    /// As [`Client::read`]; `RECEIPT_UNAVAILABLE` when none of the nodes signs any.
    pub async fn verify_with_receipt(
        &self,
        subject: Subject,
        options: ReadOptions,
    ) -> Result<VerifyResponse, ClientError> {
        let (context, subject, options) = (Some(self.context()), Some(subject), Some(options));
        let request = VerifyRequest { context, subject, options, receipt: true };
        self.call(Kind::Read, request, send!(self, VerificationClient.verify)).await
    }

    /// Asks whether a receipt is genuine: a JWS alone, or with disclosures as "JWS~DISCLOSURE~".
    ///
    /// # Errors
    /// When no node answers; what is no receipt is a verdict.
    pub async fn verify_receipt(&self, receipt: String) -> Result<VerifyReceiptResponse, ClientError> {
        let request = VerifyReceiptRequest { receipt };
        self.call(Kind::Read, request, send!(self, VerificationClient.verify_receipt)).await
    }

    /// Checks claims about 1 to 1,000 people at one revision, in the order of the subjects.
    ///
    /// # Errors
    /// As [`Client::read`]; people that do not exist are results, not errors.
    pub async fn batch_verify(
        &self,
        subjects: Vec<Subject>,
        options: ReadOptions,
    ) -> Result<BatchVerifyResponse, ClientError> {
        let request = BatchVerifyRequest { context: Some(self.context()), subjects, options: Some(options) };
        self.call(Kind::Read, request, send!(self, VerificationClient.batch_verify)).await
    }

    /// Says whether a CMND number and a personal id are one person's.
    ///
    /// # Errors
    /// `ID_STRUCTURE_INVALID` for a malformed number; otherwise as [`Client::read`], but never for a number that is
    /// nobody's.
    pub async fn verify_identifier_link(
        &self,
        old_id_number: String,
        personal_id: String,
        options: ReadOptions,
    ) -> Result<VerifyIdentifierLinkResponse, ClientError> {
        let (context, options) = (Some(self.context()), Some(options));
        let request = VerifyIdentifierLinkRequest { context, old_id_number, personal_id, options };
        self.call(Kind::Read, request, send!(self, VerificationClient.verify_identifier_link)).await
    }

    /// Says what became of a personal id.
    ///
    /// # Errors
    /// `PERSON_NOT_FOUND` when it never was anybody's; as [`Client::read`].
    pub async fn resolve_identifier(
        &self,
        personal_id: String,
        options: ReadOptions,
    ) -> Result<ResolveIdentifierResponse, ClientError> {
        let (context, options) = (Some(self.context()), Some(options));
        let request = ResolveIdentifierRequest { context, personal_id, options };
        self.call(Kind::Read, request, send!(self, VerificationClient.resolve_identifier)).await
    }

    /// Says whether a credential is in force on a day, and whose claims hold. The context of `request` is filled in.
    ///
    /// # Errors
    /// As [`Client::read`], but never for a credential that nobody has: that one is `UNKNOWN`.
    pub async fn verify_credential(
        &self,
        request: VerifyCredentialRequest,
    ) -> Result<VerifyCredentialResponse, ClientError> {
        let request = VerifyCredentialRequest { context: Some(self.context()), ..request };
        self.call(Kind::Read, request, send!(self, VerificationClient.verify_credential)).await
    }

    /// Says whether two people belong to one household, and what they are in it. The context of `request` is filled in.
    ///
    /// # Errors
    /// As [`Client::read`], with `person` or `other` as the field.
    pub async fn verify_household(
        &self,
        request: VerifyHouseholdRequest,
    ) -> Result<VerifyHouseholdResponse, ClientError> {
        let request = VerifyHouseholdRequest { context: Some(self.context()), ..request };
        self.call(Kind::Read, request, send!(self, VerificationClient.verify_household)).await
    }
}
