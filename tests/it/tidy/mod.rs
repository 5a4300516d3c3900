//! Style as a test: what a reviewer would otherwise have to remember.
//!
//! | file | holds |
//! |---|---|
//! | source.rs | reading the tree; the code of a file without its comments and texts |
//! | imports.rs | which folder may use which, and who may name openraft, rocksdb and the like |
//! | sizes.rs | lengths of files and functions |
//! | words.rs | module docs, and words that must not be left in |
//! | proto.rs | a comment on everything in the .proto files |
//! | samples.rs | cluster/ equals what the library generates; README names only files that exist |
//!
//! Each rule is a function from text to complaints and is tested on a bad example beside it, because a check that cannot fail
//! is worth nothing. `CARGO_MANIFEST_DIR` names the tree that is checked.

mod imports;
mod proto;
mod samples;
mod sizes;
mod source;
mod words;

use source::Source;

/// Fails with all complaints at once, so that one run is enough to mend them.
fn check(complaints: impl IntoIterator<Item = String>) {
    let complaints: Vec<String> = complaints.into_iter().collect();
    assert!(complaints.is_empty(), "{} to mend:\n{}", complaints.len(), complaints.join("\n"));
}

/// Runs a rule over Rust files below one of the folders.
fn check_rust(folders: &[&str], rule: impl Fn(&Source) -> Vec<String>) {
    let files = source::files(folders, &["rs"]);
    assert!(!files.is_empty(), "no Rust file found below {folders:?}: the rule would hold for nothing");
    check(files.iter().flat_map(rule));
}

#[test]
fn folders_are_used_in_one_direction() {
    check_rust(&["src"], imports::direction);
}

#[test]
fn crates_stay_in_the_folders_that_own_them() {
    check_rust(&["src"], imports::owned_crates);
}

#[test]
fn the_domain_is_pure() {
    check_rust(&["src/domain"], imports::pure);
}

#[test]
fn every_file_says_what_it_is_for() {
    check_rust(&["src", "tests", "build.rs"], words::module_docs);
}

#[test]
fn files_and_functions_are_short() {
    check_rust(&["src", "tests", "build.rs"], sizes::files);
    check_rust(&["src", "tests", "build.rs"], sizes::functions);
}

#[test]
fn nothing_unfinished_is_left_in() {
    check_rust(&["src", "tests"], words::unfinished);
}

#[test]
fn only_tests_unwrap() {
    check_rust(&["src"], words::unwraps);
}

#[test]
fn only_the_tool_prints() {
    check_rust(&["src"], words::prints);
}

#[test]
fn no_path_of_somebodys_machine() {
    check(source::all_text().iter().flat_map(words::machine_paths));
}

#[test]
fn everything_in_the_protocols_is_explained() {
    let files = source::files(&["proto"], &["proto"]);
    assert!(!files.is_empty());
    check(files.iter().flat_map(proto::uncommented));
}

#[test]
fn samples_are_those_the_library_generates() {
    check(samples::differences());
}

#[test]
fn the_readme_names_only_what_exists() {
    check(samples::missing_from_readme(&source::read("README.md")));
}
