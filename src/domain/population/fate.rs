//! Who died, who is missing, and who came from abroad or went there.

use super::{BIRTH_YEARS, Part, Population, day_in};
use crate::proto::registry::{Address, PartialDate, PhysicalStatus, PhysicalStatusKind};

/// Countries that people come from and go to.
const COUNTRIES: [&str; 8] = ["AU", "CZ", "DE", "FR", "JP", "KR", "TW", "US"];

impl Population {
    /// 3 % are deceased.
    pub(super) fn is_alive(&self, index: u64) -> bool {
        !self.random(index, Part::Death).percent(3)
    }

    /// The deceased died in any year since their birth, and whoever is missing was declared so in any. In the year of
    /// birth itself the day is left open.
    pub(super) fn physical_status(&self, index: u64, birth: &PartialDate) -> PhysicalStatus {
        let missing = self.random(index, Part::Missing).below(1_000) == 0;
        let (kind, part) = match (self.is_alive(index), missing) {
            (true, false) => return PhysicalStatus { kind: PhysicalStatusKind::Alive.into(), since: None },
            (true, true) => (PhysicalStatusKind::Missing, Part::Missing),
            (false, _) => (PhysicalStatusKind::Deceased, Part::Death),
        };
        let mut random = self.random(index, part);
        let year = birth.year - 1 + random.one_to(BIRTH_YEARS.end() - birth.year + 1);
        let day = day_in(&mut random, year);
        let since = if year == birth.year { PartialDate { year, month: 0, day: 0 } } else { day };
        PhysicalStatus { kind: kind.into(), since: Some(since) }
    }

    /// Two in a thousand have the nationality of their father as well.
    pub(super) fn nationalities(&self, index: u64) -> Vec<String> {
        let home = std::iter::once("VN");
        home.chain(self.father_from(index)).map(str::to_owned).collect()
    }

    /// The country of a father who is no Vietnamese.
    pub(super) fn father_from(&self, index: u64) -> Option<&'static str> {
        let mut random = self.random(index, Part::Abroad);
        (random.below(1_000) < 2).then(|| COUNTRIES[random.index(COUNTRIES.len())])
    }

    /// Where one in two hundred of the living lives now.
    pub(super) fn abroad(&self, index: u64) -> Option<Address> {
        let mut random = self.random(index, Part::Abroad);
        let country = COUNTRIES[random.index(COUNTRIES.len())].to_owned();
        let lives = self.is_alive(index) && random.below(200) == 0;
        lives.then(|| Address { country, ..Address::default() })
    }
}
