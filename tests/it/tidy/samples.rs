//! Files that must agree with the code: the sample configurations and what README names.

use std::{env, fs};

use dancu::config::sample::samples;

use super::source;

/// Files of cluster/ that differ from what the library generates. With `UPDATE_SAMPLES=1` they are rewritten first.
pub fn differences() -> Vec<String> {
    let folder = source::root().join("cluster");
    if env::var_os("UPDATE_SAMPLES").is_some_and(|value| value == "1") {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("cluster/ can be made");
        for (name, text) in samples() {
            fs::write(folder.join(name), text).expect("a sample can be written");
        }
    }
    let on_disk: Vec<(String, String)> = source::files(&["cluster"], &[])
        .into_iter()
        .map(|file| (file.path.trim_start_matches("cluster/").to_string(), file.text))
        .collect();
    compare(&samples(), &on_disk)
}

fn compare(generated: &[(String, String)], on_disk: &[(String, String)]) -> Vec<String> {
    let advice =
        "run UPDATE_SAMPLES=1 cargo nextest run --release -E 'test(samples)' and look at the difference";
    let changed = generated.iter().filter(|file| !on_disk.contains(file)).map(|(name, _)| name);
    let unknown = on_disk.iter().filter(|(name, _)| !generated.iter().any(|(other, _)| other == name));
    let mut names: Vec<&String> = changed.chain(unknown.map(|(name, _)| name)).collect();
    names.sort();
    names.iter().map(|name| format!("cluster/{name} is not what src/config generates: {advice}")).collect()
}

/// Paths in README, in backquotes or as the target of a link, that do not exist.
pub fn missing_from_readme(readme: &str) -> Vec<String> {
    let paths = readme.split(['`', '(', ')', ' ', '\n', '|']).filter(|word| is_path(word));
    let missing = paths.filter(|path| !source::root().join(path.trim_end_matches(['/', '.', ','])).exists());
    missing.map(|path| format!("README.md names {path}, which does not exist")).collect()
}

fn is_path(word: &str) -> bool {
    let folders = ["src/", "tests/", "scripts/", "cluster/", "proto/", ".ci/", ".config/"];
    folders.iter().any(|folder| word.starts_with(folder)) && !word.contains(['*', '<', '{'])
}

#[test]
fn a_changed_missing_or_unknown_sample_is_found() {
    let file = |name: &str, text: &str| (name.to_string(), text.to_string());
    let generated = [file("a", "1"), file("b", "2"), file("c", "3")];
    let on_disk = [file("a", "1"), file("b", "other"), file("d", "4")];
    let complaints = compare(&generated, &on_disk);
    let names: Vec<&str> = complaints.iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names, ["cluster/b", "cluster/c", "cluster/d"]);
    assert!(compare(&generated, &generated).is_empty());
}

#[test]
fn a_path_in_readme_that_does_not_exist_is_found() {
    assert_eq!(missing_from_readme("see `src/nowhere.rs` and [it](scripts/never)").len(), 2);
    assert!(missing_from_readme("see `src/lib.rs`, cluster/*.toml, `src/`, and/or").is_empty());
}
