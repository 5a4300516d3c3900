//! How strongly two texts agree: the classes of [`PROFILE`], each with the key that is equal when the class holds.
//!
//! ```text
//! EXACT      code points after NFC and trimming
//! CANONICAL  lower case; one space where several stand; the tone of open oa, oe and uy on the second vowel
//! VARIANT    besides: i for y where it is the only vowel of a syllable; no apostrophes; a space for a hyphen
//! FOLDED     letters and digits alone, without diacritics: domain::text::fold
//! ```
//!
//! Each key is made from the one above it, so that what agrees in one class agrees in all below, and each class is
//! an equivalence. Words stay apart down to VARIANT, because "Ngọc Hân" and "Ngọ Chân" are two names.
//!
//! # The tone of an open syllable
//!
//! A syllable is an onset, a vowel or several, and maybe a coda; a tone stands on one vowel. Of o or u gliding into
//! the last vowel of a syllable, the older spelling marks the first (hòa, khỏe, thúy) and the newer one the second
//! (hoà, khoẻ, thuý): one word, and one key. That is all there is of oa, oe and uy at the end of a syllable that has no
//! other vowel. Elsewhere a tone has one place: before a coda (Hoàn, Huỳnh), among three vowels (Ngoáy, Khuỷu), on a
//! vowel with a mark of its own (Huế, Thuở), and where the letter belongs to the onset: the u of qu (Quý), the i of gi.
//!
//! # i and y
//!
//! As the only vowel of a syllable the two are written for each other (Quí and Quý, Lí and Lý, Kì and Kỳ). As a part
//! of several vowels they are not (Mai and May, Thúi and Thúy, Kiên), nor is the i of gi (Gìn).
//!
//! # A consonant alone
//!
//! No word of these languages is a consonant, so one that stands alone belongs to what follows: H Hen is H'Hen, and
//! K' Brêu is K'Brêu. Y Blim keeps its space.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::domain::text::{self, APOSTROPHES};
use crate::proto::registry::MatchStrength;

/// The rules by which texts are compared, as `ResponseMeta.normalization_profile` names them. Other rules would be
/// another name.
pub const PROFILE: &str = "vi-names/1";

/// Vowels without their marks.
const VOWELS: [char; 6] = ['a', 'e', 'i', 'o', 'u', 'y'];

/// Grave, acute, tilde, hook above, dot below, as combining marks.
const TONES: [char; 5] = ['\u{0300}', '\u{0301}', '\u{0303}', '\u{0309}', '\u{0323}'];

/// The strongest class that holds between two texts; UNSPECIFIED when none does. Texts that are equal as they come,
/// which is nearly all of them, are told so without a copy of either, and those that share no letters nearly so.
pub fn strength(one: &str, other: &str) -> MatchStrength {
    if one == other {
        return MatchStrength::Exact;
    }
    let (one, other) = (text::nfc_trimmed(one), text::nfc_trimmed(other));
    if one == other {
        return MatchStrength::Exact;
    }
    let mut letters = text::fold(&one).peekable();
    if letters.peek().is_none() || !letters.eq(text::fold(&other)) {
        return MatchStrength::Unspecified;
    }
    let (one, other) = (canonical(&one), canonical(&other));
    if one == other {
        MatchStrength::Canonical
    } else if variant(&one) == variant(&other) {
        MatchStrength::Variant
    } else {
        MatchStrength::Folded
    }
}

/// The key of CANONICAL, decomposed (NFD).
fn canonical(text: &str) -> Vec<char> {
    let mut key = Vec::with_capacity(text.len());
    for c in text.nfd().flat_map(char::to_lowercase) {
        let c = if c.is_whitespace() { ' ' } else { c };
        if c != ' ' || key.last() != Some(&' ') {
            key.push(c);
        }
    }
    syllables(&mut key).for_each(move_tone);
    key
}

/// The key of VARIANT, from that of CANONICAL.
fn variant(canonical: &[char]) -> Vec<char> {
    let mut key = Vec::with_capacity(canonical.len());
    let mut word = 0;
    for &c in canonical {
        if APOSTROPHES.contains(&c) {
            continue;
        }
        if c != ' ' && c != '-' {
            key.push(c);
        } else if word < key.len() && !is_lone_consonant(&key[word..]) {
            key.push(' ');
            word = key.len();
        }
    }
    if key.last() == Some(&' ') {
        key.pop();
    }
    syllables(&mut key).for_each(write_i);
    key
}

/// Runs of letters with their marks. What stands between two such runs is one of its own.
fn syllables(key: &mut [char]) -> impl Iterator<Item = &mut [char]> {
    let inside = |c: char| c.is_alphabetic() || is_combining_mark(c);
    key.chunk_by_mut(move |one, next| inside(*one) == inside(*next))
}

/// Puts the tone of an open oa, oe or uy on the second vowel.
fn move_tone(syllable: &mut [char]) {
    let [onset @ .., first, tone, second] = syllable else { return };
    let open = matches!((*first, *second), ('o', 'a' | 'e') | ('u', 'y')) && TONES.contains(tone);
    let simple = !onset.iter().any(|c| VOWELS.contains(c)) && onset.last() != Some(&'q');
    if open && simple {
        std::mem::swap(tone, second);
    }
}

/// Writes i for a y that is the only vowel after the onset.
fn write_i(syllable: &mut [char]) {
    let onset = if syllable.starts_with(&['q', 'u']) { 2 } else { 0 };
    let mut vowels = (onset..syllable.len()).filter(|&at| VOWELS.contains(&syllable[at]));
    let (Some(at), None) = (vowels.next(), vowels.next()) else { return };
    let after_g = at > 0 && syllable[at - 1] == 'g';
    if syllable[at] == 'y' && !after_g {
        syllable[at] = 'i';
    }
}

