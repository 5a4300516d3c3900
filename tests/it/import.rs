//! An import with one bad row in a hundred: everybody else goes in, each bad row is listed with its line, what is at fault
//! and why, and the exit code says so. For NDJSON and for CSV, by the same rules.

use std::path::Path;

use dancu::cli::json::{Date, Person};
use dancu::domain::population::Population;
use serde_json::{Value, json};

use crate::harness::command::{dancu, ended, json, run};
use crate::harness::dev::Dev;

/// Good rows between two bad ones.
const GOOD: u64 = 99;
const SEED: u64 = 21;

/// What a row is refused with: the field or column, and the reason.
type Why = (&'static str, &'static str);

/// Rows of a file as they are written, some of them bad.
#[derive(Default)]
struct File {
    bytes: Vec<u8>,
    lines: usize,
    good: u64,
    expected: Vec<Value>,
}

impl File {
    /// A row, and why it is refused if it is. It may stand on several lines.
    fn row(&mut self, row: &[u8], why: Option<Why>) {
        let line = self.lines + 1;
        self.lines += 1 + row.iter().filter(|byte| **byte == b'\n').count();
        match why {
            None => self.good += 1,
            Some((field, reason)) => self.expected.push(json!([line, field, reason])),
        }
        self.bytes.extend_from_slice(row);
        self.bytes.push(b'\n');
    }

    /// Imports it twice: the first time all good rows go in, the second time, in other chunks, they are there.
    fn import(&self, dev: &Dev, path: &Path, options: &[&str]) {
        std::fs::write(path, &self.bytes).unwrap();
        let address = dev.address(3);
        let import = |more: &[&str]| {
            let mut command = dancu(["--json", "import", "-e", &address]);
            json(command.args(options).args(more).arg(path), 1)
        };
        let bad = self.expected.len() as u64;
        println!("{} good rows, {bad} bad ones", self.good);
        assert_eq!(self.good, bad * GOOD);

        let checked = import(&["--check"]);
        assert!(checked["checked"].as_u64().unwrap() >= self.good && checked["created"] == 0, "{checked}");
        let mut revision = 0;
        for (chunk, created, existing) in [("100", self.good, 0), ("77", 0, self.good)] {
            let summary = import(&["--chunk", chunk]);
            revision = revision.max(summary["revision"].as_u64().unwrap());
            println!("{summary}");
            let counts = ["created", "existing", "rejected"].map(|count| summary[count].as_u64().unwrap());
            assert_eq!(counts, [created, existing, bad]);
            let rejects = std::fs::read_to_string(summary["rejects_file"].as_str().unwrap()).unwrap();
            let mut found: Vec<Value> =
                rejects.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            found.sort_by_key(|reject| reject["line"].as_u64());
            for reject in &found {
                let detail = reject["detail"].as_str().unwrap();
                assert!(!detail.is_empty() && !detail.contains(BAD_NAME), "{detail}");
            }
            let told = found.iter().map(|r| json!([r["line"], r["field"], r["reason"]]));
            assert_eq!(told.collect::<Vec<_>>(), self.expected);
        }
        let (node, at_least) = (dev.address(0), revision.to_string());
        let digest = ["--json", "cluster", "digest", "-e", &node, "--at-least", &at_least];
        let digest = json(&mut dancu(digest), 0);
        assert_eq!(digest["persons"].as_u64(), Some(self.good));
    }
}

/// A name that is somebody's, and must not get into the list of rejects.
const BAD_NAME: &str = "Trương";

/// A record of the population, in the form of the files.
fn person(index: u64) -> Value {
    serde_json::to_value(Person::from(Population::new(SEED).person(index))).unwrap()
}

/// A woman of 1990 whose records are bad, each under a number of its own.
fn woman(number: usize) -> Value {
    json!({
        "personal_id": format!("001190{number:06}"), "birth_date": "1990-05-17", "gender": "female",
        "birth_name": { "family": BAD_NAME, "middle": "Thị", "given": "Thúy" },
        "permanent_residence": { "unit_code": "01", "unit_edition": "v34", "detail": "Số 1" },
    })
}

