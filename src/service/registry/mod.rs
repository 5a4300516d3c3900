//! PopulationRegistry, an operation or two a file:
//!
//! | file | methods |
//! |---|---|
//! | `super::write` | CreatePerson, UpdatePerson, PatchPerson, CommitEvent, SetPersonStatus, MergePersons: one write, one command |
//! | `batch` | CommitBatch: several writes, one command |
//! | `import` | Import: a stream of chunks, each a command |
//! | `read` | ReadPerson, BatchReadPersons, ReadPersonHistory |
//! | `find`, `page` | FindPersons: a search in pages |

mod batch;
mod find;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod import;
mod page;
mod read;

use std::sync::Arc;

use futures::stream::BoxStream;
use tonic::{Request, Response, Status, Streaming};

pub(super) use self::import::CHUNKS;
use super::lookup::Lookup;
use super::{Shared, observe, write};
use crate::proto::registry::population_registry_server::PopulationRegistry;
use crate::proto::registry::write::Write as Op;
use crate::proto::registry::{
    BatchReadPersonsRequest, BatchReadPersonsResponse, CommitBatchRequest, CommitBatchResponse,
    CommitEventRequest, CreatePersonRequest, FindPersonsRequest, FindPersonsResponse, ImportRequest,
    ImportResponse, MergePersonsRequest, PatchPersonRequest, ReadPersonHistoryRequest,
    ReadPersonHistoryResponse, ReadPersonRequest, ReadPersonResponse, SetPersonStatusRequest,
    UpdatePersonRequest, WriteResponse,
};

/// The service.
pub(super) struct Registry {
    shared: Arc<Shared>,
}

impl Registry {
    /// The service of this node.
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

#[tonic::async_trait]
impl PopulationRegistry for Registry {
    async fn create_person(
        &self,
        request: Request<CreatePersonRequest>,
    ) -> Result<Response<WriteResponse>, Status> {
        let call = self.shared.admit(&request)?;
        let request = request.into_inner();
        let context = write::writer(&call, request.context)?;
        write::one(&call, context, request.create.map(Op::Create), "create").await.map(Response::new)
    }

    async fn update_person(
        &self,
        request: Request<UpdatePersonRequest>,
    ) -> Result<Response<WriteResponse>, Status> {
        let call = self.shared.admit(&request)?;
        let request = request.into_inner();
        let context = write::writer(&call, request.context)?;
        write::one(&call, context, request.update.map(Op::Update), "update").await.map(Response::new)
    }

    async fn patch_person(
        &self,
        request: Request<PatchPersonRequest>,
    ) -> Result<Response<WriteResponse>, Status> {
        let call = self.shared.admit(&request)?;
        let request = request.into_inner();
        let context = write::writer(&call, request.context)?;
        write::one(&call, context, request.patch.map(Op::Patch), "patch").await.map(Response::new)
    }

    async fn commit_batch(
        &self,
        request: Request<CommitBatchRequest>,
    ) -> Result<Response<CommitBatchResponse>, Status> {
        let call = self.shared.admit(&request)?;
        batch::commit(&call, request.into_inner()).await.map(Response::new)
    }

    type ImportStream = BoxStream<'static, Result<ImportResponse, Status>>;

    async fn import(
        &self,
        request: Request<Streaming<ImportRequest>>,
    ) -> Result<Response<Self::ImportStream>, Status> {
        let caller = observe::caller(request.extensions())?;
        Ok(Response::new(import::answers(self.shared.clone(), caller, request.into_inner())))
    }

    async fn read_person(
        &self,
        request: Request<ReadPersonRequest>,
    ) -> Result<Response<ReadPersonResponse>, Status> {
        let serve = |call: Arc<Lookup>, asked| async move { read::one(&call, asked).await };
        self.shared.lookup("PopulationRegistry/ReadPerson", request, serve).await
    }

    async fn batch_read_persons(
        &self,
        request: Request<BatchReadPersonsRequest>,
    ) -> Result<Response<BatchReadPersonsResponse>, Status> {
        let serve = |call: Arc<Lookup>, asked| async move { read::batch(&call, asked).await };
        self.shared.lookup("PopulationRegistry/BatchReadPersons", request, serve).await
    }

    async fn read_person_history(
        &self,
        request: Request<ReadPersonHistoryRequest>,
    ) -> Result<Response<ReadPersonHistoryResponse>, Status> {
        let serve = |call: Arc<Lookup>, asked| async move { read::history(&call, asked).await };
        self.shared.lookup("PopulationRegistry/ReadPersonHistory", request, serve).await
    }

    async fn find_persons(
        &self,
        request: Request<FindPersonsRequest>,
    ) -> Result<Response<FindPersonsResponse>, Status> {
        let serve = |call: Arc<Lookup>, asked| async move { find::find(&call, asked).await };
        self.shared.lookup("PopulationRegistry/FindPersons", request, serve).await
    }

    async fn commit_event(
        &self,
        request: Request<CommitEventRequest>,
    ) -> Result<Response<WriteResponse>, Status> {
        let call = self.shared.admit(&request)?;
        let request = request.into_inner();
        let context = write::writer(&call, request.context)?;
        write::one(&call, context, request.event.map(Op::Event), "event").await.map(Response::new)
    }

    async fn set_person_status(
        &self,
        request: Request<SetPersonStatusRequest>,
    ) -> Result<Response<WriteResponse>, Status> {
        let call = self.shared.admit(&request)?;
        let request = request.into_inner();
        let context = write::writer(&call, request.context)?;
        write::one(&call, context, request.set.map(Op::SetStatus), "set").await.map(Response::new)
    }

    async fn merge_persons(
        &self,
        request: Request<MergePersonsRequest>,
    ) -> Result<Response<WriteResponse>, Status> {
        let call = self.shared.admit(&request)?;
        let request = request.into_inner();
        let context = write::writer(&call, request.context)?;
        write::one(&call, context, request.merge.map(Op::Merge), "merge").await.map(Response::new)
    }
}
