//! Calls about administrative units. They read nothing of the register.

use super::retry::Kind;
use super::{Client, ClientError};
use crate::proto::registry::admin_units_client::AdminUnitsClient;
use crate::proto::registry::{
    ConvertUnitRequest, ConvertUnitResponse, GetUnitRequest, GetUnitResponse, UnitEdition,
};

impl Client {
    /// Looks up a unit of an edition by its code.
    ///
    /// # Errors
    /// `UNIT_UNKNOWN` when the edition has no such code, `FIELD_INVALID` for an unspecified edition, or no answer within
    /// the deadline.
    pub async fn unit(&self, code: String, edition: UnitEdition) -> Result<GetUnitResponse, ClientError> {
        let request = GetUnitRequest { code, edition: edition.into() };
        self.call(Kind::Read, request, send!(self, AdminUnitsClient.get_unit)).await
    }

    /// Names the units of edition `to` that share ground with a unit.
    ///
    /// # Errors
    /// As [`Client::unit`].
    pub async fn convert_unit(
        &self,
        code: String,
        edition: UnitEdition,
        to: UnitEdition,
    ) -> Result<ConvertUnitResponse, ClientError> {
        let request = ConvertUnitRequest { code, edition: edition.into(), to: to.into() };
        self.call(Kind::Read, request, send!(self, AdminUnitsClient.convert_unit)).await
    }
}
