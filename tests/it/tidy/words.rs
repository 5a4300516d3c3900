//! What must stand in a file, and what must not.

use super::source::Source;

/// Marks of work that is not done, as code: a test that is switched off is one too.
const UNFINISHED: [&str; 4] = ["todo!(", "unimplemented!(", "dbg!(", "#[ignore"];

/// The same in comments. Written in two parts, because this file is checked too.
const NOTES: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];

/// Folders of people and machines.
const MACHINE: [&str; 3] = [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/wo", "rk/")];

/// A file that does not begin by saying what it is for.
pub fn module_docs(source: &Source) -> Vec<String> {
    let told = source.text.lines().next().is_some_and(|line| line.len() > 5 && line.starts_with("//! "));
    let complaint = || format!("{}: begin with `//!`: what it is for and where it stands", source.path);
    (!told).then(complaint).into_iter().collect()
}

/// Unfinished work.
pub fn unfinished(source: &Source) -> Vec<String> {
    let mut complaints = occurrences(source, &source.code, &UNFINISHED, "finish it or leave it out");
    complaints.extend(occurrences(
        source,
        &source.text,
        &NOTES,
        "do it, or write down that it is absent and why",
    ));
    complaints
}

/// Panics that do not say why they cannot happen.
pub fn unwraps(source: &Source) -> Vec<String> {
    let what = "say with expect(\"...\") why it holds, or return the error";
    occurrences(source, source.code_outside_tests(), &[".unwrap()", ".unwrap_err()"], what)
}

/// Output outside the tool: the library logs by tracing, and standard output belongs to whoever uses it.
pub fn prints(source: &Source) -> Vec<String> {
    if matches!(source.top(), "cli" | "main") {
        return Vec::new();
    }
    let words = ["println!(", "print!(", "eprintln!(", "eprint!("];
    occurrences(source, source.code_outside_tests(), &words, "only src/cli prints; log it by tracing")
}

/// Paths that exist on one machine only.
pub fn machine_paths(source: &Source) -> Vec<String> {
    occurrences(source, &source.text, &MACHINE, "a path of one machine; derive it or let it be given")
}

fn occurrences(source: &Source, text: &str, words: &[&str], advice: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    for (number, line) in text.lines().enumerate() {
        // `my_todo!(` is no `todo!(`, and `src/root/` no path from the root. A method follows what it is called on.
        let begins = |place: usize, word: &str| {
            word.starts_with('.')
                || !line[..place].ends_with(|c: char| c.is_alphanumeric() || "_.".contains(c))
        };
        for word in words {
            if line.match_indices(word).any(|(place, _)| begins(place, word)) {
                complaints.push(format!("{}:{}: {word}: {advice}", source.path, number + 1));
            }
        }
    }
    complaints
}

#[test]
fn a_file_without_docs_is_found() {
    assert_eq!(module_docs(&Source::new("src/a.rs", "use std::fs;\n//! late\n")).len(), 1);
    assert_eq!(module_docs(&Source::new("src/a.rs", "")).len(), 1);
    assert_eq!(module_docs(&Source::new("src/a.rs", "//! What it is for.\n")).len(), 0);
}

#[test]
fn unfinished_work_is_found() {
    let text = "fn a() { todo!() }\nfn b() { dbg!(1); } // todo!()\nfn c() { my_todo!(\"todo!()\") }";
    let advice = "finish it or leave it out";
    let expected = [format!("src/a.rs:1: todo!(: {advice}"), format!("src/a.rs:2: dbg!(: {advice}")];
    assert_eq!(unfinished(&Source::new("src/a.rs", text)), expected);
    assert_eq!(unfinished(&Source::new("src/a.rs", &format!("// {}: later\n#[ignore]", NOTES[0]))).len(), 2);
}

#[test]
fn an_unwrap_outside_tests_is_found() {
    assert_eq!(unwraps(&Source::new("src/a.rs", "let a = b.unwrap();\nlet c = d.unwrap_or(1);")).len(), 1);
    assert_eq!(unwraps(&Source::new("src/a.rs", "#[cfg(test)]\nmod tests {\n b.unwrap() }")).len(), 0);
}

#[test]
fn a_print_in_the_library_is_found() {
    assert_eq!(prints(&Source::new("src/raft/a.rs", "println!(\"x\"); eprintln!(\"y\");")).len(), 2);
    assert_eq!(prints(&Source::new("src/cli/a.rs", "println!(\"x\");")).len(), 0);
}

#[test]
fn a_machine_path_is_found() {
    let bad = format!("data_dir = \"{}someone/data\"", MACHINE[0]);
    assert_eq!(machine_paths(&Source::new("cluster/a.toml", &bad)).len(), 1);
    assert_eq!(
        machine_paths(&Source::new("cluster/a.toml", "data_dir = \"/var/lib/dancu\" # src/root/a")).len(),
        0
    );
}
