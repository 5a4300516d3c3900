//! Text: its normal form, and which characters it may have.
//!
//! Writes must bring NFC; nothing is corrected in silence, because two systems that correct differently no longer
//! agree on a name. What a caller only claims, and the registry does not store, is normalised by [`nfc_trimmed`].
//!
//! A name is made of letters of the Latin script, single spaces, hyphens, apostrophes and full stops. It has no
//! digits, no symbols, no control or invisible characters, and no letters of other scripts, so a Cyrillic "а" never
//! hides in one. Three Latin letters look like Đ and đ (U+0110, U+0111) and are refused for that reason.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use unicode_normalization::{UnicodeNormalization, is_nfc};

/// Letters a name may have.
const LETTERS: &[RangeInclusive<char>] = &[
    'A'..='Z',
    'a'..='z',
    '\u{00C0}'..='\u{00D6}', // Latin-1
    '\u{00D8}'..='\u{00F6}',
    '\u{00F8}'..='\u{00FF}',
    '\u{0100}'..='\u{0148}', // Latin Extended-A without the deprecated ŉ and the long s
    '\u{014A}'..='\u{017E}',
    '\u{0180}'..='\u{01BF}', // Latin Extended-B without clicks (which look like | and !) and digraphs
    '\u{01CD}'..='\u{024F}',
    '\u{1E00}'..='\u{1EFF}', // Latin Extended Additional: most Vietnamese vowels
];

/// Letters that look like Đ or đ and are not: eth in both cases, and the African D.
const LOOKALIKES: &[char] = &['\u{00D0}', '\u{00F0}', '\u{0189}'];

/// Lower-case letters whose stroke (or dot that is not there) Unicode does not take apart, and what they are without.
const STROKES: &[(char, char)] =
    &[('đ', 'd'), ('ƀ', 'b'), ('ħ', 'h'), ('ł', 'l'), ('ø', 'o'), ('ŧ', 't'), ('ı', 'i')];

/// The apostrophes of names: H'Hen, H’Hen.
pub const APOSTROPHES: [char; 2] = ['\'', '\u{2019}'];

/// What may stand between letters.
const PUNCTUATION: &[char] = &[' ', '-', '\'', '\u{2019}', '.'];

/// Ê-đê and Gia-rai write these vowels with a breve, and Unicode has no precomposed form of that: it is the one
/// combining mark that NFC leaves in names of this country.
const BREVE: char = '\u{0306}';
const BREVE_BASES: &[char] = &['Ê', 'Ô', 'Ơ', 'Ư', 'ê', 'ô', 'ơ', 'ư'];

/// Characters that do not show, or that change the order in which others show.
const INVISIBLE: &[RangeInclusive<char>] = &[
    '\u{00AD}'..='\u{00AD}',
    '\u{200B}'..='\u{200F}',
    '\u{2028}'..='\u{202E}',
    '\u{2060}'..='\u{206F}',
    '\u{FEFF}'..='\u{FEFF}',
];

/// The text in NFC and without white space around it.
pub fn nfc_trimmed(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    if is_nfc(text) { Cow::Borrowed(text) } else { Cow::Owned(text.nfc().collect()) }
}

/// The letters and digits of a text, without case, diacritics, spaces and punctuation. Numbers stay apart: house 12/3
/// is not house 123.
pub fn plain(text: &str) -> impl Iterator<Item = char> {
    let (mut last, mut apart) = (' ', false);
    let kept = text.nfd().flat_map(char::to_lowercase).flat_map(move |c| {
        if !c.is_alphanumeric() {
            apart |= !APOSTROPHES.contains(&c);
            return [None, None];
        }
        let between = apart && last.is_numeric() && c.is_numeric();
        (last, apart) = (c, false);
        [between.then_some(' '), Some(without_stroke(c))]
    });
    kept.flatten()
}

