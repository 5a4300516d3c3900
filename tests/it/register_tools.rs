//! The register from the shell: each command once, as a clerk would use it, at one node and then at another.

use serde_json::{Value, json};

use crate::harness::command::{dancu, json, run};
use crate::harness::dev::Dev;

/// Whom to ask.
struct Clerk {
    address: String,
}

impl Clerk {
    fn arguments<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        [arguments, &["-e", &self.address]].concat()
    }

    /// What a command prints as JSON when it ends with this exit code.
    fn ends(&self, code: i32, arguments: &[&str]) -> Value {
        json(&mut dancu(self.arguments(&[&["--json"], arguments].concat())), code)
    }

    fn does(&self, arguments: &[&str]) -> Value {
        self.ends(0, arguments)
    }

    /// What a command prints for people, without the spaces that line it up.
    fn shows(&self, code: i32, arguments: &[&str]) -> String {
        let (got, out, err) = run(self.arguments(arguments));
        assert_eq!((got, err.as_str()), (code, ""), "{arguments:?}: {out}");
        out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n").collect()
    }

    /// A command that fails prints nothing but why.
    fn fails(&self, code: i32, arguments: &[&str], why: &str) {
        let (got, out, err) = run(self.arguments(arguments));
        assert_eq!((got, out.as_str()), (code, ""), "{arguments:?}: {err}");
        assert!(err.contains(why), "{arguments:?}: {err}");
    }

    /// Adds a person; returns the uid.
    fn person(&self, given: &str, gender: &str, cmnd: &str) -> String {
        let person = json!({
            "birth_name": { "family": "Nguyễn", "middle": "Thị", "given": given }, "birth_date": "1990-05-17",
            "gender": gender, "old_id_numbers": [cmnd],
            "permanent_residence": { "unit_code": "24", "unit_edition": "v63", "detail": "Số 1" },
        });
        self.does(&["person", "create", &person.to_string()])["person_uid"].to_string()
    }
}

fn two_clerks() -> (tempfile::TempDir, Dev, Clerk, Clerk) {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(&folder.path().join("data"));
    let [here, there] = [0, 3].map(|node| Clerk { address: dev.address(node) });
    (folder, dev, here, there)
}

