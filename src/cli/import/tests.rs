//! CSV files and their mappings: what becomes of a row, and which mappings are refused.

use std::path::Path;

use super::source::{Chunk, Source};
use crate::domain::error::rejection;
use crate::proto::registry::{ErrorReason, Gender, Person, RelationKind, UnitEdition};

/// The columns of the sample.
const HEADER: &str = "STT,Số định danh,Họ,Chữ đệm,Tên,Ngày sinh,Giới tính,Dân tộc,Số CMND,Nơi đăng ký khai sinh,\
    Mã xã thường trú,Địa chỉ thường trú,Họ tên cha,Họ tên mẹ,Số thẻ CCCD,Ngày cấp thẻ\n";

/// A folder with these people and this mapping.
fn open(people: &str, mapping: &str) -> (tempfile::TempDir, Result<Source, String>) {
    let folder = tempfile::tempdir().unwrap();
    let [file, map] = ["people.csv", "mapping.toml"].map(|name| folder.path().join(name));
    std::fs::write(&file, people).unwrap();
    std::fs::write(&map, mapping).unwrap();
    let source = Source::open(&file, Some(&map), 100).map_err(|failure| {
        assert_eq!(failure.code(), 2);
        failure.to_string()
    });
    (folder, source)
}

fn read(rows: &str) -> (Source, Chunk) {
    let (_folder, source) = open(&format!("{HEADER}{rows}"), include_str!("mapping.toml"));
    let mut source = source.unwrap_or_else(|e| panic!("{e}"));
    let chunk = source.next_chunk().unwrap().unwrap();
    (source, chunk)
}

fn only(chunk: Chunk) -> Person {
    let rejects: Vec<_> = chunk.rejects.iter().map(|r| format!("{}: {}", r.field, r.detail)).collect();
    assert_eq!((chunk.persons.len(), rejects), (1, vec![]));
    chunk.persons.into_iter().next().unwrap()
}

#[test]
fn the_sample_reads_every_column() {
    let row = "\"1\n\",001190000001,Nguyễn,Thị Thanh,Thúy,17/05/1990,Nữ,kinh,271450001; 012345678,01,\
        00004,\"Số 1, ngõ \"\"2\"\"\",Nguyễn Văn Nam,Đỗ Thị Hoà,001190000001,01/2021\n";
    let (_, chunk) = read(row);
    let person = only(chunk);
    let name = person.birth_name.clone().unwrap();
    assert_eq!(
        (name.family.as_str(), name.middle.as_str(), name.given.as_str()),
        ("Nguyễn", "Thị Thanh", "Thúy")
    );
    assert_eq!((person.personal_id.as_str(), person.gender()), ("001190000001", Gender::Female));
    assert_eq!(person.birth_date.map(|d| (d.year, d.month, d.day)), Some((1990, 5, 17)));
    assert_eq!((person.ethnicity.as_str(), person.nationalities), ("01", vec!["VN".to_owned()]));
    assert_eq!(person.old_id_numbers, ["271450001", "012345678"]);
    let [registered, home] =
        [person.birth_registration_place, person.permanent_residence].map(Option::unwrap);
    assert_eq!((registered.unit_code.as_str(), registered.unit_edition()), ("01", UnitEdition::V63));
    assert_eq!((home.unit_code.as_str(), home.unit_edition()), ("00004", UnitEdition::V34));
    assert_eq!(home.detail, "Số 1, ngõ \"2\"");
    let relations: Vec<_> = person.relations.iter().map(|r| (r.kind(), r.name.as_str())).collect();
    assert_eq!(relations, [(RelationKind::Father, "Nguyễn Văn Nam"), (RelationKind::Mother, "Đỗ Thị Hoà")]);
    assert_eq!(person.credentials[0].issued_on.map(|d| (d.year, d.month, d.day)), Some((2021, 1, 0)));
}

#[test]
fn a_constant_alone_makes_no_part() {
    let (_, chunk) = read(",001190000001,Nguyễn,,Thúy,1990,Nữ,,,,,,,Đỗ Thị Hoà,,\n");
    let person = only(chunk);
    assert_eq!((person.birth_registration_place, person.permanent_residence), (None, None));
    assert!(person.credentials.is_empty());
    assert_eq!(person.relations.len(), 1);
    assert_eq!(person.relations[0].kind(), RelationKind::Mother);
}

#[test]
fn what_is_wrong_is_said_by_line_and_column() {
    let row = |id: &str, name: &str, born: &str, gender: &str, mother: &str| {
        format!("\"a\nb\",{id},Nguyễn,,{name},{born},{gender},,,,,,,{mother},,\n")
    };
    let rows = row("001190000001", "Thúy", "17/05/1990", "Nữ", "")
        + &row("001190000002", "Thúy7", "17/05/1990", "Nữ", "")
        + &row("001190000003", "Thúy", "29/02/2023", "Nữ", "")
        + &row("001190000004", "Thúy", "17/05/1990", "Bà", "")
        + &row("001190000005", "Thúy", "17/05/1990", "Nữ", "Ðỗ Thị Hoà")
        + &row("001290000006", "Thúy", "17/05/1990", "Nữ", "")
        + "1,2\n"
        + &row("001190000007", "", "17/05/1990", "Nữ", "")
        + &row("", "Thúy", "17/05/1990", "Nữ", "");
    let (source, chunk) = read(&rows);
    let found: Vec<_> = chunk.rejects.iter().map(|r| (r.line, r.field.as_str(), r.reason.as_str())).collect();
    let expected = [
        (4, "Tên", "NAME_CHARSET"),
        (6, "Ngày sinh", "DATE_INVALID"),
        (8, "Giới tính", "FIELD_INVALID"),
        (10, "Họ tên mẹ", "NAME_CHARSET"),
        (12, "Số định danh", "ID_STRUCTURE_INVALID"),
        (14, "", "FIELD_INVALID"),
        (15, "Tên", "NAME_CHARSET"),
        (17, "Số định danh", "FIELD_INVALID"),
    ];
    assert_eq!(found, expected);
    for reject in &chunk.rejects {
        for found in ["Thúy7", "Bà", "Ðỗ", "0012900"] {
            assert!(!reject.detail.contains(found), "{}", reject.detail);
        }
    }
    // And what the registry says later.
    let told = |field: &str| {
        source.reject(&chunk.origins[0], rejection(ErrorReason::IdentifierTaken, field, "taken")).field
    };
    assert_eq!(told("person.personal_id"), "Số định danh");
    assert_eq!(told("person.old_id_numbers[1]"), "Số CMND");
    assert_eq!(told("person.birth_registration_place"), "Nơi đăng ký khai sinh");
    assert_eq!(told("person.religion"), "religion");
}