/// What two texts have in common that are equal but for case, diacritics, spaces and punctuation, and i and y: "Đỗ Thị
/// Lý" and "DOTHILI" fold alike, and so do many names that are not the same. What folds alike may be looked up
/// together, and no more. Without diacritics and spaces nobody can tell "Ma Ý" from "May", so i and y are one letter
/// everywhere here, though the two are variants of each other in few places.
pub fn fold(text: &str) -> impl Iterator<Item = char> {
    plain(text).map(|c| if c == 'y' { 'i' } else { c })
}

/// The key under which a name is looked up: [`fold`].
pub fn folded(name: &str) -> String {
    fold(name).collect()
}

fn without_stroke(c: char) -> char {
    STROKES.iter().find(|(stroked, _)| *stroked == c).map_or(c, |(_, plain)| *plain)
}

/// Whether the text has more than `max` characters (Unicode scalar values).
pub fn longer_than(text: &str, max: usize) -> bool {
    text.len() > max && text.chars().count() > max
}

/// Checks a name or a part of one, as it is to be stored. Empty is refused, and so are spaces at either end or next
/// to each other, which nobody sees and an exact comparison would. The error says what was expected.
pub fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("must not be empty");
    }
    check_nfc(name)?;
    if name.starts_with(' ') || name.ends_with(' ') || name.contains("  ") {
        return Err("must have no space at either end and no two in a row");
    }
    check_name_characters(name)
}

/// Checks only the characters of a name that is in NFC: what a claimed name is held to.
pub fn check_name_characters(name: &str) -> Result<(), &'static str> {
    let mut before = None;
    let mut letters = 0;
    for c in name.chars() {
        if LOOKALIKES.contains(&c) {
            return Err("has a letter that looks like Đ or đ and is another; use U+0110 or U+0111");
        }
        if LETTERS.iter().any(|range| range.contains(&c)) {
            letters += 1;
        } else if c == BREVE {
            if !before.is_some_and(|base| BREVE_BASES.contains(&base)) {
                return Err("has a combining mark that no letter of a name takes");
            }
        } else if !PUNCTUATION.contains(&c) {
            return Err(why_not(c));
        }
        before = Some(c);
    }
    if letters == 0 { Err("must have a letter") } else { Ok(()) }
}

/// Checks text that is no name, such as the detail of an address: NFC, nothing that does not show, and no white space
/// at either end. It may be empty.
pub fn check_free(text: &str) -> Result<(), &'static str> {
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    check_nfc(text)?;
    if text.trim().len() != text.len() {
        return Err("must have no white space at either end");
    }
    if text.chars().any(is_hidden) { Err(HIDDEN) } else { Ok(()) }
}

const HIDDEN: &str = "must have no control characters and none that do not show";

fn is_hidden(c: char) -> bool {
    c.is_control() || INVISIBLE.iter().any(|range| range.contains(&c))
}

/// Why a character has no place in a name, so that whoever typed it knows what to look for.
fn why_not(c: char) -> &'static str {
    if is_hidden(c) {
        HIDDEN
    } else if c.is_alphabetic() {
        "has a letter of another script, or one that no name takes; Latin letters only"
    } else if c.is_numeric() {
        "must have no digits"
    } else {
        "may have Latin letters, spaces, hyphens, apostrophes and full stops only"
    }
}