#[test]
fn import_of_ndjson_lists_each_bad_row_and_takes_the_others() {
    type Change = fn(&mut Value);
    let taken = person(3)["personal_id"].as_str().unwrap().to_owned();
    let changes: [(Change, Why); 10] = [
        (|p| p["personal_id"] = "00119000001".into(), ("personal_id", "ID_STRUCTURE_INVALID")),
        (|p| p["personal_id"] = "001390000001".into(), ("personal_id", "ID_STRUCTURE_INVALID")),
        (|p| p["birth_name"]["family"] = "\u{D0}ỗ".into(), ("birth_name.family", "NAME_CHARSET")),
        (|p| p["birth_name"]["given"] = "L\u{430}n".into(), ("birth_name.given", "NAME_CHARSET")),
        (|p| p["birth_name"]["given"] = "La\u{7}n".into(), ("birth_name.given", "NAME_CHARSET")),
        (|p| p["birth_date"] = "2023-02-29".into(), ("birth_date", "DATE_INVALID")),
        (|p| p["birth_date"] = "17/05/1990".into(), ("birth_date", "DATE_INVALID")),
        (future, ("birth_date", "DATE_INVALID")),
        (|p| p["shoe_size"] = 38.into(), ("shoe_size", "FIELD_INVALID")),
        (
            |p| p["permanent_residence"]["detail"] = "ễ".repeat(201).into(),
            ("permanent_residence.detail", "TOO_LARGE"),
        ),
    ];
    let mut bad: Vec<(String, Why)> = Vec::new();
    for (number, (change, why)) in changes.into_iter().enumerate() {
        let mut person = woman(number);
        change(&mut person);
        bad.push((person.to_string(), why));
    }
    let mut other = person(3);
    other["birth_name"]["given"] = "Khác".into();
    assert_eq!(other["personal_id"], taken);
    bad.push((other.to_string(), ("personal_id", "IDENTIFIER_TAKEN")));
    let whole = woman(bad.len()).to_string();
    bad.push((whole[..whole.len() - 1].to_owned(), ("", "FIELD_INVALID")));
    bad.push((" ".repeat(300_000) + &whole, ("", "TOO_LARGE")));

    let mut file = File::default();
    let mut index = 0;
    for (row, why) in &bad {
        for _ in 0..GOOD {
            file.row(person(index).to_string().as_bytes(), None);
            index += 1;
        }
        file.row(row.as_bytes(), Some(*why));
    }
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(&folder.path().join("data"));
    file.import(&dev, &folder.path().join("people.ndjson"), &[]);
    dev.interrupt();
}

/// A number that agrees with a birth in the future, so that the future alone is wrong.
fn future(person: &mut Value) {
    person["personal_id"] = "001599000001".into();
    person["birth_date"] = "2199-01-01".into();
}

const MAPPING: &str = r#"
delimiter = ";"
ignored = ["Ghi chú"]
[columns]
"Số định danh" = "personal_id"
"Họ tên" = "birth_name"
"Ngày sinh" = { field = "birth_date", dates = ["dd/mm/yyyy", "yyyy"] }
"Giới tính" = "gender"
"Mã xã" = "permanent_residence.unit_code"
"Địa chỉ" = "permanent_residence.detail"
"Số CMND" = { field = "old_id_numbers", separator = "," }
[constants]
"permanent_residence.unit_edition" = "v34"
"#;

const ID: usize = 1;
const NAME: usize = 2;
const BORN: usize = 3;
const GENDER: usize = 4;
const HOME: usize = 6;
const CMND: usize = 7;

