//! Choosing names, and writing the tone mark on the other vowel.

use super::numbers::SplitMix64;
use super::tables::TABLES;
use crate::proto::registry::{Gender, PersonName};

/// The vowels of an open syllable whose tone mark some put on the first and some on the second: oa, oe, uy. Each row
/// has the vowel without a tone and then with each of the five, in the same order.
const OPEN: [[&str; 2]; 5] = [
    ["oòóỏõọ", "aàáảãạ"],
    ["oòóỏõọ", "eèéẻẽẹ"],
    ["uùúủũụ", "yỳýỷỹỵ"],
    ["OÒÓỎÕỌ", "aàáảãạ"],
    ["UÙÚỦŨỤ", "yỳýỷỹỵ"],
];

/// A family name by its frequency, with a middle and a given name of the gender.
pub(super) fn choose(random: &mut SplitMix64, gender: Gender) -> PersonName {
    let families = &TABLES.families;
    let total = families.last().map_or(1, |(sum, _)| *sum);
    let weight = random.below(total);
    let family = families[families.partition_point(|(sum, _)| *sum <= weight)].1;
    let names = &TABLES.given[usize::from(gender == Gender::Female)];
    let name = names[random.index(names.len())];
    // The last word is the given name; one word alone is a given name too.
    let (middle, given) = name.rsplit_once(' ').unwrap_or(("", name));
    PersonName { family: family.to_owned(), middle: middle.to_owned(), given: given.to_owned() }
}

/// The same name with every tone mark that may stand on either vowel on the other one, or nothing when there is no
/// such mark. Both spellings are correct: the older is hòa, thúy; the newer is hoà, thuý.
pub(super) fn other_tone_style(name: &str) -> Option<String> {
    let words: Vec<_> = name.split(' ').map(|word| (word, other_word(word))).collect();
    if words.iter().all(|(_, other)| other.is_none()) {
        return None;
    }
    let words: Vec<_> = words.into_iter().map(|(word, other)| other.unwrap_or(word.to_owned())).collect();
    Some(words.join(" "))
}

fn other_word(word: &str) -> Option<String> {
    // In "quý" the u belongs to the consonant, so its tone has one place only.
    if word.starts_with(['q', 'Q']) {
        return None;
    }
    let mut letters: Vec<char> = word.chars().collect();
    let [.., first, second] = letters.as_mut_slice() else { return None };
    OPEN.iter().find_map(|[firsts, seconds]| {
        let tone_of = |row: &str, c| row.chars().position(|other| other == c);
        let with_tone = |row: &str, tone: usize| row.chars().nth(tone);
        let (on_first, on_second) = (tone_of(firsts, *first)?, tone_of(seconds, *second)?);
        // One of the two has the tone, and gives it to the other.
        if (on_first == 0) == (on_second == 0) {
            return None;
        }
        (*first, *second) = (with_tone(firsts, on_second)?, with_tone(seconds, on_first)?);
        Some(())
    })?;
    Some(letters.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{data, matching, text};
    use crate::proto::registry::MatchStrength;

    #[test]
    fn the_tone_mark_changes_its_place() {
        #[rustfmt::skip]
        let pairs = [
            ("Nguyễn Thị Hoà", "Nguyễn Thị Hòa"), ("Thuý", "Thúy"), ("Thuỷ", "Thủy"), ("Thuỵ", "Thụy"), ("Loè", "Lòe"),
            ("Uý", "Úy"), ("Oà", "Òa"), ("Hoà Thuỷ", "Hòa Thủy"),
        ];
        for (new, old) in pairs {
            assert_eq!(other_tone_style(new).as_deref(), Some(old));
            assert_eq!(other_tone_style(old).as_deref(), Some(new));
        }
        for only in ["Nguyễn Văn Hoa", "Quý", "Hoàng", "Huỳnh", "Khoa", "Y", "", "Duy", "Hoài", "Toàn"]
        {
            assert_eq!(other_tone_style(only), None, "{only}");
        }
    }

    #[test]
    fn every_name_of_the_files_may_be_registered() {
        let names = TABLES.families.iter().map(|(_, name)| name).chain(TABLES.given.iter().flatten());
        for name in names {
            assert_eq!(text::check_name(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn both_tone_styles_are_one_name() {
        let given: Vec<_> = TABLES.given.iter().flatten().copied().collect();
        let communes = data::rows(data::COMMUNES34).into_iter().map(|[_, _, name]| name).collect();
        let counts = [("given names", given, 110), ("communes", communes, 191)];
        for (what, names, expected) in counts {
            let twice = names.iter().filter_map(|name| Some((name, other_tone_style(name)?)));
            let twice: Vec<_> = twice.collect();
            println!("{} of {} {what} have two spellings", twice.len(), names.len());
            assert_eq!(twice.len(), expected);
            for (name, other) in twice {
                assert_eq!(matching::strength(name, &other), MatchStrength::Canonical, "{name}");
            }
        }
    }
}
