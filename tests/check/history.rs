//! A history: calls on records, each with when it began, when its answer came, and what the answer was.
//!
//! ```text
//! key process start end call -> answer
//! 7   3       120   140 patch 502 -> wrote 41
//! 7   4       130   135 read -> saw 40 501 at 40            record revision 40, value 501, registry revision 40
//! 7   5       131   133 stale 500 -> saw 40 501 at 40 within 20
//! 7   3       150   ?   patch-if 503 41 502 -> unknown      to 503 if it is at revision 41, where it held 502
//! ```
//!
//! Times are microseconds of one clock; `?` is never. Values are numbers that one call alone writes, from 1.

use std::fmt;
use std::str::{FromStr, SplitWhitespace};

/// Microseconds since the run began.
pub type Micros = u64;

/// The end of a call whose answer never came.
pub const NEVER: Micros = Micros::MAX;

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Add the record.
    Create { value: u64 },
    /// Change it.
    Patch { value: u64 },
    /// Change it if it is still at this revision, where it held `found`.
    PatchIf { value: u64, revision: u64, found: u64 },
    /// The write of this value once more, under its request id, after it was acknowledged with this revision.
    Again { value: u64, revision: u64 },
    /// Linearizable read.
    Read,
    /// Linearizable check whether it holds this value.
    Verify { value: u64 },
    /// Read of a state at most so many milliseconds old.
    Stale { bound_ms: u64 },
    /// Read of at least this revision of the registry.
    AtLeast { revision: u64 },
}

/// What was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Written; the record has this revision now.
    Wrote { revision: u64 },
    /// Not written: the record is at this other revision.
    Conflict { revision: u64 },
    /// Not created: the record is there already.
    Taken,
    /// There is no such record, at this revision of the registry (0: not told).
    Absent { at: u64, within_ms: u64 },
    /// The record's revision and value, the registry's revision, and how old the answer may be.
    Saw { revision: u64, value: u64, at: u64, within_ms: u64 },
    /// Whether the record, at this revision, holds the value asked about.
    Verdict { revision: u64, matches: bool, at: u64 },
    /// A write that may have been applied, or may yet be.
    Unknown,
}

/// A call with its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The record.
    pub key: u32,
    /// Who asked: one thing at a time. Whoever got no answer goes on under a new number.
    pub process: u32,
    /// When it was asked.
    pub start: Micros,
    /// When it was answered.
    pub end: Micros,
    /// What was asked.
    pub call: Call,
    /// What was answered.
    pub answer: Answer,
}

impl Operation {
    /// The value that the call writes, if it writes.
    pub fn writes(&self) -> Option<u64> {
        match self.call {
            Call::Create { value } | Call::Patch { value } | Call::PatchIf { value, .. } => Some(value),
            _ => None,
        }
    }

    /// Whether the answer must be as new as everything that was answered before the call.
    pub fn is_linearizable(&self) -> bool {
        !matches!(self.call, Call::Stale { .. } | Call::AtLeast { .. } | Call::Again { .. })
    }

    /// The revision of the record that the answer shows; 0 when there was none; `None` when it does not tell.
    pub fn revision(&self) -> Option<u64> {
        match (self.call, self.answer) {
            // The answer of long ago, told again.
            (Call::Again { .. }, _) => None,
            (_, Answer::Wrote { revision } | Answer::Conflict { revision }) => Some(revision),
            (_, Answer::Saw { revision, .. } | Answer::Verdict { revision, .. }) => Some(revision),
            (_, Answer::Absent { .. }) => Some(0),
            (_, Answer::Taken | Answer::Unknown) => None,
        }
    }

