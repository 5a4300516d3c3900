//! `dancu dev` and the tools, run as a user runs them.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::command::{dancu, ended, json, run};
use crate::harness::dev::{Dev, base_port};
use crate::harness::{PATIENCE, people};

#[test]
fn tools_dev_is_ready_soon_and_keeps_its_data() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let port = base_port();
    let dev = Dev::start_at(&data, port);
    let took = dev.started.elapsed();
    println!("dancu dev was ready after {took:.1?}");
    assert!(took < Duration::from_secs(3), "ready only after {took:.1?}");

    let (central, province) = (dev.address(0), dev.address(3));
    let id = people::personal_id(1);
    let person = format!(
        r#"{{"personal_id":"{id}","birth_date":"1990-05-17","gender":"female","birth_name":{{"family":"Nguyễn","given":"Thúy"}}}}"#
    );
    let written = json(&mut dancu(["--json", "person", "create", "-e", &central, &person]), 0);
    let verify = |name: &str, code| {
        let arguments = ["--json", "verify", "-e", &province, "--id", &id, "--name", name, "--born", "1990"];
        json(&mut dancu(arguments), code)
    };
    let verified = verify("Nguyễn Thúy", 0);
    assert!(verified["meta"]["revision"].as_u64() >= written["meta"]["revision"].as_u64());
    assert_eq!(verified["meta"]["served_by"], "province-1");
    assert_eq!(verify("Nguyễn Thùy", 1)["verdicts"][0]["verdict"], "no_match");
    let (code, _, err) = run(["verify", "-e", &province, "--id", &people::personal_id(2), "--name", "X"]);
    assert_eq!(code, 2, "{err}");
    let (code, _, err) = run(["person", "get", "-e", &province, "--id", &people::personal_id(2)]);
    assert_eq!(code, 1, "{err}");

    let patched = json(
        &mut dancu([
            "--json",
            "person",
            "patch",
            "-e",
            &province,
            "--id",
            &id,
            r#"{"birth_name":{"given":"Thùy"}}"#,
        ]),
        0,
    );
    let revision = patched["record_revision"].to_string();
    let got = json(&mut dancu(["--json", "person", "get", "-e", &central, "--id", &id]), 0);
    assert_eq!(got["person"]["birth_name"]["given"], "Thùy");
    assert_eq!(got["person"]["birth_name"]["family"], "Nguyễn");
    let history = json(&mut dancu(["--json", "person", "history", "-e", &central, "--id", &id]), 0);
    assert_eq!(history["versions"].as_array().unwrap().len(), 2);
    let status = json(&mut dancu(["--json", "cluster", "status", "-e", &central]), 0);
    assert_eq!(status["nodes"].as_array().unwrap().len(), 4);
    dev.interrupt();

    // Its nodes know each other by their ports.
    let other = (port + 1).to_string();
    let (code, _, err) = ended(dancu(["dev", "--base-port", &other, "--data"]).arg(&data).output().unwrap());
    assert_eq!((code, err.contains(&port.to_string())), (2, true), "{err}");
    let dev = Dev::start_at(&data, port);
    println!("dancu dev was ready again after {:.1?}", dev.started.elapsed());
    let consistency = format!("at-least={revision}");
    let arguments =
        ["--json", "person", "get", "-e", &dev.address(3), "--id", &id, "--consistency", &consistency];
    assert_eq!(json(&mut dancu(arguments), 0)["person"]["birth_name"]["given"], "Thùy");
    dev.interrupt();
}

#[test]
fn tools_verify_tells_a_match_a_mismatch_and_an_error_apart() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(&folder.path().join("data"));
    let (address, id) = (dev.address(3), people::personal_id(7));
    let person = format!(
        r#"{{"personal_id":"{id}","birth_date":"1990","gender":"female","marital_status":"married",
            "birth_name":{{"family":"Nguyễn","middle":"Thị","given":"Thuý"}},
            "permanent_residence":{{"unit_code":"00001","unit_edition":"v63","detail":"Số 12"}}}}"#
    );
    json(&mut dancu(["--json", "person", "create", "-e", &address, &person]), 0);
    let verify = |claims: &[&str], expected: i32, rows: &[&str]| {
        let arguments = [&["verify", "-e", &address, "--id", &id], claims].concat();
        let (code, out, err) = run(&arguments);
        assert_eq!(code, expected, "{claims:?}: {out}{err}");
        // Spaces are for the eye.
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let lines: Vec<_> = out.lines().map(words).collect();
        assert_eq!(lines[0], "claim verdict strength note");
        assert_eq!(lines[1..=rows.len()], *rows, "{out}");
        assert_eq!(err.is_empty(), code < 2, "{err}");
    };

    // One word in the other style, a birth date to the year, a unit of the other edition around the one registered.
    verify(
        &[
            "--name=nguyễn thị thúy",
            "--born=1990-05-17",
            "--residence=01@v34, Số 12",
            "--marital-status=married",
        ],
        0,
        &[
            "full_name match canonical",
            "birth_date match compared to the year",
            "marital_status match",
            "permanent_residence match exact",
        ],
    );
    verify(&["--age-at-least=18", "--on=2026-01-31"], 0, &["age match compared to the year"]);
    verify(&["--name=nguyễn thị thúy", "--require=exact"], 1, &["full_name no_match canonical"]);
    verify(&["--given=Thùy", "--gender=female"], 1, &["given_name no_match folded", "gender match"]);
    // What the register does not hold is no match, and no mismatch.
    verify(&["--religion=00"], 1, &["religion not_available"]);
    let open = "age not_available compared to the year; the record's birth date leaves it open";
    verify(&["--age-at-least=18", "--on=2008-05-17"], 1, &[open]);
    // A malformed claim is no mismatch either: the letter is U+00D0.
    let note =
        "family_name invalid_input has a letter that looks like Đ or đ and is another; use U+0110 or U+0111";
    verify(&["--family=\u{D0}ỗ", "--gender=male"], 2, &[note, "gender no_match"]);

    let nobody = people::personal_id(8);
    let failing = |arguments: &[&str], expected| {
        let (code, out, err) = run([&["verify", "--gender=female"], arguments].concat());
        assert_eq!((code, out.as_str()), (expected, ""), "{arguments:?}: {err}");
        assert!(!err.is_empty());
    };
    failing(&["-e", &address, "--id", &nobody], 2);
    failing(&["-e", &address, "--id", "12"], 2);
    failing(&["-e", &address, "--id", &id, "--residence=01"], 2);
    failing(&["-e", &address, "--id", &id, "--consistency=as-of=999999999"], 2);
    failing(&["-e", "127.0.0.1:9", "--id", &id, "--timeout=0.3"], 2);
    dev.interrupt();
}

