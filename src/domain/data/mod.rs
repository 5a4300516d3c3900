//! The data files, which are part of the program, each in one place. SOURCES.md says where each comes from, under which
//! licence, and how sure it is.

/// The 63 provinces of before 1 July 2025 (by 3 digits, as in a personal id) with the one that each is part of since:
/// code, name, code since, name since.
pub(super) const MERGER: &str = include_str!("merge34.csv");
/// The 3,321 communes since 1 July 2025: province, code, name; in the order of both codes.
pub(super) const COMMUNES34: &str = include_str!("communes34.csv");
/// The 696 districts of before: province (by 2 digits), code, name, and of a district without communes the communes
/// that share its ground since; in the order of both codes.
pub(super) const DISTRICTS63: &str = include_str!("districts63.csv");
/// The 10,035 communes of before: district, code, name, and the communes that share its ground since, with spaces
/// between; by district.
pub(super) const COMMUNES63: &str = include_str!("communes63.csv");
/// CMND numbers of each of the 63 provinces: code, first, last.
pub(super) const CMND_RANGES: &str = include_str!("cmnd9_ranges.csv");
/// Family names with their relative frequency.
pub(super) const FAMILY_NAMES: &str = include_str!("family_names.csv");
/// Gender, and a middle and given name.
pub(super) const GIVEN_NAMES: &str = include_str!("given_names.csv");

/// The rows of a file with a heading and N columns. The files are part of the program, so a malformed one is a
/// mistake of the build that a test finds.
pub(super) fn rows<const N: usize>(file: &'static str) -> Vec<[&'static str; N]> {
    let row = |line: &'static str| {
        let columns: Vec<_> = line.trim_end().split(',').collect();
        columns.try_into().expect("every row of a data file has the columns of its heading")
    };
    file.lines().skip(1).map(row).collect()
}