    /// The registry's revision at which a read was answered, if it tells.
    pub fn registry(&self) -> Option<u64> {
        match self.answer {
            Answer::Saw { at, .. } | Answer::Verdict { at, .. } | Answer::Absent { at, .. } if at > 0 => {
                Some(at)
            }
            _ => None,
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { value } => write!(f, "create {value}"),
            Self::Patch { value } => write!(f, "patch {value}"),
            Self::PatchIf { value, revision, found } => write!(f, "patch-if {value} {revision} {found}"),
            Self::Again { value, revision } => write!(f, "again {value} {revision}"),
            Self::Read => write!(f, "read"),
            Self::Verify { value } => write!(f, "verify {value}"),
            Self::Stale { bound_ms } => write!(f, "stale {bound_ms}"),
            Self::AtLeast { revision } => write!(f, "at-least {revision}"),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wrote { revision } => write!(f, "wrote {revision}"),
            Self::Conflict { revision } => write!(f, "conflict {revision}"),
            Self::Taken => write!(f, "taken"),
            Self::Absent { at, within_ms } => write!(f, "absent at {at}{}", Within(*within_ms)),
            Self::Saw { revision, value, at, within_ms } => {
                write!(f, "saw {revision} {value} at {at}{}", Within(*within_ms))
            }
            Self::Verdict { revision, matches: true, at } => write!(f, "match {revision} at {at}"),
            Self::Verdict { revision, matches: false, at } => write!(f, "differs {revision} at {at}"),
            Self::Unknown => write!(f, "unknown"),
        }
    }
}

/// The age that a stale answer admits.
struct Within(u64);

impl fmt::Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 { Ok(()) } else { write!(f, " within {}", self.0) }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, process, start, end, call, answer } = self;
        match *end {
            NEVER => write!(f, "{key} {process} {start} ? {call} -> {answer}"),
            end => write!(f, "{key} {process} {start} {end} {call} -> {answer}"),
        }
    }
}

impl FromStr for Operation {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let (asked, answered) = line.split_once("->").ok_or_else(|| format!("no -> in {line:?}"))?;
        let (mut asked, mut answered) = (Words::of(asked), Words::of(answered));
        Ok(Self {
            key: asked.number()?.try_into().map_err(|e| format!("{line:?}: {e}"))?,
            process: asked.number()?.try_into().map_err(|e| format!("{line:?}: {e}"))?,
            start: asked.number()?,
            end: asked.number()?,
            call: asked.call()?,
            answer: answered.answer()?,
        })
    }
}

/// The words of a line that are still to be read.
struct Words<'a>(SplitWhitespace<'a>);

impl<'a> Words<'a> {
    fn of(text: &'a str) -> Self {
        Self(text.split_whitespace())
    }

    fn word(&mut self) -> Result<&'a str, String> {
        self.0.next().ok_or_else(|| "the line ends too soon".to_owned())
    }

    fn number(&mut self) -> Result<u64, String> {
        match self.word()? {
            "?" => Ok(NEVER),
            word => word.parse().map_err(|_| format!("{word:?} is no number")),
        }
    }

    /// `word NUMBER`, or 0 when the line has ended.
    fn named(&mut self, name: &str) -> Result<u64, String> {
        match self.0.next() {
            None => Ok(0),
            Some(word) if word == name => self.number(),
            Some(word) => Err(format!("{word:?} where {name} was expected")),
        }
    }

    fn call(&mut self) -> Result<Call, String> {
        Ok(match self.word()? {
            "create" => Call::Create { value: self.number()? },
            "patch" => Call::Patch { value: self.number()? },
            "patch-if" => {
                Call::PatchIf { value: self.number()?, revision: self.number()?, found: self.number()? }
            }
            "again" => Call::Again { value: self.number()?, revision: self.number()? },
            "read" => Call::Read,
            "verify" => Call::Verify { value: self.number()? },
            "stale" => Call::Stale { bound_ms: self.number()? },
            "at-least" => Call::AtLeast { revision: self.number()? },
            other => return Err(format!("{other:?} is no call")),
        })
    }

    fn answer(&mut self) -> Result<Answer, String> {
        Ok(match self.word()? {
            "wrote" => Answer::Wrote { revision: self.number()? },
            "conflict" => Answer::Conflict { revision: self.number()? },
            "taken" => Answer::Taken,
            "absent" => Answer::Absent { at: self.named("at")?, within_ms: self.named("within")? },
            "saw" => Answer::Saw {
                revision: self.number()?,
                value: self.number()?,
                at: self.named("at")?,
                within_ms: self.named("within")?,
            },
            word @ ("match" | "differs") => {
                Answer::Verdict { revision: self.number()?, matches: word == "match", at: self.named("at")? }
            }
            "unknown" => Answer::Unknown,
            other => return Err(format!("{other:?} is no answer")),
        })
    }
}
