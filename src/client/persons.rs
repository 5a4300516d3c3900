//! Calls about people: writes, reads and verification.

use super::retry::Kind;
use super::{Client, ClientError};
use crate::proto::registry::population_registry_client::PopulationRegistryClient;
use crate::proto::registry::verification_client::VerificationClient;
use crate::proto::registry::{
    Atomicity, BatchReadPersonsRequest, BatchReadPersonsResponse, BatchVerifyRequest, BatchVerifyResponse,
    CommitBatchRequest, CommitBatchResponse, CreatePerson, CreatePersonRequest, PatchPerson,
    PatchPersonRequest, PersonKey, ReadOptions, ReadPersonHistoryRequest, ReadPersonHistoryResponse,
    ReadPersonRequest, ReadPersonResponse, RequestContext, Subject, UpdatePerson, UpdatePersonRequest,
    VerifyRequest, VerifyResponse, Write, WriteResponse,
};

/// Makes the future of one attempt: a stub over the channel, and its method.
macro_rules! send {
    ($self:ident, $stub:ident . $method:ident) => {{
        let limit = $self.options.max_message_bytes;
        move |channel, request| async move {
            let mut stub =
                $stub::new(channel).max_decoding_message_size(limit).max_encoding_message_size(limit);
            stub.$method(request).await
        }
    }};
}

/// Writes. Each takes the context that names it: [`Client::context`] makes a new one; the one of an unknown write
/// repeats that write.
impl Client {
    /// Adds a person.
    ///
    /// # Errors
    /// `IDENTIFIER_TAKEN`, any reason of `INVALID_ARGUMENT`, or an unknown outcome.
    pub async fn create(
        &self,
        context: RequestContext,
        create: CreatePerson,
    ) -> Result<WriteResponse, ClientError> {
        let request = CreatePersonRequest { context: Some(context), create: Some(create) };
        self.call(Kind::Write, request, send!(self, PopulationRegistryClient.create_person)).await
    }

    /// Replaces a whole record.
    ///
    /// # Errors
    /// `PERSON_NOT_FOUND`, `REVISION_CONFLICT` (see [`ClientError::current_record_revision`]), `IDENTIFIER_TAKEN`,
    /// `AMBIGUOUS_KEY`, any reason of `INVALID_ARGUMENT`, or an unknown outcome.
    pub async fn update(
        &self,
        context: RequestContext,
        update: UpdatePerson,
    ) -> Result<WriteResponse, ClientError> {
        let request = UpdatePersonRequest { context: Some(context), update: Some(update) };
        self.call(Kind::Write, request, send!(self, PopulationRegistryClient.update_person)).await
    }

    /// Replaces the fields that the mask names.
    ///
    /// # Errors
    /// As [`Client::update`], and `FIELD_MASK_INVALID`.
    pub async fn patch(
        &self,
        context: RequestContext,
        patch: PatchPerson,
    ) -> Result<WriteResponse, ClientError> {
        let request = PatchPersonRequest { context: Some(context), patch: Some(patch) };
        self.call(Kind::Write, request, send!(self, PopulationRegistryClient.patch_person)).await
    }

    /// Applies several writes at one place of the order. With `Atomicity::Each` the answer is `Ok` even when writes
    /// were rejected: look at each outcome.
    ///
    /// # Errors
    /// All or nothing: the reason of the rejected write. Any reason of `INVALID_ARGUMENT`, or an unknown outcome.
    pub async fn commit_batch(
        &self,
        context: RequestContext,
        writes: Vec<Write>,
        atomicity: Atomicity,
    ) -> Result<CommitBatchResponse, ClientError> {
        let request = CommitBatchRequest { context: Some(context), writes, atomicity: atomicity.into() };
        self.call(Kind::Write, request, send!(self, PopulationRegistryClient.commit_batch)).await
    }
}

/// Reads. `ReadOptions::default()` asks for a linearizable answer.
impl Client {
    /// Reads one person.
    ///
    /// # Errors
    /// `PERSON_NOT_FOUND`, `AMBIGUOUS_KEY`, `REVISION_FUTURE`, `REVISION_COMPACTED`, any reason of
    /// `INVALID_ARGUMENT`, or no answer within the deadline.
    pub async fn read(
        &self,
        key: PersonKey,
        options: ReadOptions,
    ) -> Result<ReadPersonResponse, ClientError> {
        let request =
            ReadPersonRequest { context: Some(self.context()), key: Some(key), options: Some(options) };
        self.call(Kind::Read, request, send!(self, PopulationRegistryClient.read_person)).await
    }

    /// Reads 1 to 1,000 people at one revision, in the order of the keys.
    ///
    /// # Errors
    /// As [`Client::read`]; people that do not exist are results, not errors.
    pub async fn batch_read(
        &self,
        keys: Vec<PersonKey>,
        options: ReadOptions,
    ) -> Result<BatchReadPersonsResponse, ClientError> {
        let request = BatchReadPersonsRequest { context: Some(self.context()), keys, options: Some(options) };
        self.call(Kind::Read, request, send!(self, PopulationRegistryClient.batch_read_persons)).await
    }

    /// Lists versions of one person, newest first: at most `limit` (0 means 100), only those older than
    /// `before_revision` unless that is 0.
    ///
    /// # Errors
    /// As [`Client::read`].
    pub async fn history(
        &self,
        key: PersonKey,
        options: ReadOptions,
        limit: u32,
        before_revision: u64,
    ) -> Result<ReadPersonHistoryResponse, ClientError> {
        let request = ReadPersonHistoryRequest {
            context: Some(self.context()),
            key: Some(key),
            options: Some(options),
            limit,
            before_revision,
        };
        self.call(Kind::Read, request, send!(self, PopulationRegistryClient.read_person_history)).await
    }

    /// Checks claims about one person. A mismatch is a verdict, never an error.
    ///
    /// # Errors
    /// As [`Client::read`].
    pub async fn verify(
        &self,
        subject: Subject,
        options: ReadOptions,
    ) -> Result<VerifyResponse, ClientError> {
        let request =
            VerifyRequest { context: Some(self.context()), subject: Some(subject), options: Some(options) };
        self.call(Kind::Read, request, send!(self, VerificationClient.verify)).await
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
}
