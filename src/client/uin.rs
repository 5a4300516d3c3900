//! Calls about personal ids: made, cancelled, made anew, checked.

use super::retry::Kind;
use super::{Client, ClientError};
use crate::proto::registry::uin_management_client::UinManagementClient;
use crate::proto::registry::{
    AssignPersonalId, CancelPersonalId, CancelUinRequest, CheckUinStructureRequest,
    CheckUinStructureResponse, GenerateUinRequest, NewPersonalId, PersonKey, ReissueUinRequest,
    RequestContext, WriteResponse,
};

impl Client {
    /// Gives a personal id to a person who has none; the answer holds it. `place_code` is that of the place of birth
    /// registration, 3 digits.
    ///
    /// # Errors
    /// `EVENT_CONFLICT` when there is one, `ID_SPACE_EXHAUSTED`, `PERSON_INACTIVE`, `PERSON_NOT_FOUND`, any reason of
    /// `INVALID_ARGUMENT`, or an unknown outcome.
    pub async fn generate_uin(
        &self,
        context: RequestContext,
        key: PersonKey,
        place_code: String,
    ) -> Result<WriteResponse, ClientError> {
        let assign = Some(assign(key, place_code, false));
        let request = GenerateUinRequest { context: Some(context), assign };
        self.call(Kind::Write, request, send!(self, UinManagementClient.generate_uin)).await
    }

    /// Cancels a person's active id, if there is one, and gives a new one; the answer holds it.
    ///
    /// # Errors
    /// As [`Client::generate_uin`].
    pub async fn reissue_uin(
        &self,
        context: RequestContext,
        key: PersonKey,
        place_code: String,
    ) -> Result<WriteResponse, ClientError> {
        let assign = Some(assign(key, place_code, true));
        let request = ReissueUinRequest { context: Some(context), assign };
        self.call(Kind::Write, request, send!(self, UinManagementClient.reissue_uin)).await
    }

    /// Cancels an active id. It goes on leading to the person.
    ///
    /// # Errors
    /// `ID_CANCELLED` when it was cancelled before, `PERSON_NOT_FOUND`, any reason of `INVALID_ARGUMENT`, or an unknown
    /// outcome.
    pub async fn cancel_uin(
        &self,
        context: RequestContext,
        personal_id: String,
    ) -> Result<WriteResponse, ClientError> {
        let cancel = Some(CancelPersonalId { personal_id });
        let request = CancelUinRequest { context: Some(context), cancel };
        self.call(Kind::Write, request, send!(self, UinManagementClient.cancel_uin)).await
    }

    /// Checks the structure of a number, without asking the register. A wrong structure is an answer, never an error.
    ///
    /// # Errors
    /// Any reason of `INVALID_ARGUMENT` for what the number is checked against, or no answer within the deadline.
    pub async fn check_uin(
        &self,
        request: CheckUinStructureRequest,
    ) -> Result<CheckUinStructureResponse, ClientError> {
        self.call(Kind::Read, request, send!(self, UinManagementClient.check_uin_structure)).await
    }
}

fn assign(key: PersonKey, place_code: String, replace: bool) -> AssignPersonalId {
    AssignPersonalId { key: Some(key), new_personal_id: Some(NewPersonalId { place_code }), replace }
}
