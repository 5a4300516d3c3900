//! Reading the tree, and the code of a Rust file with comments and texts blanked.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// A text file of the project.
pub struct Source {
    /// Relative to the root, with '/'.
    pub path: String,
    /// As on disk.
    pub text: String,
    /// The same lines with comments and the content of texts replaced by spaces. Meant for Rust files.
    pub code: String,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_string(), text: text.to_string(), code: blank(text) }
    }

    /// The folder or file directly below src: "raft", "config", "main".
    pub fn top(&self) -> &str {
        let below = self.path.strip_prefix("src/").unwrap_or(&self.path);
        below.split('/').next().unwrap_or(below).trim_end_matches(".rs")
    }

    /// The code up to the unit tests, or nothing when the whole file is tests.
    pub fn code_outside_tests(&self) -> &str {
        if self.declared_as_tests()
            || self.path.ends_with("/tests.rs")
            || self.path.contains("/tests/")
            || self.path.starts_with("tests/")
        {
            return "";
        }
        match self.code.find("#[cfg(test)]\nmod tests {") {
            Some(start) => &self.code[..start],
            None => &self.code,
        }
    }

    /// Whether the folder's mod.rs takes the file in for tests only.
    fn declared_as_tests(&self) -> bool {
        let Some((folder, file)) = self.path.rsplit_once('/') else { return false };
        let parent = fs::read_to_string(root().join(folder).join("mod.rs")).unwrap_or_default();
        let module = format!("mod {};", file.trim_end_matches(".rs"));
        parent.split("#[cfg(test)]\n").skip(1).any(|after| {
            let line = after.lines().next().unwrap_or_default();
            line == module || (line.starts_with("pub") && line.ends_with(&format!(" {module}")))
        })
    }
}

/// The root of the tree that is checked.
pub fn root() -> PathBuf {
    // At run time, so that the tests also work from a target folder that several clones share.
    env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from)
}

/// The text of a file that must exist.
pub fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("cannot read {path}: {error}"))
}

/// The files with one of the endings at or below the given files and folders, in order of their paths.
pub fn files(places: &[&str], endings: &[&str]) -> Vec<Source> {
    let mut paths = Vec::new();
    places.iter().for_each(|place| collect(&root().join(place), &mut paths));
    paths.sort();
    let named =
        |path: &PathBuf| path.extension().is_some_and(|end| endings.iter().any(|wanted| end == *wanted));
    paths.iter().filter(|path| endings.is_empty() || named(path)).filter_map(|path| load(path)).collect()
}

/// Every text file that belongs to the project; what is built or written by running it is left out.
pub fn all_text() -> Vec<Source> {
    let entries = fs::read_dir(root()).expect("the root of the project can be read");
    let names = entries.map(|entry| entry.expect("an entry of the root").file_name());
    let names: Vec<String> = names.filter_map(|name| name.into_string().ok()).collect();
    let ours = |name: &&String| !["target", "data", ".git"].contains(&name.as_str());
    files(&names.iter().filter(ours).map(String::as_str).collect::<Vec<_>>(), &[])
}

fn collect(place: &Path, paths: &mut Vec<PathBuf>) {
    if place.is_file() {
        paths.push(place.to_path_buf());
    }
    let Ok(entries) = fs::read_dir(place) else { return };
    for entry in entries {
        collect(&entry.expect("an entry of a folder of the project").path(), paths);
    }
}

fn load(path: &Path) -> Option<Source> {
    let text = fs::read_to_string(path).ok()?;
    let relative = path.strip_prefix(root()).expect("files are below the root");
    Some(Source::new(relative.to_str()?, &text))
}

/// Blanks comments, texts and characters, line by line, so that what is left can be searched for code.
fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = token_end(bytes, at);
        if let Some(end) = end {
            code[at..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
        }
        at = end.unwrap_or(at + 1);
    }
    String::from_utf8(code).expect("whole tokens were replaced by spaces")
}

/// The end of the comment, text or character that begins at `at`, if one does.
fn token_end(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = &bytes[at..];
    let found = |needle: &[u8], from: usize| {
        let place = rest[from..].windows(needle.len()).position(|window| window == needle);
        place.map_or(bytes.len(), |place| at + from + place + needle.len())
    };
    let in_word = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    match rest {
        [b'/', b'/', ..] => Some(found(b"\n", 0)),
        [b'/', b'*', ..] => Some(found(b"*/", 2)),
        [b'r', b'"' | b'#', ..] if !in_word => {
            let hashes = rest[1..].iter().take_while(|byte| **byte == b'#').count();
            // r#name is an identifier.
            (rest.get(1 + hashes) == Some(&b'"'))
                .then(|| found(&[b"\"", &vec![b'#'; hashes][..]].concat(), 2 + hashes))
        }
        [b'"', ..] => Some(at + quoted_len(rest, b'"')),
        // A lifetime has no closing quote after one character.
        [b'\'', b'\\', ..] => Some(at + quoted_len(rest, b'\'')),
        [b'\'', first, ..] => {
            let width = match first {
                0..0x80 => 1,
                0x80..0xe0 => 2,
                0xe0..0xf0 => 3,
                _ => 4,
            };
            (rest.get(1 + width) == Some(&b'\'')).then_some(at + width + 2)
        }
        _ => None,
    }
}

fn quoted_len(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

#[test]
fn blanking_leaves_code_and_line_breaks() {
    let text = "let a = \"{ // no\"; // { \"\nlet b: &'a str = r#\"x\"} \"#; /* {\n */ let c = '{'; let d = '\\''; let e = 'ắ';";
    let code = blank(text);
    assert_eq!(code.lines().count(), text.lines().count());
    assert!(!code.contains(['{', '}', '"']), "{code}");
    assert!(code.contains("&'a str") && code.contains("let c") && code.contains("let e"), "{code}");
}

#[test]
fn tests_are_told_from_the_rest() {
    let source = Source::new("src/a.rs", "fn a() {}\n#[cfg(test)]\nmod tests { fn b() {} }\n");
    assert!(source.code_outside_tests().contains("fn a") && !source.code_outside_tests().contains("fn b"));
    assert_eq!(Source::new("src/a/tests.rs", "fn a() {}").code_outside_tests(), "");
    assert_eq!((source.top(), Source::new("src/raft/peer/auth.rs", "").top()), ("a", "raft"));
}
