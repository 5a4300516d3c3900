//! UinManagement: personal ids made, cancelled and made anew, and their structure. The random part of a new number
//! comes with the command, from the leader; which numbers are free is decided alike on every node.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::{Shared, status, write};
use crate::domain::date;
use crate::domain::error::rejection;
use crate::domain::identifier::{PersonalId, check_structure};
use crate::domain::units;
use crate::proto::registry::uin_management_server::UinManagement;
use crate::proto::registry::write::Write as Op;
use crate::proto::registry::{
    AssignPersonalId, CancelUinRequest, CheckUinStructureRequest, CheckUinStructureResponse, ErrorReason,
    Gender, GenerateUinRequest, ReissueUinRequest, UnitEdition, WriteResponse,
};

/// The service.
pub(super) struct Uin {
    shared: Arc<Shared>,
}

impl Uin {
    /// The service of this node.
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

#[tonic::async_trait]
impl UinManagement for Uin {
    async fn generate_uin(
        &self,
        request: Request<GenerateUinRequest>,
    ) -> Result<Response<WriteResponse>, Status> {
        let call = self.shared.admit(&request)?;
        let GenerateUinRequest { context, assign } = request.into_inner();
        let context = write::writer(&call, context)?;
        let assign = assign.map(|assign| Op::AssignPersonalId(AssignPersonalId { replace: false, ..assign }));
        write::one(&call, context, assign, "assign").await.map(Response::new)
    }

    async fn cancel_uin(
        &self,
        request: Request<CancelUinRequest>,
    ) -> Result<Response<WriteResponse>, Status> {
        let call = self.shared.admit(&request)?;
        let CancelUinRequest { context, cancel } = request.into_inner();
        let context = write::writer(&call, context)?;
        write::one(&call, context, cancel.map(Op::CancelPersonalId), "cancel").await.map(Response::new)
    }

    async fn reissue_uin(
        &self,
        request: Request<ReissueUinRequest>,
    ) -> Result<Response<WriteResponse>, Status> {
        let call = self.shared.admit(&request)?;
        let ReissueUinRequest { context, assign } = request.into_inner();
        let context = write::writer(&call, context)?;
        let assign = assign.map(|assign| Op::AssignPersonalId(AssignPersonalId { replace: true, ..assign }));
        write::one(&call, context, assign, "assign").await.map(Response::new)
    }

    async fn check_uin_structure(
        &self,
        request: Request<CheckUinStructureRequest>,
    ) -> Result<Response<CheckUinStructureResponse>, Status> {
        let _call = self.shared.admit(&request)?;
        check(&request.into_inner()).map(Response::new)
    }
}

/// What the digits of a number say, and whether that agrees with what was given.
fn check(request: &CheckUinStructureRequest) -> Result<CheckUinStructureResponse, Status> {
    let Ok(gender) = Gender::try_from(request.gender) else {
        return Err(status::invalid("gender", "not a known gender"));
    };
    let place = request.place_code.as_str();
    let three_digits = place.len() == 3 && place.bytes().all(|byte| byte.is_ascii_digit());
    if !place.is_empty() && !three_digits {
        return Err(status::invalid("place_code", "3 digits, or empty"));
    }
    if let Some(birth) = &request.birth_date {
        date::check(birth)
            .map_err(|detail| status::rejected(&rejection(ErrorReason::DateInvalid, "birth_date", detail)))?;
    }
    let id = match PersonalId::parse(&request.personal_id) {
        Ok(id) => id,
        Err(problem) => {
            let problem = problem.to_owned();
            return Ok(CheckUinStructureResponse { problem, ..CheckUinStructureResponse::default() });
        }
    };
    let place_code = format!("{:03}", id.place());
    let agrees = match &request.birth_date {
        Some(birth) => check_structure(&request.personal_id, birth, gender),
        None if matches!(gender, Gender::Male | Gender::Female) && id.gender() != gender => {
            Err("digit 4 must agree with the gender")
        }
        None => Ok(()),
    };
    let agrees = agrees.and_then(|()| {
        let same_place = place.is_empty() || place == place_code;
        if same_place { Ok(()) } else { Err("digits 1 to 3 must be the code of the place") }
    });
    Ok(CheckUinStructureResponse {
        valid: agrees.is_ok(),
        problem: agrees.err().unwrap_or_default().to_owned(),
        place_name: province(&place_code).to_owned(),
        place_code,
        gender: id.gender().into(),
        birth_year: id.birth_year(),
    })
}

/// The name of a province of before the merger, whose code has a zero before it here; empty for a country and for a code
/// that names none.
fn province(code: &str) -> &'static str {
    let province = code.strip_prefix('0').and_then(|code| units::find(UnitEdition::V63, code));
    province.map_or("", |province| province.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::registry::PartialDate;

    #[test]
    fn what_the_digits_say_and_whether_it_agrees() {
        let born = |year| Some(PartialDate { year, month: 0, day: 0 });
        let request =
            |personal_id: &str, birth_date, gender: Gender, place_code: &str| CheckUinStructureRequest {
                personal_id: personal_id.to_owned(),
                birth_date,
                gender: gender.into(),
                place_code: place_code.to_owned(),
            };
        use Gender::{Female, Male, Unknown, Unspecified};
        #[rustfmt::skip]
        let cases = [
            (request("001190000001", None, Unspecified, ""), ""),
            (request("001190000001", born(1990), Female, "001"), ""),
            (request("001190000001", born(1990), Unknown, ""), ""),
            (request("001190000001", born(2090), Unspecified, ""), "century"),
            (request("001190000001", born(1991), Unspecified, ""), "birth year"),
            (request("001190000001", None, Male, ""), "gender"),
            (request("001190000001", born(1990), Male, ""), "gender"),
            (request("001190000001", None, Unspecified, "079"), "place"),
            (request("000190000001", None, Unspecified, ""), "000"),
            (request("00119000000", None, Unspecified, ""), "12 digits"),
        ];
        for (i, (request, problem)) in cases.into_iter().enumerate() {
            let answer = check(&request).expect("the request is well formed");
            assert_eq!(answer.valid, problem.is_empty(), "case {i} (from 0)");
            assert!(answer.problem.contains(problem), "case {i} (from 0): {}", answer.problem);
        }
        let answer = check(&request("079305123456", None, Unspecified, "")).expect("well formed");
        assert_eq!((answer.place_code.as_str(), answer.gender(), answer.birth_year), ("079", Female, 2005));
        assert_eq!(answer.place_name, "Hồ Chí Minh");
        assert_eq!((province("024"), province("999"), province("003")), ("Bắc Giang", "", ""));
        for (request, field) in [
            (CheckUinStructureRequest { gender: 9, ..Default::default() }, "gender"),
            (CheckUinStructureRequest { place_code: "01".into(), ..Default::default() }, "place_code"),
            (CheckUinStructureRequest { birth_date: born(1), ..Default::default() }, "birth_date"),
        ] {
            assert!(check(&request).expect_err("malformed").message().starts_with(field));
        }
    }
}
