//! AdminUnits: the lists of administrative units and the way between the editions. What is asked is `domain::units`;
//! nothing of the register is read, so that a node answers whatever its state.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::{Shared, status};
use crate::domain::error::rejection;
use crate::domain::units;
use crate::proto::registry::admin_units_server::AdminUnits;
use crate::proto::registry::{
    ConvertUnitRequest, ConvertUnitResponse, ErrorReason, GetUnitRequest, GetUnitResponse, Unit, UnitEdition,
};

/// The service.
pub(super) struct Units {
    shared: Arc<Shared>,
}

impl Units {
    /// The service of this node. Reads the lists once, so that no request waits for that.
    pub fn new(shared: Arc<Shared>) -> Self {
        tracing::debug!(units = units::all().len(), "the lists of administrative units are read");
        Self { shared }
    }
}

#[tonic::async_trait]
impl AdminUnits for Units {
    async fn get_unit(&self, request: Request<GetUnitRequest>) -> Result<Response<GetUnitResponse>, Status> {
        let _call = self.shared.admit(&request)?;
        let request = request.into_inner();
        let unit = find(&request.code, request.edition)?;
        Ok(Response::new(GetUnitResponse { unit: Some(message(unit)) }))
    }

    async fn convert_unit(
        &self,
        request: Request<ConvertUnitRequest>,
    ) -> Result<Response<ConvertUnitResponse>, Status> {
        let _call = self.shared.admit(&request)?;
        let request = request.into_inner();
        let from = find(&request.code, request.edition)?;
        let to = edition(request.to, "to")?;
        let units = units::convert(from, to).into_iter().map(message).collect();
        Ok(Response::new(ConvertUnitResponse { from: Some(message(from)), units }))
    }
}

/// The unit that a request names.
fn find(code: &str, of: i32) -> Result<&'static units::Unit, Status> {
    let of = edition(of, "edition")?;
    units::find(of, code).ok_or_else(|| {
        let detail = "this edition has no unit with this code; the other one may have";
        status::rejected(&rejection(ErrorReason::UnitUnknown, "code", detail))
    })
}

fn edition(number: i32, field: &str) -> Result<UnitEdition, Status> {
    match UnitEdition::try_from(number) {
        Ok(edition @ (UnitEdition::V63 | UnitEdition::V34)) => Ok(edition),
        _ => Err(status::invalid(field, "required: V63 or V34, because a code alone is ambiguous")),
    }
}

fn message(unit: &units::Unit) -> Unit {
    Unit {
        code: unit.code.to_owned(),
        edition: unit.edition.into(),
        name: unit.name.to_owned(),
        parent_code: unit.parent_code.to_owned(),
        province_code: unit.province_code.to_owned(),
        province_name: unit.province_name.to_owned(),
    }
}