/// The cells of a person, in the order of the mapping. The note goes over two lines.
fn cells(person: &Value) -> [String; 8] {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = ["family", "middle", "given"].map(|part| text(&person["birth_name"][part]));
    let born: Date = text(&person["birth_date"]).parse().unwrap();
    let born = match born.day {
        0 => format!("{:04}", born.year),
        day => format!("{day:02}/{:02}/{:04}", born.month, born.year),
    };
    let gender = if person["gender"] == "male" { "Nam" } else { "Nữ" };
    let home = &person["permanent_residence"];
    let old_ids = person["old_id_numbers"].as_array().map_or(&[][..], Vec::as_slice);
    let old_ids: Vec<String> = old_ids.iter().map(text).collect();
    [
        "\"xem; \"\"giấy\"\"\nkèm\"".to_owned(),
        text(&person["personal_id"]),
        name.join(" "),
        born,
        gender.to_owned(),
        text(&home["unit_code"]),
        text(&home["detail"]),
        old_ids.join(","),
    ]
}

#[test]
fn import_of_csv_lists_each_bad_row_and_takes_the_others() {
    let changes: [(usize, &str, Why); 11] = [
        (ID, "00119000001", ("Số định danh", "ID_STRUCTURE_INVALID")),
        (ID, "001390000001", ("Số định danh", "ID_STRUCTURE_INVALID")),
        (NAME, "\u{D0}ỗ Thị Lan", ("Họ tên", "NAME_CHARSET")),
        (NAME, "Trương L\u{430}n", ("Họ tên", "NAME_CHARSET")),
        (NAME, "Trương La\u{7}n", ("Họ tên", "NAME_CHARSET")),
        (NAME, "Trương", ("Họ tên", "NAME_CHARSET")),
        (BORN, "29/02/2023", ("Ngày sinh", "DATE_INVALID")),
        (BORN, "1990-05-17", ("Ngày sinh", "DATE_INVALID")),
        (GENDER, "Bà", ("Giới tính", "FIELD_INVALID")),
        (CMND, "012345678, 12", ("Số CMND", "ID_STRUCTURE_INVALID")),
        (GENDER, "Nữ;thừa", ("", "FIELD_INVALID")),
    ];
    let mut bad: Vec<(Vec<u8>, Why)> = Vec::new();
    for (number, (column, cell, why)) in changes.into_iter().enumerate() {
        let mut cells = cells(&woman(number));
        cells[0] = "xấu".to_owned();
        cells[column] = cell.to_owned();
        bad.push((cells.join(";").into_bytes(), why));
    }
    let mut add = |change: &dyn Fn(&mut [String; 8]), person: Value, why: Why| {
        let mut cells = cells(&person);
        cells[0].clear();
        change(&mut cells);
        bad.push((cells.join(";").into_bytes(), why));
    };
    add(
        &|_| (),
        {
            let mut p = woman(20);
            future(&mut p);
            p
        },
        ("Ngày sinh", "DATE_INVALID"),
    );
    add(&|cells| cells[NAME] = "Một Tên Khác".into(), person(3), ("Số định danh", "IDENTIFIER_TAKEN"));
    add(&|cells| cells[HOME] = "ễ".repeat(201), woman(21), ("Địa chỉ", "TOO_LARGE"));
    // A quote that does not close takes none of the next rows with it.
    add(&|cells| cells[HOME] = "\"Số 1".into(), woman(22), ("", "FIELD_INVALID"));
    // The name in an encoding of before Unicode.
    let mut bytes = cells(&woman(23)).join(";").replace('\n', " ").into_bytes();
    let name = bytes.windows(2).position(|pair| pair == "ú".as_bytes()).unwrap();
    bytes.splice(name..name + 2, [0xFA]);
    bad.push((bytes, ("Họ tên", "NAME_CHARSET")));

    let mut file = File::default();
    let header = "\u{FEFF}Ghi chú;Số định danh;Họ tên;Ngày sinh;Giới tính;Mã xã;Địa chỉ;Số CMND\r\n";
    file.bytes.extend_from_slice(header.as_bytes());
    file.lines = 1;
    let mut index = 0;
    for (row, why) in &bad {
        for _ in 0..GOOD {
            file.row(cells(&person(index)).join(";").as_bytes(), None);
            index += 1;
        }
        file.row(row, Some(*why));
    }
    let folder = tempfile::tempdir().unwrap();
    let mapping = folder.path().join("mapping.toml");
    std::fs::write(&mapping, MAPPING).unwrap();
    let dev = Dev::start(&folder.path().join("data"));
    file.import(&dev, &folder.path().join("people.csv"), &["--mapping", mapping.to_str().unwrap()]);
    dev.interrupt();
}

