//! VerifyHousehold: whether two people live in one household, and as what.

use tonic::Status;

use super::super::budget::Wrong;
use super::super::lookup::Lookup;
use super::super::read::valid_key;
use super::super::status;
use super::claims;
use crate::domain::policy::{Licence, budget};
use crate::domain::validate;
use crate::proto::registry::{
    Attribute, HouseholdRole, Person, Verdict, VerifyHouseholdRequest, VerifyHouseholdResponse,
};

/// The verdicts, both people read from one view.
pub async fn verify(
    call: &Lookup,
    request: VerifyHouseholdRequest,
) -> Result<VerifyHouseholdResponse, Status> {
    call.identify_reader(request.context.as_ref())?;
    let person = valid_key(request.person, "person")?;
    let other = valid_key(request.other, "other")?;
    let role = validate::household_role(request.role, "role")
        .and_then(|role| Ok((role, validate::household_role(request.other_role, "other_role")?)));
    let (role, other_role) = role.map_err(|rejection| status::rejected(&rejection))?;
    let asks_role = role != HouseholdRole::Unspecified || other_role != HouseholdRole::Unspecified;
    let attributes = [Attribute::ResidenceFileNo, Attribute::HouseholdRole];
    let need = |licence: &Licence| licence.may_verify(&attributes[..1 + usize::from(asks_role)], "");
    let view = call.read(request.options.as_ref(), need).await?;
    let person = view.only(&person, "person")?.person;
    let other = view.only(&other, "other")?.person;
    let known =
        view.known_of(person.uid)?.map_err(|refused| status::rejected_at(&refused, view.revision()))?;
    let same_household = together(&person, &other);
    let verdicts = [has_role(&person, role), has_role(&other, other_role)];
    let asked = verdicts.into_iter().filter(|verdict| *verdict != Verdict::Unspecified);
    let all_match = asked.chain([same_household]).all(|verdict| verdict == Verdict::Match);
    call.trail().came_to(same_household.as_str_name());
    let mut wrong = Wrong::default();
    if verdicts.into_iter().chain([same_household]).any(|verdict| verdict == Verdict::NoMatch) {
        wrong.add(person.uid, budget::digest_of_household(person.uid, other.uid, [role, other_role]), &known);
    }
    claims::told(call, &view, wrong).await?;
    Ok(VerifyHouseholdResponse {
        meta: Some(call.meta_of_read(&view, person.record_revision)),
        same_household: same_household.into(),
        role: verdicts[0].into(),
        other_role: verdicts[1].into(),
        all_match,
    })
}

fn together(person: &Person, other: &Person) -> Verdict {
    match (person.residence_file_no.as_str(), other.residence_file_no.as_str()) {
        ("", _) | (_, "") => Verdict::NotAvailable,
        (one, other) if one == other => Verdict::Match,
        _ => Verdict::NoMatch,
    }
}

fn has_role(person: &Person, claimed: HouseholdRole) -> Verdict {
    match (claimed, person.household_role()) {
        (HouseholdRole::Unspecified, _) => Verdict::Unspecified,
        (_, HouseholdRole::Unspecified) => Verdict::NotAvailable,
        (claimed, held) if claimed == held => Verdict::Match,
        _ => Verdict::NoMatch,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(file: &str, role: HouseholdRole) -> Person {
        Person { residence_file_no: file.to_owned(), household_role: role.into(), ..Person::default() }
    }

    #[test]
    fn verdicts_on_households() {
        use HouseholdRole::{Child, Head, Unspecified};
        use Verdict::{Match, NoMatch, NotAvailable};
        let (one, two, none) = (member("H1", Head), member("H2", Child), member("", Unspecified));
        assert_eq!([together(&one, &one), together(&one, &two)], [Match, NoMatch]);
        assert_eq!([together(&one, &none), together(&none, &none)], [NotAvailable; 2]);
        assert_eq!([has_role(&one, Head), has_role(&one, Child)], [Match, NoMatch]);
        assert_eq!(
            [has_role(&none, Head), has_role(&one, Unspecified)],
            [NotAvailable, Verdict::Unspecified]
        );
    }
}
