//! Administrative units over TCP: the lists, and records that answer in either edition without being rewritten.

use crate::proto::registry::admin_units_client::AdminUnitsClient;
use crate::proto::registry::data_access_client::DataAccessClient;
use crate::proto::registry::{
    Address, ConvertUnitRequest, FindPersonsRequest, GetUnitRequest, PersonField, PersonVersion,
    ReadAttributeSetRequest, ReadPersonAttributesRequest, UnitEdition,
};

use super::*;

const V63: i32 = UnitEdition::V63 as i32;
const V34: i32 = UnitEdition::V34 as i32;

fn at(unit_code: &str, unit_edition: i32) -> Address {
    Address { unit_code: unit_code.to_owned(), unit_edition, ..Address::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn units_are_found_and_converted_before_there_is_a_cluster() {
    let server = Server::waiting(LimitsConfig::default()).await;
    let mut units = AdminUnitsClient::new(server.channel.clone());
    let get = |code: &str, edition| GetUnitRequest { code: code.to_owned(), edition };
    let found = units.get_unit(get("24", V63)).await.unwrap().into_inner().unit.unwrap();
    assert_eq!(
        (found.name.as_str(), found.parent_code.as_str(), found.province_code.as_str()),
        ("Bắc Giang", "", "24")
    );
    let found = units.get_unit(get("24", V34)).await.unwrap().into_inner().unit.unwrap();
    assert_eq!((found.name.as_str(), found.edition()), ("Bắc Ninh", UnitEdition::V34));
    let found = units.get_unit(get("00001", V63)).await.unwrap().into_inner().unit.unwrap();
    assert_eq!((found.parent_code.as_str(), found.province_name.as_str()), ("001", "Hà Nội"));

    let convert = |code: &str, edition, to| ConvertUnitRequest { code: code.to_owned(), edition, to };
    let answer = units.convert_unit(convert("24", V34, V63)).await.unwrap().into_inner();
    assert_eq!(answer.from.unwrap().name, "Bắc Ninh");
    let names: Vec<_> = answer.units.iter().map(|unit| (unit.code.as_str(), unit.name.as_str())).collect();
    assert_eq!(names, [("24", "Bắc Giang"), ("27", "Bắc Ninh")]);

    refused(units.get_unit(get("27", V34)).await, "UNIT_UNKNOWN", "code", Code::NotFound);
    let bad = Code::InvalidArgument;
    for edition in [0, 3] {
        refused(units.get_unit(get("24", edition)).await, "FIELD_INVALID", "edition", bad);
        refused(units.convert_unit(convert("24", V63, edition)).await, "FIELD_INVALID", "to", bad);
    }
    server.shutdown().await;
}

/// Where the person of a record lives and was born.
fn places(person: Person) -> [Address; 2] {
    [person.permanent_residence.unwrap(), person.place_of_origin.unwrap()]
}

fn version(version: PersonVersion) -> Person {
    version.person.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_answers_in_either_edition_and_stays_as_it_was_written() {
    let server = Server::ready(LimitsConfig::default()).await;
    // Phúc Xá is a part of Hồng Hà now; Điện Biên was split over four communes.
    let (whole, split, now) = (at("00001", V63), at("00019", V63), at("00097", V34));
    let recorded = Person {
        permanent_residence: Some(whole.clone()),
        place_of_origin: Some(split.clone()),
        ..person(1)
    };
    server.create("r1", recorded).await.unwrap();

    for (unit_edition, expected) in [(0, &whole), (V63, &whole), (V34, &now), (0, &whole)] {
        let expected = [expected.clone(), split.clone()];
        let options = ReadOptions { unit_edition, ..ReadOptions::default() };
        let read = server.read(id(1), options).await.unwrap();
        assert_eq!(places(read), expected);
        let options = Some(options);

        let request = BatchReadPersonsRequest { keys: vec![key(id(1))], options, ..Default::default() };
        let answer = server.registry().batch_read_persons(request).await.unwrap().into_inner();
        let Some(person_result::Result::Person(read)) = answer.results[0].result.clone() else {
            panic!("the person is there")
        };
        assert_eq!(places(read), expected);

        let request = ReadPersonHistoryRequest { key: Some(key(id(1))), options, ..Default::default() };
        let mut answer = server.registry().read_person_history(request).await.unwrap().into_inner();
        assert_eq!(places(version(answer.versions.remove(0))), expected);

        let mut access = DataAccessClient::new(server.channel.clone());
        let fields = vec![PersonField::PermanentResidence.into(), PersonField::PlaceOfOrigin.into()];
        let request = ReadPersonAttributesRequest { key: Some(key(id(1))), fields, options, context: None };
        let read = access.read_person_attributes(request).await.unwrap().into_inner().person.unwrap();
        assert_eq!(places(read), expected);

        let marriage = RequestContext { procedure_code: "1.001193".to_owned(), ..context("r2") };
        let request = ReadAttributeSetRequest { key: Some(key(id(1))), options, context: Some(marriage) };
        let read = access.read_attribute_set(request).await.unwrap().into_inner().person.unwrap();
        assert_eq!(read.permanent_residence.as_ref(), expected.first());

        assert_eq!(found(&server, options, None).await, [expected]);
    }
    let unknown = ReadOptions { unit_edition: 9, ..ReadOptions::default() };
    let refusal = server.read(id(1), unknown).await;
    refused(refusal, "FIELD_INVALID", "options.unit_edition", Code::InvalidArgument);

    // Hà Nội of either edition, the district and the commune that Phúc Xá is in; neither a part of it nor elsewhere.
    for (code, edition, hits) in [
        ("01", V63, 1),
        ("01", V34, 1),
        ("001", V63, 1),
        ("00097", V34, 1),
        ("00001", V63, 1),
        ("00004", V34, 0),
        ("002", V63, 0),
        ("24", V63, 0),
    ] {
        let people = found(&server, Some(ReadOptions::default()), Some(at(code, edition))).await;
        assert_eq!(people.len(), hits, "{code}");
    }
    server.shutdown().await;
}

async fn found(server: &Server, options: Option<ReadOptions>, unit: Option<Address>) -> Vec<[Address; 2]> {
    let request =
        FindPersonsRequest { name: "Nguyễn Thị Thúy".to_owned(), options, unit, ..Default::default() };
    let answer = server.registry().find_persons(request).await.unwrap().into_inner();
    answer.persons.into_iter().map(|found| places(found.person.unwrap())).collect()
}