fn is_lone_consonant(word: &[char]) -> bool {
    matches!(word, [c] if c.is_alphabetic() && !VOWELS.contains(c))
}

#[cfg(test)]
mod tests {
    //! What holds for all texts. What the classes mean is in the scripts of `spec/`.

    use proptest::prelude::*;

    use super::*;
    use crate::domain::fixtures::random_cases;

    /// Names that differ in all that the classes look at.
    const NAMES: [&str; 12] = [
        "Nguyễn Thị Hoà",
        "Lý Quý Đôn",
        "Nguyễn Mỹ Ly",
        "H'Hen Niê",
        "K' Brêu",
        "Y Blim Ksor",
        "Bà Rịa - Vũng Tàu",
        "Kp\u{01B0}\u{0306} Ƀrih",
        "Trần Khoẻ Thuỵ",
        "Huỳnh Quỳnh Gìn",
        "Số 12/3, ngõ 4",
        "Zoë Müller",
    ];

    /// Ways to write a text otherwise, each of them numbered. Most keep it in a class with what it was.
    fn rewritten(text: &str, way: u8) -> String {
        let replaced = |from: &[char], to: &str| text.replace(from, to);
        match way {
            0 => text.nfd().collect(),
            1 => text.nfc().collect(),
            2 => text.to_uppercase(),
            3 => text.to_lowercase(),
            4 => replaced(&[' '], "  "),
            5 => format!(" {text}\t"),
            6 => replaced(&['à', 'ẻ', 'ỵ'], "a"),
            7 => text.replace("oà", "òa").replace("oẻ", "ỏe").replace("uỵ", "ụy"),
            8 => replaced(&['ý'], "í"),
            9 => text.replace("ly", "li").replace("Ly", "LI"),
            10 => replaced(&['\'', '-'], ""),
            11 => replaced(&['\'', '-'], "\u{2019}"),
            12 => replaced(&['-'], " "),
            13 => replaced(&[' '], ""),
            14 => text::plain(text).collect(),
            15 => text::folded(text),
            _ => replaced(&['N', 'n'], "m"),
        }
    }

    fn any_name() -> impl Strategy<Value = String> {
        let ways = prop::collection::vec(0u8..=16, 0..4);
        let written = (prop::sample::select(&NAMES[..]), ways);
        let name = written
            .prop_map(|(name, ways)| ways.iter().fold(name.to_owned(), |text, way| rewritten(&text, *way)));
        prop_oneof![8 => name, 1 => "\\PC{0,12}", 1 => "[hqg]?[uoi]?[\u{300}]?[aeiy][ '-]?[hy]?"]
    }

    /// Of two names, the second often the first in another writing.
    fn any_pair() -> impl Strategy<Value = (String, String)> {
        let again = (any_name(), 0u8..=16).prop_map(|(name, way)| (rewritten(&name, way), name));
        prop_oneof![again, (any_name(), any_name())]
    }

    /// From 0, EXACT, to 4, NONE.
    fn distance(one: &str, other: &str) -> u32 {
        (strength(one, other) as u32 + 4) % 5
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4_096, ..random_cases("domain::matching::profile") })]

        #[test]
        fn a_text_is_exactly_itself_in_every_form(text in any_name()) {
            for form in [text.nfc().collect::<String>(), text.nfd().collect(), format!(" {text}\n")] {
                prop_assert_eq!(strength(&text, &form), MatchStrength::Exact);
                prop_assert_eq!(canonical(&text::nfc_trimmed(&text)), canonical(&text::nfc_trimmed(&form)));
            }
        }

        #[test]
        fn no_matter_which_is_first_or_in_which_form((one, other) in any_pair()) {
            prop_assert_eq!(strength(&one, &other), strength(&other, &one));
            prop_assert_eq!(strength(&one, &other), strength(&one.nfd().collect::<String>(), &other));
        }

        /// Each class is transitive, and contains the stronger ones: of three texts, no two are further apart than
        /// the one between leaves them.
        #[test]
        fn classes_are_nested_and_transitive((one, other) in any_pair(), way in 0u8..=16, third in any_name()) {
            for between in [rewritten(&one, way), third] {
                let detour = distance(&one, &between).max(distance(&between, &other));
                prop_assert!(distance(&one, &other) <= detour);
            }
        }

        #[test]
        fn what_agrees_in_a_class_has_the_keys_of_all_below((one, other) in any_pair()) {
            let (one, other) = (text::nfc_trimmed(&one), text::nfc_trimmed(&other));
            let (one_canonical, other_canonical) = (canonical(&one), canonical(&other));
            let (one_variant, other_variant) = (variant(&one_canonical), variant(&other_canonical));
            let found = strength(&one, &other);
            prop_assert!(found != MatchStrength::Exact || one_canonical == other_canonical);
            prop_assert!(one_canonical != other_canonical || one_variant == other_variant);
            prop_assert!(one_variant != other_variant || text::folded(&one) == text::folded(&other));
            // The index of FindPersons leads to whatever agrees at all.
            prop_assert!(found == MatchStrength::Unspecified || text::folded(&one) == text::folded(&other));
        }

        /// Keys are their own keys, so it makes no difference how often a text was brought into one.
        #[test]
        fn a_key_is_the_key_of_itself(text in any_name()) {
            let key = canonical(&text);
            prop_assert_eq!(&canonical(&key.iter().collect::<String>()), &key);
            let key = variant(&key);
            prop_assert_eq!(&variant(&key), &key);
        }
    }
}