#[test]
fn a_whole_name_and_bytes_that_are_no_text() {
    let mapping = "delimiter = \";\"\n[columns]\nid = \"personal_id\"\nname = \"birth_name\"\nborn = \"birth_date\"\n\
        [constants]\ngender = \"female\"\ncurrent_residence.country = \"FR\"\n";
    let (_folder, source) = open("id;name;born\n001190000001;Nguyễn Thị Thúy;1990\n1;Thúy;1990\n", mapping);
    let chunk = source.unwrap_or_else(|e| panic!("{e}")).next_chunk().unwrap().unwrap();
    assert_eq!((chunk.rejects[0].field.as_str(), chunk.rejects[0].reason.as_str()), ("name", "NAME_CHARSET"));
    assert_eq!(chunk.persons[0].birth_name.clone().unwrap().middle, "Thị");
    assert_eq!(chunk.persons[0].current_residence, None);

    let folder = tempfile::tempdir().unwrap();
    let [file, map] = ["people.csv", "mapping.toml"].map(|name| folder.path().join(name));
    std::fs::write(&file, b"id;name;born\n001190000001;Nguy\xea\xe3n Th\xfay;1990\n").unwrap();
    std::fs::write(&map, mapping).unwrap();
    let rejects = Source::open(&file, Some(&map), 10).unwrap_or_else(|e| panic!("{e}"));
    let reject = { rejects }.next_chunk().unwrap().unwrap().rejects.remove(0);
    assert_eq!((reject.field.as_str(), reject.detail.as_str()), ("name", "must be UTF-8"));
}

#[test]
fn a_mapping_that_does_not_fit_is_refused_with_one_message() {
    #[rustfmt::skip]
    let cases = [
        ("a = \"shoe_size\"", "a\n", "no field \"shoe_size\""),
        ("a = \"relations[0]\"", "a\n", "fields of its own"),
        ("a = \"relations.name\"", "a\n", "no field"),
        ("a = \"birth_date.year\"", "a\n", "no field"),
        ("a = \"religion\"", "a,b\n", "has a column \"b\""),
        ("a = \"religion\"\nb = \"ethnicity\"", "a\n", "no column \"b\""),
        ("a = \"religion\"", "a,a\n", "twice"),
        ("a = \"religion\"\nb = \"religion\"", "a,b\n", "both say what religion is"),
        ("a = \"birth_name\"\nb = \"birth_name.given\"", "a,b\n", "both say"),
        ("a = \"religion\"", "", "empty"),
        ("a = \"religion\"", "001190000001\n", "it must be a header"),
        ("a = \"religion\"\n[constants]\nreligion = \"01\"", "a\n", "column \"a\" says"),
        ("a = \"religion\"\n[constants]\nshoe_size = 38", "a\n", "no such field"),
        ("a = \"religion\"\n[constants]\ngender = \"f\"", "a\n", "constant \"gender\": expected"),
        ("a = 1", "a\n", "line 2: expected a field"),
        ("a = { field = \"religion\", date = \"yyyy\" }", "a\n", "line 2: expected a field"),
        ("a = { field = \"birth_date\", dates = [\"d/m/y\"] }", "a\n", "no pattern"),
        ("a = { field = \"religion\", separator = \";\" }", "a\n", "separator"),
        ("a = ", "a\n", "line 2"),
    ];
    for (columns, people, expected) in cases {
        let (_folder, source) = open(people, &format!("[columns]\n{columns}\n"));
        let problem = source.err().unwrap_or_else(|| panic!("accepted {columns}"));
        assert!(problem.contains(expected) && problem.lines().count() == 1, "{columns}: {problem}");
    }
    let (_folder, source) = open("a\n", "delimiter = \"đ\"\n[columns]\na = \"religion\"\n");
    assert!(source.err().is_some_and(|problem| problem.contains("delimiter")));
    let problem = Source::open(Path::new("people.CSV"), None, 1).err();
    assert!(problem.is_some_and(|p| p.code() == 2));
}

#[test]
fn another_mapping_is_another_import() {
    let name = |mapping: &str| {
        let (_folder, source) = open("a\n01\n", mapping);
        source.unwrap_or_else(|e| panic!("{e}")).name().unwrap()
    };
    let mapping = "[columns]\na = \"religion\"\n";
    assert_eq!(name(mapping), name(mapping));
    assert_ne!(name(mapping), name(&format!("{mapping}# read otherwise\n")));
}
