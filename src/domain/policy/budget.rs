//! How often an agency may guess wrong about a person, and how often it may ask.
//!
//! Each distinct wrong claim of an agency about a person counts once; a claim that is repeated tells it nothing new. When
//! there was one more than it may make, no verification of that person is answered to it, right or wrong, until the window
//! is over: an answer that came only when the guess is right would be the answer. Claims that are right never count, and
//! another agency's never touch it.

use prost::Message;
use sha2::{Digest, Sha256};

use crate::proto::registry::{Agency, Claim, HouseholdRole};
use crate::proto::store::{CallsRow, GuessRow};

/// Wrong claims about one person that an agency may make when its licence says nothing.
const GUESSES: u32 = 10;

/// The window of guesses: 30 days.
pub const GUESS_WINDOW_MS: u64 = 30 * DAY_MS;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// How many wrong claims about one person an agency may make.
pub fn guesses_of(agency: &Agency) -> usize {
    let guesses = if agency.guesses_per_person == 0 { GUESSES } else { agency.guesses_per_person };
    guesses as usize
}

/// Whether an agency has guessed too often, at an instant.
pub fn is_spent(row: &GuessRow, now_ms: u64) -> bool {
    row.spent && now_ms < row.since_ms.saturating_add(GUESS_WINDOW_MS)
}

/// A row after these wrong claims, and whether they were too many. `None`: the row stays as it is.
pub fn charge(row: Option<GuessRow>, claims: &[u64], budget: usize, now_ms: u64) -> (Option<GuessRow>, bool) {
    let live = row.filter(|row| now_ms < row.since_ms.saturating_add(GUESS_WINDOW_MS));
    let before = live.unwrap_or(GuessRow { since_ms: now_ms, ..GuessRow::default() });
    let mut row = before.clone();
    for claim in claims {
        if !row.claims.contains(claim) {
            if row.claims.len() >= budget {
                row.spent = true;
                break;
            }
            row.claims.push(*claim);
        }
    }
    let spent = row.spent;
    ((row != before).then_some(row), spent)
}

/// What stands for a wrong claim about a person: the same for the same claim, whatever likeness it asks for.
pub fn digest_of(uid: u64, claim: &Claim) -> u64 {
    first_of(uid, &Claim { required_strength: 0, ..claim.clone() }.encode_to_vec())
}

/// What stands for a wrong claim that two people live together, in these roles.
pub fn digest_of_household(uid: u64, other: u64, roles: [HouseholdRole; 2]) -> u64 {
    let roles = roles.map(|role| role as u8);
    first_of(uid, &[b"household", &other.to_be_bytes()[..], &roles].concat())
}

fn first_of(uid: u64, text: &[u8]) -> u64 {
    let mut hash = Sha256::new();
    hash.update(uid.to_be_bytes());
    hash.update(text);
    let bytes: [u8; 32] = hash.finalize().into();
    bytes.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

/// A row after so many more calls, how many of them are granted, and until when they hold.
pub fn reserve(row: Option<CallsRow>, calls: u64, quota: u64, now_ms: u64) -> (CallsRow, u64, u64) {
    let day = now_ms / DAY_MS;
    let before = row.filter(|row| row.day == day).map_or(0, |row| row.calls);
    let granted = calls.min(quota.saturating_sub(before));
    (CallsRow { day, calls: before + granted }, granted, (day + 1) * DAY_MS)
}