#[test]
fn tools_an_import_that_was_killed_is_completed_by_a_second_run_without_doubles() {
    const COUNT: u64 = 20_000;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("people.ndjson");
    let path = file.to_str().unwrap();
    let (code, _, err) = run(["generate", "--count", &COUNT.to_string(), "--seed", "7", "--output", path]);
    assert_eq!(code, 0, "{err}");
    let dev = Dev::start(&folder.path().join("data"));
    let address = dev.address(3);

    let mut first = dancu(["import", "-e", &address, "--chunk", "100", path]).spawn().unwrap();
    let begun = Instant::now();
    // The province may be behind what was acknowledged: it is asked for a revision that it must have reached.
    let persons = |revision: &str| {
        let arguments = ["--json", "cluster", "digest", "-e", &address, "--at-least", revision];
        let digest = json(&mut dancu(arguments), 0);
        digest["persons"].as_u64().unwrap()
    };
    while persons("0") < COUNT / 10 {
        assert!(begun.elapsed() < PATIENCE, "the import does not get on");
    }
    first.kill().unwrap();
    assert!(!first.wait().unwrap().success(), "the first import was not killed in time");
    let before = persons("0");

    let second = json(&mut dancu(["--json", "import", "-e", &address, "--chunk", "100", path]), 0);
    let held = persons(&second["revision"].to_string());
    println!("killed after {before} of {COUNT} people; the second run: {second}; held in the end: {held}");
    assert_eq!(second["rejected"], 0);
    assert_eq!(held, COUNT, "people were lost or doubled");

    // A third run, of the same file in other chunks, finds everybody there already.
    let third = json(&mut dancu(["--json", "import", "-e", &address, "--chunk", "777", path]), 0);
    assert_eq!((&third["created"], &third["existing"]), (&Value::from(0), &Value::from(COUNT)));

    // What is no person is listed with its line; everybody else goes in.
    let odd = folder.path().join("odd.ndjson");
    let good = std::fs::read_to_string(&file).unwrap().lines().next().unwrap().to_owned();
    std::fs::write(&odd, format!("{good}\n{{\"shoe_size\": 38}}\n{{\"birth_date\": \"1990\"}}\n")).unwrap();
    let summary = json(dancu(["--json", "import", "-e", &address]).arg(&odd), 1);
    assert_eq!((&summary["existing"], &summary["rejected"]), (&Value::from(1), &Value::from(2)));
    let rejects = std::fs::read_to_string(folder.path().join("odd.ndjson.rejects.ndjson")).unwrap();
    let lines: Vec<Value> = rejects.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["line"], &lines[1]["line"]), (&Value::from(2), &Value::from(3)));
    assert!(
        !lines[1]["field"].as_str().unwrap().is_empty() && !lines[1]["reason"].as_str().unwrap().is_empty()
    );
    dev.interrupt();
}

#[test]
fn tools_say_what_is_wrong_by_exit_code_and_message() {
    let (code, _, err) = run(["person", "get", "-e", "127.0.0.1:9", "--uid", "1", "--timeout", "0.3"]);
    assert_eq!(code, 3, "{err}");
    assert!(err.starts_with("dancu: ") && err.contains("127.0.0.1:9"), "{err}");
    let (code, _, err) = run(["person", "get", "-e", "nowhere", "--uid", "1"]);
    assert_eq!(code, 2, "{err}");
    let (code, _, err) = run(["import", "/no/such/file"]);
    assert_eq!((code, err.contains("/no/such/file")), (2, true), "{err}");
    for usage in [&["verify", "--id", "001190000001"][..], &["person", "get"], &["nonsense"], &["node"]] {
        assert_eq!(run(usage).0, 2, "{usage:?}");
    }
}

/// In the small, what `scripts/demo` shows in the large.
#[test]
fn tools_demo_holds_what_it_states() {
    let told = json(&mut dancu(["--json", "demo", "--count", "2000"]), 0);
    println!("{told}");
    assert_eq!((&told["held"], &told["broken"]), (&Value::Bool(true), &serde_json::json!([])));
}

#[test]
fn tools_generate_the_same_people_for_the_same_seed() {
    let people = |count: &str, first: &str| {
        let (code, out, err) = run(["generate", "--count", count, "--seed", "3", "--first", first]);
        assert_eq!(code, 0, "{err}");
        out
    };
    assert_eq!(people("100", "0"), people("40", "0") + &people("60", "40"));
}
