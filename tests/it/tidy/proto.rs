//! A comment on every message, field, enum value, service and rpc: the .proto files are the manual of the API.

use super::source::Source;

/// Lines that declare nothing of the API.
const SILENT: [&str; 6] = ["syntax", "package", "import", "option", "reserved", "extensions"];

/// Declarations without a comment, above or on the same line.
pub fn uncommented(source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut commented = false;
    let mut inside_statement = false;
    for (number, line) in source.text.lines().enumerate() {
        let line = line.trim();
        let (statement, comment) =
            line.split_once("//").map_or((line, None), |(left, right)| (left.trim(), Some(right)));
        if statement.is_empty() {
            // A comment counts for what follows it directly.
            commented = comment.is_some_and(|text| !text.trim().is_empty());
            continue;
        }
        let word = statement.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
        let declares = !inside_statement && !word.is_empty() && !SILENT.contains(&word);
        if declares && !commented && comment.is_none() {
            complaints.push(format!("{}:{}: say what `{statement}` is", source.path, number + 1));
        }
        inside_statement = !statement.ends_with([';', '{', '}']);
        commented = false;
    }
    complaints
}

#[test]
fn a_declaration_without_comment_is_found() {
    let text = "\
syntax = \"proto3\";
package dancu.x.v1;
message A {
  uint64 a = 1;
  // Told.
  repeated string
    b = 2;
  reserved 3;
  uint64 c = 4; // told
  // Told, but not to d.

  uint64 d = 5;
  // One of.
  oneof e { uint64 f = 6; }
}
service S {
  rpc Do(A) returns (A);
}
enum E { E_UNSPECIFIED = 0; }
";
    let lines: Vec<String> = uncommented(&Source::new("a.proto", text))
        .iter()
        .map(|line| line.split(':').nth(1).unwrap().to_string())
        .collect();
    assert_eq!(lines, ["3", "4", "12", "16", "17", "19"]);
}