#[test]
fn import_refuses_a_mapping_that_does_not_fit_and_sends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let [people, mapping] = ["people.csv", "mapping.toml"].map(|name| folder.path().join(name));
    std::fs::write(&people, "id;name\n1;2\n").unwrap();
    let import = |text: &str, options: &[&str]| {
        std::fs::write(&mapping, text).unwrap();
        // Nobody listens there: whatever is sent ends with exit code 3.
        let fixed = ["import", "-e", "127.0.0.1:9", "--timeout", "0.3", people.to_str().unwrap()];
        run([&fixed, options].concat())
    };
    let by_mapping = ["--mapping", mapping.to_str().unwrap()];
    for (text, problem) in [
        ("[columns]\nid = \"shoe_size\"\n", "shoe_size"),
        ("delimiter = \";\"\n[columns]\nid = \"personal_id\"\n", "\"name\""),
        (
            "delimiter = \";\"\nignored = [\"name\"]\n[columns]\nid = \"personal_id\"\nborn = \"birth_date\"\n",
            "\"born\"",
        ),
        ("columns", "line 1"),
    ] {
        let (code, out, err) = import(text, &by_mapping);
        assert_eq!((code, out.as_str(), err.lines().count()), (2, "", 1), "{err}");
        assert!(err.contains(problem) && err.contains("mapping.toml"), "{err}");
    }
    let (code, _, err) = import("", &[]);
    assert_eq!((code, err.contains("--mapping")), (2, true), "{err}");
    let (code, help, _) = run(["import", "--help"]);
    assert!(code == 0 && help.contains("[columns]") && help.contains("birth_name.family"), "{help}");
}

#[test]
fn import_of_standard_input_lists_its_rejects_where_it_is_told_and_nowhere_it_reads() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(&folder.path().join("data"));
    let (file, rejects) = (folder.path().join("people.ndjson"), folder.path().join("rejects"));
    let text = format!("{}\n{{}}\n{}\n", person(0), person(1));
    std::fs::write(&file, &text).unwrap();
    let address = dev.address(0);
    let import = ["--json", "import", "-e", &address, "--name", "by-pipe"];
    for (created, existing) in [(2, 0), (2, 0)] {
        let mut command = dancu(import);
        command.arg("--rejects").arg(&rejects).arg("-").stdin(std::fs::File::open(&file).unwrap());
        // The second run goes by the same name: the request table answers it as it did the first.
        let summary = json(&mut command, 1);
        assert_eq!(
            ["created", "existing", "rejected"].map(|count| summary[count].as_u64()),
            [Some(created), Some(existing), Some(1)]
        );
        let listed: Value = serde_json::from_str(&std::fs::read_to_string(&rejects).unwrap()).unwrap();
        assert_eq!(listed["line"], 2);
    }
    // The same name for another content is no way to go on, and a list is not written over what is read.
    std::fs::write(&file, format!("{}\n", person(2))).unwrap();
    let mut other = dancu(import);
    let (code, _, err) = ended(other.arg(&file).output().unwrap());
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("Mend that"), "{err}");
    let mut over = dancu(["import", "-e", &address, "--check", "--rejects"]);
    let (code, _, err) = ended(over.arg(&file).arg(&file).output().unwrap());
    assert_eq!(code, 2, "{err}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("{}\n", person(2)));
    dev.interrupt();
}