fn check_nfc(text: &str) -> Result<(), &'static str> {
    if text.is_ascii() || is_nfc(text) { Ok(()) } else { Err("must be in Unicode normal form NFC") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        #[rustfmt::skip]
        let cases = [
            ("Nguyễn", true), ("Đỗ", true), ("Thị Thanh Thuỷ", true), ("H'Hen", true), ("H’Hen", true),
            ("Y Blim", true), ("Niê Kđăm", true), ("Bà Rịa-Vũng", true), ("Nguyễn T.", true), ("Ksor", true),
            ("Ƀrih", true), ("Čil", true), ("\u{00CA}\u{0306}ban", true), ("Kp\u{01B0}\u{0306}", true), ("Müller", true),
            ("", false), (" Lan", false), ("Lan ", false), ("Thị  Lan", false), ("-", false), ("Lan\u{00A0}Anh", false),
            ("Nguye\u{0302}\u{0303}n", false), ("a\u{0306}b", false), ("x\u{0306}", false), ("\u{0306}Lan", false),
            ("Ðỗ", false), ("ðỗ", false), ("\u{0189}ỗ", false),
            ("Lаn", false), ("Λan", false), ("阮", false),
            ("Lan1", false), ("Lan_", false), ("Lan,", false), ("Lan\n", false), ("Lan\0", false),
            ("La\u{200B}n", false), ("La\u{202E}n", false), ("ǃan", false),
        ];
        for (name, valid) in cases {
            assert_eq!(check_name(name).is_ok(), valid, "{}", name.escape_unicode());
        }
    }

    #[test]
    fn what_is_wrong_with_a_name_is_said_exactly() {
        #[rustfmt::skip]
        let cases = [
            // U+00D0, a Cyrillic а among Latin letters, and a Greek name.
            ("Ðỗ", "looks like Đ"), ("ðỗ", "looks like Đ"), ("L\u{0430}n", "another script"), ("Λαν", "another script"),
            ("L\u{0007}an", "control characters"), ("La\u{200B}n", "do not show"), ("Lan7", "digits"),
            ("Lan_", "full stops only"), ("Nguye\u{0302}\u{0303}n", "NFC"), ("Lan ", "no space"), ("Lk\u{0306}an", "mark"),
            ("", "empty"), ("-", "a letter"),
        ];
        for (name, expected) in cases {
            let why = check_name(name).expect_err(expected);
            assert!(why.contains(expected), "{}: {why}", name.escape_unicode());
        }
    }

    #[test]
    fn free_text() {
        #[rustfmt::skip]
        let cases = [
            ("", true), ("Số 12/3, ngõ 4 (cũ)", true), ("ул. Ленина 5", true), ("Ðakota", true),
            ("a\tb", false), ("a\u{0007}", false), ("a\u{FEFF}b", false), ("a\u{2028}b", false), (" a", false),
            ("a ", false), ("ngo\u{0303}", false), ("\u{0085}", false),
        ];
        for (text, valid) in cases {
            assert_eq!(check_free(text).is_ok(), valid, "{}", text.escape_unicode());
        }
    }

    #[test]
    fn claims_are_normalised_and_trimmed() {
        assert_eq!(nfc_trimmed(" Nguye\u{0302}\u{0303}n\n"), "Nguyễn");
        assert!(matches!(nfc_trimmed("Nguyễn"), Cow::Borrowed("Nguyễn")));
    }

    #[test]
    fn folding_leaves_letters_and_numbers() {
        #[rustfmt::skip]
        let cases = [
            ("Đỗ Thị Thuỷ", "dothithuy"), ("ĐỖ THỊ THỦY", "dothithuy"), ("Do-Thi 'Thuy.", "dothithuy"),
            ("Đỗ Thị Thu\u{0309}y", "dothithuy"), ("Kp\u{01B0}\u{0306} Ƀrih", "kpubrih"), ("Łukasz İ ı", "lukaszii"),
            ("Số 12/3, ngõ 4", "so12 3ngo4"), ("Số 123, ngõ 4", "so123ngo4"), ("12'3", "123"), ("", ""),
        ];
        for (text, expected) in cases {
            assert_eq!(plain(text).collect::<String>(), expected, "{text}");
            assert_eq!(folded(text), expected.replace('y', "i"), "{text}");
        }
        assert_eq!(folded("Lý"), folded("LI"));
    }

    #[test]
    fn length_counts_characters_and_not_bytes() {
        assert!(!longer_than(&"ễ".repeat(100), 100));
        assert!(longer_than(&"ễ".repeat(101), 100));
    }
}
