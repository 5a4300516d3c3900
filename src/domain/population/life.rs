//! Ethnicity, religion, blood type, marital status and contacts.

use super::numbers::SplitMix64;
use super::{Part, Place, Population, day_in};
use crate::domain::{matching, text};
use crate::proto::registry::{BloodType, Extension, MaritalStatus, Person, extension};

/// Of 100,000 people, so many have each ethnicity from code 01 on; roughly as in the census of 2019.
const ETHNICITIES: [u32; 54] = [
    85_320, 1_920, 1_890, 780, 1_370, 1_510, 1_130, 1_450, 930, 530, 1, 410, 300, 220, 210, 210, 190, 190,
    155, 130, 150, 105, 98, 95, 70, 77, 66, 53, 94, 42, 54, 31, 17, 31, 26, 24, 18, 16, 10, 13, 13, 7, 5, 8,
    5, 8, 4, 3, 3, 1, 1, 1, 1, 1,
];

/// Some who have these ethnicities call them by another name.
const OTHER_NAMES: [(usize, &str); 4] = [(8, "Hmông"), (10, "Jrai"), (12, "Rađê"), (13, "Bahnar")];

/// Of 100 people, so many have each religion. The official codes are not confirmed: these are for tests.
const RELIGIONS: [(u32, &str); 6] = [(76, "00"), (10, ""), (5, "01"), (6, "02"), (1, "03"), (2, "04")];

/// Of 100 people, so many have each blood type on record.
const BLOOD: [(u32, BloodType); 6] = [
    (45, BloodType::Unspecified),
    (10, BloodType::Unknown),
    (19, BloodType::O),
    (14, BloodType::B),
    (9, BloodType::A),
    (3, BloodType::Ab),
];

impl Population {
    /// What a record says of the person's life.
    pub(super) fn add_life(&self, place: &Place, person: &mut Person) {
        let mut random = self.random(place.index, Part::Life);
        let code = 1 + weighted(&mut random, ETHNICITIES.iter().copied());
        person.ethnicity = format!("{code:02}");
        if let Some((_, name)) = OTHER_NAMES.iter().find(|(other, _)| *other == code)
            && random.percent(20)
        {
            person.ethnicity_name = (*name).to_owned();
        }
        let religion = weighted(&mut random, RELIGIONS.iter().map(|(share, _)| *share));
        person.religion = RELIGIONS[religion].1.to_owned();
        let blood = weighted(&mut random, BLOOD.iter().map(|(share, _)| *share));
        person.blood_type = BLOOD[blood].1.into();
        person.marital_status = self.marital_status(place).into();
        if random.percent(2) {
            person.other_names = vec![other_name(&mut random, person)];
        }
        if place.age() >= 28 && random.percent(1) {
            person.extensions = service(&mut random, place);
        }
        if self.is_alive(place.index) && place.age() >= 15 {
            self.add_contacts(place, person);
        }
    }

    /// By age; men and women alike.
    pub(super) fn marital_status(&self, place: &Place) -> MaritalStatus {
        // Of 100 at each age, so many are married, and so many were.
        let (married, were) = match place.age() {
            0..20 => return MaritalStatus::NeverMarried,
            20..25 => (25, 0),
            25..30 => (55, 2),
            30..40 => (85, 4),
            40..60 => (88, 7),
            _ => (65, 30),
        };
        match self.random(place.index, Part::Marriage).below(100) {
            99 => MaritalStatus::Unknown,
            share if share < married => MaritalStatus::Married,
            share if share < married + were => MaritalStatus::DivorcedOrWidowed,
            _ => MaritalStatus::NeverMarried,
        }
    }

    /// Nobody can be reached here: no mobile number begins with 06, and the domain is kept for examples (RFC 2606).
    fn add_contacts(&self, place: &Place, person: &mut Person) {
        let mut random = self.random(place.index, Part::Contact);
        let numbers = [1, 1, 1, 1, 1, 1, 1, 1, 2, 0][random.index(10)];
        person.phone_numbers = (0..numbers).map(|_| format!("06{:08}", random.below(100_000_000))).collect();
        // Two draws may meet, and a record lists a number once.
        person.phone_numbers.dedup();
        if random.percent(25) {
            let name = person.birth_name.as_ref().map(matching::full_name).unwrap_or_default();
            let (name, number) = (text::plain(&name).collect::<String>(), random.below(1_000));
            person.email_addresses = vec![format!("{name}{number}@example.com")];
        }
    }
}

/// What the army knows of somebody: an extension of each kind.
fn service(random: &mut SplitMix64, place: &Place) -> Vec<Extension> {
    let rank = ["Binh nhất", "Hạ sĩ", "Trung sĩ", "Thượng sĩ"][random.index(4)];
    let year = place.group.year + 20 + random.one_to(7);
    let until = day_in(random, year);
    let facts = [
        ("military_service", extension::Value::Flag(true)),
        ("military_rank", extension::Value::Text(rank.to_owned())),
        ("military_months", extension::Value::Number(if random.percent(80) { 24 } else { 30 })),
        ("military_until", extension::Value::Date(until)),
    ];
    facts.map(|(name, value)| Extension { name: name.to_owned(), value: Some(value) }).to_vec()
}

/// The given name alone with another middle name, as among friends.
fn other_name(random: &mut SplitMix64, person: &Person) -> String {
    let name = person.birth_name.clone().unwrap_or_default();
    let between = ["Bảo", "Gia", "Kim", "Minh", "Ngọc"][random.index(5)];
    format!("{} {between} {}", name.family, name.given)
}

/// A position in a list of weights.
fn weighted(random: &mut SplitMix64, weights: impl Iterator<Item = u32> + Clone) -> usize {
    let mut left = random.below(weights.clone().map(u64::from).sum());
    for (i, weight) in weights.map(u64::from).enumerate() {
        if left < weight {
            return i;
        }
        left -= weight;
    }
    unreachable!("the number drawn is below the sum of the weights")
}
