//! The scripted server: one [`Act`] a call, and success when the script is over.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

use crate::proto::registry::population_registry_server::{PopulationRegistry, PopulationRegistryServer};
use crate::proto::registry::verification_server::{Verification, VerificationServer};
use crate::proto::registry::verify_stream_response::Result as Answer;
use crate::proto::registry::*;

/// What the server does with a call.
#[derive(Clone)]
pub(super) enum Act {
    /// Answers with this status.
    Fail(Status),
    /// Answers nothing until the caller gives up.
    Hang,
    /// Streams: answers this many messages, then breaks the stream.
    BreakAfter(usize),
    /// Streams of verifications: answers the message at this position, from 0, with this error.
    ErrorAt(usize, StreamError),
}

/// A scripted server.
#[derive(Clone, Default)]
pub(super) struct Fake {
    script: Arc<Mutex<VecDeque<Act>>>,
    /// Request ids of calls, numbers of the messages of streams, in the order they came.
    seen: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    /// Serves on a free port; returns the address.
    pub async fn start(acts: impl IntoIterator<Item = Act>) -> (Self, String) {
        let fake = Self { script: Arc::new(Mutex::new(acts.into_iter().collect())), ..Self::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let services = Server::builder()
            .add_service(PopulationRegistryServer::new(fake.clone()))
            .add_service(VerificationServer::new(fake.clone()));
        tokio::spawn(services.serve_with_incoming(TcpIncoming::from(listener)));
        (fake, address)
    }

    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    fn next_act(&self) -> Option<Act> {
        self.script.lock().unwrap().pop_front()
    }

    async fn act(&self, context: Option<RequestContext>) -> Result<(), Status> {
        self.seen.lock().unwrap().push(context.unwrap_or_default().request_id);
        match self.next_act() {
            Some(Act::Fail(status)) => Err(status),
            Some(Act::Hang) => std::future::pending().await,
            Some(Act::BreakAfter(_) | Act::ErrorAt(..)) | None => Ok(()),
        }
    }
}

#[tonic::async_trait]
impl PopulationRegistry for Fake {
    async fn create_person(
        &self,
        request: Request<CreatePersonRequest>,
    ) -> Result<Response<WriteResponse>, Status> {
        self.act(request.into_inner().context).await?;
        Ok(Response::new(WriteResponse::default()))
    }

    async fn read_person(
        &self,
        request: Request<ReadPersonRequest>,
    ) -> Result<Response<ReadPersonResponse>, Status> {
        self.act(request.into_inner().context).await?;
        Ok(Response::new(ReadPersonResponse::default()))
    }

    type ImportStream = BoxStream<'static, Result<ImportResponse, Status>>;

    async fn import(
        &self,
        request: Request<Streaming<ImportRequest>>,
    ) -> Result<Response<Self::ImportStream>, Status> {
        let left = match self.next_act() {
            Some(Act::Fail(status)) => return Err(status),
            Some(Act::Hang) => std::future::pending().await,
            Some(Act::BreakAfter(chunks)) => chunks,
            Some(Act::ErrorAt(..)) | None => usize::MAX,
        };
        let state = (request.into_inner(), self.clone(), left);
        let answers = stream::unfold(state, |(mut chunks, fake, left)| async move {
            let chunk = chunks.message().await.ok()??;
            fake.seen.lock().unwrap().push(format!("{}/{}", chunk.context?.request_id, chunk.chunk));
            if left == 0 {
                return Some((Err(Status::unavailable("broken by the script")), (chunks, fake, 0)));
            }
            let created = u32::try_from(chunk.persons.len()).unwrap();
            let answer = ImportResponse { chunk: chunk.chunk, created, ..ImportResponse::default() };
            Some((Ok(answer), (chunks, fake, left - 1)))
        });
        Ok(Response::new(answers.boxed()))
    }

    async fn update_person(
        &self,
        _: Request<UpdatePersonRequest>,
    ) -> Result<Response<WriteResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn patch_person(&self, _: Request<PatchPersonRequest>) -> Result<Response<WriteResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn commit_batch(
        &self,
        _: Request<CommitBatchRequest>,
    ) -> Result<Response<CommitBatchResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn batch_read_persons(
        &self,
        _: Request<BatchReadPersonsRequest>,
    ) -> Result<Response<BatchReadPersonsResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn read_person_history(
        &self,
        _: Request<ReadPersonHistoryRequest>,
    ) -> Result<Response<ReadPersonHistoryResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn commit_event(&self, _: Request<CommitEventRequest>) -> Result<Response<WriteResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn set_person_status(
        &self,
        _: Request<SetPersonStatusRequest>,
    ) -> Result<Response<WriteResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn merge_persons(
        &self,
        _: Request<MergePersonsRequest>,
    ) -> Result<Response<WriteResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn find_persons(
        &self,
        _: Request<FindPersonsRequest>,
    ) -> Result<Response<FindPersonsResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}

#[tonic::async_trait]
impl Verification for Fake {
    type VerifyStreamStream = BoxStream<'static, Result<VerifyStreamResponse, Status>>;

    async fn verify_stream(
        &self,
        request: Request<Streaming<VerifyStreamRequest>>,
    ) -> Result<Response<Self::VerifyStreamStream>, Status> {
        let (left, mut error) = match self.next_act() {
            Some(Act::Fail(status)) => return Err(status),
            Some(Act::Hang) => std::future::pending().await,
            Some(Act::BreakAfter(messages)) => (messages, None),
            Some(Act::ErrorAt(position, error)) => (usize::MAX, Some((position, error))),
            None => (usize::MAX, None),
        };
        let (fake, mut position) = (self.clone(), 0);
        let answers = request.into_inner().map(move |message| {
            let sequence = message?.sequence;
            fake.seen.lock().unwrap().push(sequence.to_string());
            if position == left {
                return Err(Status::unavailable("broken by the script"));
            }
            let error = error.take_if(|(at, _)| *at == position).map(|(_, error)| error);
            position += 1;
            let result = error.map_or(Answer::Response(VerifyResponse::default()), Answer::Error);
            Ok(VerifyStreamResponse { sequence, result: Some(result) })
        });
        Ok(Response::new(answers.boxed()))
    }

    async fn verify(&self, _: Request<VerifyRequest>) -> Result<Response<VerifyResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn batch_verify(
        &self,
        _: Request<BatchVerifyRequest>,
    ) -> Result<Response<BatchVerifyResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn verify_identifier_link(
        &self,
        _: Request<VerifyIdentifierLinkRequest>,
    ) -> Result<Response<VerifyIdentifierLinkResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn resolve_identifier(
        &self,
        _: Request<ResolveIdentifierRequest>,
    ) -> Result<Response<ResolveIdentifierResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn verify_credential(
        &self,
        _: Request<VerifyCredentialRequest>,
    ) -> Result<Response<VerifyCredentialResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn verify_receipt(
        &self,
        _: Request<VerifyReceiptRequest>,
    ) -> Result<Response<VerifyReceiptResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn verify_household(
        &self,
        _: Request<VerifyHouseholdRequest>,
    ) -> Result<Response<VerifyHouseholdResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}
