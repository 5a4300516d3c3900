//! Calls for parts of a record, and for households.

use super::retry::Kind;
use super::{Client, ClientError};
use crate::proto::registry::data_access_client::DataAccessClient;
use crate::proto::registry::{
    AttributeSet, ListAttributeSetsRequest, PersonField, PersonKey, ReadAttributeSetRequest,
    ReadAttributeSetResponse, ReadHouseholdRequest, ReadHouseholdResponse, ReadOptions,
    ReadPersonAttributesRequest, ReadPersonAttributesResponse, RequestContext,
};

impl Client {
    /// Reads 1 to 32 fields of a record.
    ///
    /// # Errors
    /// As [`Client::read`].
    pub async fn read_attributes(
        &self,
        key: PersonKey,
        fields: &[PersonField],
        options: ReadOptions,
    ) -> Result<ReadPersonAttributesResponse, ClientError> {
        let request = ReadPersonAttributesRequest {
            context: Some(self.context()),
            key: Some(key),
            fields: fields.iter().map(|field| *field as i32).collect(),
            options: Some(options),
        };
        self.call(Kind::Read, request, send!(self, DataAccessClient.read_person_attributes)).await
    }

    /// Reads the fields that an administrative procedure is entitled to.
    ///
    /// # Errors
    /// `PROCEDURE_UNKNOWN` when it has no attribute set; as [`Client::read`].
    pub async fn read_attribute_set(
        &self,
        key: PersonKey,
        procedure_code: String,
        options: ReadOptions,
    ) -> Result<ReadAttributeSetResponse, ClientError> {
        let context = RequestContext { procedure_code, ..self.context() };
        let request =
            ReadAttributeSetRequest { context: Some(context), key: Some(key), options: Some(options) };
        self.call(Kind::Read, request, send!(self, DataAccessClient.read_attribute_set)).await
    }

    /// Lists the procedures and their fields.
    ///
    /// # Errors
    /// Only when no endpoint answers within the deadline.
    pub async fn attribute_sets(&self) -> Result<Vec<AttributeSet>, ClientError> {
        let request = ListAttributeSetsRequest {};
        Ok(self.call(Kind::Read, request, send!(self, DataAccessClient.list_attribute_sets)).await?.sets)
    }

    /// Reads the household that a person belongs to, all of it at one revision.
    ///
    /// # Errors
    /// As [`Client::read`]; a person who belongs to none has an empty one.
    pub async fn household(
        &self,
        key: PersonKey,
        options: ReadOptions,
    ) -> Result<ReadHouseholdResponse, ClientError> {
        let request =
            ReadHouseholdRequest { context: Some(self.context()), key: Some(key), options: Some(options) };
        self.call(Kind::Read, request, send!(self, DataAccessClient.read_household)).await
    }
}
