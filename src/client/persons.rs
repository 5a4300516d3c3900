//! Calls about people: writes, reads and searches.

use super::retry::Kind;
use super::{Client, ClientError};
use crate::proto::registry::population_registry_client::PopulationRegistryClient;
use crate::proto::registry::{
    Atomicity, BatchReadPersonsRequest, BatchReadPersonsResponse, CommitBatchRequest, CommitBatchResponse,
    CommitEventRequest, CreatePerson, CreatePersonRequest, Event, FindPersonsRequest, FindPersonsResponse,
    MergePersons, MergePersonsRequest, PatchPerson, PatchPersonRequest, PersonKey, PersonStatus, ReadOptions,
    ReadPersonHistoryRequest, ReadPersonHistoryResponse, ReadPersonRequest, ReadPersonResponse,
    RequestContext, SetPersonStatus, SetPersonStatusRequest, UpdatePerson, UpdatePersonRequest, Write,
    WriteResponse,
};

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

    /// Applies a life event to everybody it concerns, or to nobody.
    ///
    /// # Errors
    /// `EVENT_CONFLICT` when it contradicts what the register holds, `PERSON_INACTIVE`, `PERSON_NOT_FOUND`,
    /// `AMBIGUOUS_KEY`, `IDENTIFIER_TAKEN`, `ID_SPACE_EXHAUSTED`, any reason of `INVALID_ARGUMENT`, or an unknown outcome.
    pub async fn commit_event(
        &self,
        context: RequestContext,
        event: Event,
    ) -> Result<WriteResponse, ClientError> {
        let request = CommitEventRequest { context: Some(context), event: Some(event) };
        self.call(Kind::Write, request, send!(self, PopulationRegistryClient.commit_event)).await
    }

    /// Takes a record out of use or back into it.
    ///
    /// # Errors
    /// `PERSON_NOT_FOUND`, `PERSON_INACTIVE` for a record that was merged, any reason of `INVALID_ARGUMENT`, or an
    /// unknown outcome.
    pub async fn set_status(
        &self,
        context: RequestContext,
        key: PersonKey,
        status: PersonStatus,
    ) -> Result<WriteResponse, ClientError> {
        let set = SetPersonStatus { key: Some(key), status: status.into() };
        let request = SetPersonStatusRequest { context: Some(context), set: Some(set) };
        self.call(Kind::Write, request, send!(self, PopulationRegistryClient.set_person_status)).await
    }

    /// Merges a duplicate into the record that stays.
    ///
    /// # Errors
    /// `PERSON_NOT_FOUND`, `PERSON_INACTIVE`, `EVENT_CONFLICT` when both have a spouse, any reason of
    /// `INVALID_ARGUMENT`, or an unknown outcome.
    pub async fn merge(
        &self,
        context: RequestContext,
        survivor: PersonKey,
        duplicate: PersonKey,
    ) -> Result<WriteResponse, ClientError> {
        let merge = MergePersons { survivor: Some(survivor), duplicate: Some(duplicate) };
        let request = MergePersonsRequest { context: Some(context), merge: Some(merge) };
        self.call(Kind::Write, request, send!(self, PopulationRegistryClient.merge_persons)).await
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

    /// Finds people by name, one page at a time: ask again with the `next_page` of the answer in `page`, and all else
    /// as it was, until it is empty. All pages show one revision.
    ///
    /// # Errors
    /// As [`Client::read`], and `FIELD_INVALID` for a page of another search.
    pub async fn find(&self, request: FindPersonsRequest) -> Result<FindPersonsResponse, ClientError> {
        let request = FindPersonsRequest { context: Some(self.context()), ..request };
        self.call(Kind::Read, request, send!(self, PopulationRegistryClient.find_persons)).await
    }
}
