//! Numbers as names: a name takes letters alone.

const DIGITS: [char; 10] = ['b', 'c', 'd', 'g', 'h', 'k', 'l', 'm', 'n', 't'];

/// The name that stands for a number.
pub fn of(value: u64) -> String {
    value.to_string().bytes().map(|digit| DIGITS[usize::from(digit - b'0')]).collect()
}

/// The number that a name stands for.
pub fn number(name: &str) -> Option<u64> {
    let digit = |letter| DIGITS.iter().position(|digit| *digit == letter);
    name.chars().try_fold(0, |value, letter| Some(value * 10 + digit(letter)? as u64))
}
