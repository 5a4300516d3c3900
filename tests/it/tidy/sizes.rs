//! Lengths of files and functions.

use super::source::Source;

/// Lines of a file, comments and tests included. Most should be below 300.
const FILE_LINES: usize = 500;

/// Lines of code of a function, from `fn` to its closing brace; comments and empty lines are free.
const FUNCTION_LINES: usize = 70;

/// A file that is too long.
pub fn files(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    let complaint =
        || format!("{}: {lines} lines, more than {FILE_LINES}: split it where it has a seam", source.path);
    (lines > FILE_LINES).then(complaint).into_iter().collect()
}

/// Functions that are too long.
pub fn functions(source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    for (place, _) in source.code.match_indices("fn ") {
        let (before, rest) = source.code.split_at(place);
        let name: String = rest[3..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let in_word = before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let Some(body) = body(rest).filter(|_| !in_word && !name.is_empty()) else { continue };
        let lines = body.lines().filter(|line| !line.trim().is_empty()).count();
        if lines > FUNCTION_LINES {
            let line = before.matches('\n').count() + 1;
            let what = "lines of code, more than";
            complaints.push(format!("{}:{line}: {name} has {lines} {what} {FUNCTION_LINES}", source.path));
        }
    }
    complaints
}

/// From `fn` to the brace that closes the body; nothing for a declaration without body.
fn body(rest: &str) -> Option<&str> {
    let mut brackets = 0_i32;
    let mut braces = 0_i32;
    for (place, character) in rest.char_indices() {
        match character {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets -= 1,
            ';' if brackets == 0 && braces == 0 => return None,
            '{' => braces += 1,
            '}' => {
                braces -= 1;
                if braces == 0 {
                    return Some(&rest[..=place]);
                }
            }
            _ => {}
        }
    }
    None
}

#[test]
fn a_long_file_is_found() {
    assert_eq!(files(&Source::new("src/a.rs", &"//\n".repeat(FILE_LINES + 1))).len(), 1);
    assert_eq!(files(&Source::new("src/a.rs", &"//\n".repeat(FILE_LINES))).len(), 0);
}

#[test]
fn a_long_function_is_found() {
    let function = |lines: usize| {
        format!("trait T {{ fn t(); }}\nfn a(x: [u8; 3]) -> fn(u8) {{\n{}}}\n", "x();\n".repeat(lines))
    };
    let bad = |text: &str| functions(&Source::new("src/a.rs", text));
    assert_eq!(bad(&function(FUNCTION_LINES - 1)), ["src/a.rs:2: a has 71 lines of code, more than 70"]);
    assert!(bad(&function(FUNCTION_LINES - 2)).is_empty());
    // Comments, empty lines and braces in texts do not count, and what follows is not part of it.
    let quiet = format!("fn a() {{\n{}let b = \"{{\";\n}}\nfn c() {{}}\n", "// why\n\n".repeat(80));
    assert!(bad(&format!("{quiet}{}", "const X: u8 = 1;\n".repeat(80))).is_empty());
}