#[test]
fn register_tools_for_numbers_papers_and_accounts() {
    let (_folder, dev, here, there) = two_clerks();
    let (minh, hoa) = (here.person("Minh", "male", "012345678"), here.person("Hoa", "female", "271450001"));

    // Personal ids.
    let made = here.does(&["uin", "generate", "--uid", &minh, "--place", "024"]);
    let first = made["new_personal_id"].as_str().unwrap();
    here.fails(1, &["uin", "generate", "--uid", &minh, "--place", "024"], "has a personal id");
    let checked = here.does(&["uin", "check", first, "--born", "1990", "--gender", "male", "--place", "024"]);
    assert_eq!((&checked["place_name"], &checked["birth_year"]), (&json!("Bắc Giang"), &json!(1990)));
    let shown = here.shows(1, &["uin", "check", first, "--gender", "female"]);
    assert!(
        shown.starts_with("NOT valid: digit 4") && shown.contains("024 Bắc Giang, male, born 1990"),
        "{shown}"
    );
    here.fails(2, &["uin", "check", first, "--place", "24"], "place_code");
    let made = here.does(&["uin", "reissue", "--uid", &minh, "--place", "024"]);
    let second = made["new_personal_id"].as_str().unwrap();
    let resolved = there.does(&["uin", "resolve", first]);
    assert_eq!((&resolved["status"], &resolved["chain"]), (&json!("superseded"), &json!([second])));
    assert_eq!(there.does(&["person", "get", "--id", first])["resolution"]["superseded_by"], second);
    let made = here.does(&["uin", "generate", "--uid", &hoa, "--place", "024"]);
    let third = made["new_personal_id"].as_str().unwrap();

    // Links to CMND numbers.
    assert!(there.shows(0, &["link", "012345678", second]).starts_with("linked: "));
    assert_eq!(there.ends(1, &["link", "012345678", third])["link"], "not_linked");
    there.fails(2, &["link", "1234", third], "9 digits");
    here.does(&["uin", "cancel", third]);
    here.fails(1, &["uin", "cancel", third], "cancelled before");
    assert!(there.shows(0, &["uin", "resolve", third]).starts_with(&format!("cancelled: person {hoa}")));

    // Papers.
    let licence = r#"{"type": "driving_licence", "number": "240001", "credential_class": "A1", "issued_on": "2020-01-10"}"#;
    here.does(&["credential", "issue", "--uid", &minh, licence]);
    here.fails(1, &["credential", "issue", "--uid", &hoa, licence], "issued before");
    here.fails(2, &["credential", "issue", "--uid", &hoa, r#"{"type": "licence"}"#], "type: expected");
    let longer = licence.replace("A1", "B").replace("}", r#", "expires_on": "2030-01-09"}"#);
    here.does(&["credential", "update", &longer]);
    let verify = ["credential", "verify", "driving_licence=240001", "--on", "2026-06-15"];
    let shown = there.shows(0, &[&verify[..], &["--name", "nguyễn thị minh", "--born", "1990"]].concat());
    assert!(shown.starts_with("in force on 2026-06-15, class B, until 2030-01-09\n"), "{shown}");
    assert!(shown.contains("\nfull_name match canonical\nbirth_date match\n"), "{shown}");
    assert_eq!(there.ends(1, &[&verify[..], &["--name", "Nguyễn Thị Hoa"]].concat())["verdict"], "in_force");
    here.does(&["credential", "suspend", "driving_licence=240001", "--since", "2026-06-01"]);
    assert_eq!(there.ends(1, &verify)["verdict"], "suspended");
    here.does(&["credential", "unsuspend", "driving_licence=240001", "--since", "2026-06-10"]);
    there.ends(0, &verify);
    here.does(&["credential", "revoke", "driving_licence=240001"]);
    let shown = there.shows(0, &["credential", "list", "--credential", "driving_licence=240001"]);
    let row = "\ndriving_licence 240001 B 2020-01-10 2030-01-09 revoked 20";
    assert!(
        shown.starts_with("type number class issued expires status since") && shown.contains(row),
        "{shown}"
    );
    assert_eq!(there.ends(1, &["credential", "verify", "passport=C1"])["verdict"], "unknown");
    there.fails(2, &["credential", "verify", "licence=1"], "the types are");

    // Accounts for electronic identification.
    here.does(&[
        "credential",
        "issue",
        "--uid",
        &minh,
        &json!({"type": "identity_card", "number": second}).to_string(),
    ]);
    here.does(&["eid", "level", "--uid", &minh, "2", "--on", "2026-06-15"]);
    assert!(there.shows(0, &["eid", "use", "--id", second]).starts_with("level 2, unlocked\n"));
    here.does(&["eid", "lock", "--uid", &minh, "--reason", "telephone lost"]);
    there.fails(1, &["eid", "use", "--id", second], "locked");
    assert_eq!(there.does(&["eid", "show", "--id", second])["eid_account"]["lock_reason"], "telephone lost");
    here.does(&["eid", "unlock", "--uid", &minh]);
    there.does(&["eid", "use", "--id", second]);
    there.fails(1, &["eid", "use", "--uid", &hoa], "no");
    there.fails(2, &["eid", "use", "--uid", "999"], "no such person");
    dev.interrupt();
}

/// Ids of people that a search finds, page by page, with how strongly their names agree.
fn found(clerk: &Clerk, search: &[&str]) -> Vec<(String, String)> {
    let (mut found, mut page) = (Vec::new(), String::new());
    loop {
        let answer = clerk.does(&[search, &["--page", &page]].concat());
        for hit in answer["persons"].as_array().unwrap() {
            let strength = hit["name_strength"].as_str().unwrap().to_owned();
            found.push((hit["person"]["uid"].to_string(), strength));
        }
        page = answer["next_page"].as_str().unwrap().to_owned();
        if page.is_empty() {
            return found;
        }
    }
}

#[test]
fn register_tools_for_people_and_parts_of_them() {
    let (_folder, dev, here, there) = two_clerks();
    let (hoa, double) =
        (here.person("Hòa", "female", "271450001"), here.person("Hoà", "female", "012345679"));
    here.person("Hoa", "female", "012345670");

    // Search: without diacritics, at home in the other edition of the units, in pages.
    let search = [
        "person",
        "find",
        "--name",
        "NGUYEN THI HOA",
        "--born",
        "1990-05",
        "--unit",
        "24@v34",
        "--limit",
        "1",
    ];
    let all = found(&there, &search);
    assert_eq!(all.len(), 3, "{all:?}");
    assert!(all.iter().all(|(_, strength)| strength == "folded"), "{all:?}");
    let nobody = ["person", "find", "--name", "Nguyễn Thị Hoa", "--born", "1991"];
    assert!(there.shows(1, &nobody).starts_with("nobody"));
    let shown = there.shows(0, &["person", "find", "--name", "Nguyễn Thị Hoà"]);
    assert!(shown.starts_with("strength uid personal id name born gender residence\n"), "{shown}");
    let row = format!("canonical {hoa} Nguyễn Thị Hòa 1990-05-17 female 24@v63\n");
    assert!(shown.contains(&row) && shown.contains(&format!("exact {double} ")), "{shown}");

    // Status, merging.
    here.does(&["person", "status", "--uid", &double, "inactive"]);
    here.fails(1, &["person", "patch", "--uid", &double, r#"{"religion": "00"}"#], "out of use");
    here.does(&["person", "status", "--uid", &double, "active"]);
    let patch = r#"{"religion": "00", "old_id_numbers": null}"#;
    here.does(&["person", "patch", "--uid", &double, patch, "--purpose", "no such CMND"]);
    let history = there.does(&["person", "history", "--uid", &double, "--limit", "1"]);
    assert_eq!(history["versions"][0]["purpose"], "no such CMND");
    assert_eq!(history["versions"][0]["person"]["old_id_numbers"], Value::Null);
    here.does(&["person", "merge", &format!("uid={hoa}"), &format!("uid={double}")]);
    let merged = there.does(&["person", "get", "--uid", &double]);
    assert_eq!(merged["person"]["uid"].to_string(), hoa);
    assert_eq!(merged["resolution"]["merged_from"].to_string(), double);

    // Parts of a record.
    let part = there.does(&["attributes", "--uid", &hoa, "--fields", "gender,birth_name"]);
    let fields: Vec<_> = part["person"].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["birth_name", "gender", "record_revision", "uid"]);
    let part = there.does(&["attributes", "--uid", &hoa, "--procedure", "1.001612"]);
    let person = &part["person"];
    assert_eq!(
        (&person["old_id_numbers"], &person["place_of_origin"]),
        (&json!(["271450001"]), &Value::Null)
    );
    there.fails(1, &["attributes", "--uid", &hoa, "--procedure", "9.9"], "procedure");
    assert!(there.shows(0, &["procedures"]).contains("\n1.001612 registering a taxpayer"));
    for usage in [&["attributes", "--uid", "1"][..], &["attributes"], &["attributes", "--fields", "gender"]] {
        assert_eq!(run(usage).0, 2, "{usage:?}");
    }
    dev.interrupt();
}

#[test]
fn register_tools_for_events_and_households() {
    let (folder, dev, here, there) = two_clerks();
    let (minh, hoa) = (here.person("Minh", "male", "012345678"), here.person("Hoa", "female", "271450001"));
    let uid = |person: &str| json!({ "person_uid": person.parse::<u64>().unwrap() });

    // From an argument and from a file.
    let couple = json!({ "one": uid(&minh), "other": { "old_id_number": "271450001" }, "on": "2026-06-15" });
    let marriage = json!({ "marriage": couple, "source": { "document": "KH 1/2026" } }).to_string();
    let married = here.does(&["event", &marriage]);
    assert_eq!(married["others"][0].to_string(), hoa);
    let second =
        json!({ "marriage": { "one": uid(&minh), "unregistered": { "name": "Mai" }, "on": "2026-06-16" } });
    here.fails(1, &["event", &second.to_string()], "has a spouse");
    here.fails(2, &["event", r#"{"marriage": {"on": "15/06/2026"}}"#], "marriage.on: expected a date");
    here.fails(2, &["event", "{}"], "name one event");
    let file = folder.path().join("move.json");
    let home = json!({ "unit_code": "24", "unit_edition": "v63", "detail": "Số 2" });
    let mover = |person: &str, role: &str| json!({ "person": uid(person), "household_role": role });
    let r#move = json!({
        "movers": [mover(&minh, "head"), mover(&hoa, "spouse")],
        "to": home, "kind": "permanent", "residence_file_no": "HS001",
    });
    std::fs::write(&file, json!({ "move": r#move }).to_string()).unwrap();
    here.does(&["event", &format!("@{}", file.display())]);
    let birth = json!({ "birth": {
        "child": {
            "birth_name": { "family": "Nguyễn", "given": "An" }, "birth_date": "2026-06-20", "gender": "male",
        },
        "new_personal_id": { "place_code": "024" }, "mother": uid(&hoa), "father": uid(&minh),
    } });
    let born = here.does(&["event", &birth.to_string()]);
    let id = born["new_personal_id"].as_str().unwrap();
    let child = there.does(&["person", "get", "--id", id]);
    assert_eq!(child["person"]["relations"].as_array().unwrap().len(), 2);

    let shown = there.shows(0, &["household", "show", "--uid", &hoa]);
    assert!(shown.starts_with("household HS001\nuid role name personal id CMND\n"), "{shown}");
    let rows = format!("\n{minh} head Nguyễn Thị Minh 012345678\n{hoa} spouse Nguyễn Thị Hoa 271450001\n");
    assert!(shown.contains(&rows), "{shown}");
    assert!(there.shows(0, &["household", "show", "--id", id]).starts_with("belongs to no household\n"));
    let one = format!("uid={minh}");
    let verify = ["household", "verify", &one, "271450001", "--role", "head", "--other-role"];
    assert_eq!(there.does(&[&verify[..], &["spouse"]].concat())["all_match"], true);
    let shown = there.shows(1, &[&verify[..], &["child"]].concat());
    assert!(
        shown.contains("same household match\nrole match\nother role no_match\nNOT all match"),
        "{shown}"
    );
    there.fails(2, &["household", "verify", &one, "uid=999"], "no such person");
    dev.interrupt();
}

#[test]
fn register_tools_tell_a_cmnd_number_that_was_issued_twice() {
    let (_folder, dev, here, there) = two_clerks();
    let [mai, _nga] = ["Mai", "Nga"].map(|given| here.person(given, "female", "271450009"));
    let made = here.does(&["uin", "generate", "--uid", &mai, "--place", "024"]);
    let id = made["new_personal_id"].as_str().unwrap();
    assert_eq!(there.ends(1, &["link", "271450009", id])["link"], "ambiguous");
    there.fails(2, &["verify", "--old-id", "271450009", "--given", "Mai"], "several people");
    dev.interrupt();
}
