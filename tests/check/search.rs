//! Is there an order of the calls, each somewhere between its start and its end, in which one register would have given
//! these answers? The search of Wing and Gong (1993) with Lowe's memory (2017): never twice into the same set of done
//! calls with the same value.
//!
//! ```text
//! calls and returns in the order of time; walk from the front:
//!   a call that the register could answer so  -> take it: remove it and its return, start again at the front
//!   a call that it could not                  -> pass on to the next one
//!   a return                                  -> its call had to be taken before: take back the last call, try another
//! ```
//!
//! A write without an answer has no return: it may be taken at any time after its start, or never. Only linearizable
//! calls take part, and only values count: revisions are `versions`' business.

use std::collections::HashSet;

use super::history::{Answer, Call, NEVER, Operation};

/// Positions that are remembered before the search gives up on a key: some hundred megabytes.
const LIMIT: usize = 400_000;

/// What came of the search of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// There is such an order.
    Linearizable,
    /// There is none. No order of the calls before it leaves a place for this one.
    Stuck(Operation),
    /// Not found out: too many calls at once.
    GaveUp,
}

/// Looks for an order of the calls on one key.
pub fn search(operations: &[Operation]) -> Finding {
    let calls: Vec<&Operation> = operations.iter().filter(|operation| matters(operation)).collect();
    Search::new(&calls).run()
}

/// Whether a call has a part in it. A read without an answer tells nothing and does nothing.
fn matters(operation: &Operation) -> bool {
    operation.is_linearizable() && (operation.writes().is_some() || operation.answer != Answer::Unknown)
}

/// The register after the call, if it could have answered so while it held `value`; 0 is an absent record.
fn next(operation: &Operation, value: u64) -> Option<u64> {
    let kept = |holds: bool| holds.then_some(value);
    match (operation.call, operation.answer) {
        (Call::Create { value: new }, Answer::Wrote { .. } | Answer::Unknown) => (value == 0).then_some(new),
        (Call::Create { .. }, Answer::Taken) => kept(value != 0),
        (Call::Patch { value: new }, Answer::Wrote { .. } | Answer::Unknown) => (value != 0).then_some(new),
        (Call::PatchIf { value: new, found, .. }, Answer::Wrote { .. } | Answer::Unknown) => {
            (value == found).then_some(new)
        }
        (Call::PatchIf { found, .. }, Answer::Conflict { .. }) => kept(value != found && value != 0),
        (_, Answer::Absent { .. }) => kept(value == 0),
        (Call::Read, Answer::Saw { value: seen, .. }) => kept(value == seen),
        (Call::Verify { value: asked }, Answer::Verdict { matches, .. }) => {
            kept(value != 0 && (value == asked) == matches)
        }
        // No other pair is an answer to its call.
        _ => None,
    }
}

/// A call or a return in the list of those not yet taken.
#[derive(Clone, Copy)]
struct Entry {
    operation: usize,
    is_return: bool,
    before: usize,
    after: usize,
}

/// The list's ends are one entry: the front's `before`, the back's `after`.
const END: usize = 0;

struct Search<'a> {
    calls: &'a [&'a Operation],
    list: Vec<Entry>,
    /// The entries of each call: its own and its return, `END` where there is none.
    places: Vec<(usize, usize)>,
    /// Calls with an answer that are not taken yet.
    waiting: usize,
    done: Vec<u64>,
    value: u64,
    /// Taken calls, with the value before each.
    taken: Vec<(usize, u64)>,
    seen: HashSet<(Box<[u64]>, u64)>,
}

impl<'a> Search<'a> {
    fn new(calls: &'a [&'a Operation]) -> Self {
        let mut events: Vec<(u64, bool, usize)> = Vec::new();
        for (place, call) in calls.iter().enumerate() {
            events.push((call.start, false, place));
            if call.end != NEVER && call.answer != Answer::Unknown {
                events.push((call.end, true, place));
            }
        }
        // At the same instant calls come first: they overlap.
        events.sort_unstable();
        let waiting = events.iter().filter(|event| event.1).count();
        let mut list = vec![Entry { operation: 0, is_return: false, before: events.len(), after: END }];
        let mut places = vec![(END, END); calls.len()];
        for (_, is_return, operation) in events {
            let place = list.len();
            list[place - 1].after = place;
            list.push(Entry { operation, is_return, before: place - 1, after: END });
            let of_call = &mut places[operation];
            *(if is_return { &mut of_call.1 } else { &mut of_call.0 }) = place;
        }
        let done = vec![0; calls.len().div_ceil(64)];
        Self { calls, list, places, waiting, done, value: 0, taken: Vec::new(), seen: HashSet::new() }
    }

    fn run(mut self) -> Finding {
        let mut at = self.list[END].after;
        let mut furthest = (0, None);
        while self.waiting > 0 {
            if self.seen.len() > LIMIT {
                return Finding::GaveUp;
            }
            let entry = self.list[at];
            if !entry.is_return {
                at = match next(self.calls[entry.operation], self.value) {
                    Some(value) if self.take(entry.operation, value) => self.list[END].after,
                    _ => entry.after,
                };
                continue;
            }
            if furthest.1.is_none() || self.taken.len() > furthest.0 {
                furthest = (self.taken.len(), Some(entry.operation));
            }
            match self.take_back() {
                Some(call) => at = self.list[call].after,
                None => {
                    let stuck = furthest.1.unwrap_or(entry.operation);
                    return Finding::Stuck(self.calls[stuck].clone());
                }
            }
        }
        Finding::Linearizable
    }

    /// Takes a call as the next one, unless the search has been there before.
    fn take(&mut self, operation: usize, value: u64) -> bool {
        let (word, bit) = (operation / 64, 1 << (operation % 64));
        self.done[word] |= bit;
        if !self.seen.insert((self.done.clone().into(), value)) {
            self.done[word] &= !bit;
            return false;
        }
        let (call, end) = self.places[operation];
        self.unlink(call);
        if end != END {
            self.unlink(end);
            self.waiting -= 1;
        }
        self.taken.push((operation, self.value));
        self.value = value;
        true
    }

    /// Takes the last call back and returns its entry.
    fn take_back(&mut self) -> Option<usize> {
        let (operation, value) = self.taken.pop()?;
        self.value = value;
        self.done[operation / 64] &= !(1 << (operation % 64));
        let (call, end) = self.places[operation];
        if end != END {
            self.link(end);
            self.waiting += 1;
        }
        self.link(call);
        Some(call)
    }

    fn unlink(&mut self, place: usize) {
        let Entry { before, after, .. } = self.list[place];
        self.list[before].after = after;
        self.list[after].before = before;
    }

    /// Undoes `unlink`, in the opposite order of them.
    fn link(&mut self, place: usize) {
        let Entry { before, after, .. } = self.list[place];
        self.list[before].after = place;
        self.list[after].before = place;
    }
}
