//! The system's random numbers from a seed, for a thread that simulates.
//!
//! The standard library draws the keys of its hash maps from `getrandom`, and tokio the order in which it wakes those who
//! wait for the same thing from such a hash. A simulation that is to repeat itself must decide about both. This crate stands
//! apart from dancu because it defines a symbol of the C library, which dancu, without unsafe code, cannot.

use std::cell::Cell;

thread_local! {
    /// The state of the generator; nothing until the thread has a seed.
    static STATE: Cell<Option<u64>> = const { Cell::new(None) };
}

/// What the system gives to this thread follows from `seed` from now on. To be called before anything else of the thread: the
/// keys of its hash maps are drawn once.
pub fn seed(seed: u64) {
    STATE.set(Some(seed));
}

/// As getrandom(2), in the place of the C library's: the linker takes this one for the whole program.
#[unsafe(no_mangle)]
extern "C" fn getrandom(buffer: *mut u8, length: usize, _flags: u32) -> isize {
    if buffer.is_null() || length == 0 {
        return 0;
    }
    // SAFETY: whoever calls getrandom(2) gives a buffer that may be written for `length` bytes.
    let buffer = unsafe { std::slice::from_raw_parts_mut(buffer, length) };
    match STATE.get() {
        Some(mut state) => {
            for piece in buffer.chunks_mut(8) {
                piece.copy_from_slice(&next(&mut state).to_le_bytes()[..piece.len()]);
            }
            STATE.set(Some(state));
            isize::try_from(length).unwrap_or(isize::MAX)
        }
        None => match rustix::rand::getrandom(buffer, rustix::rand::GetRandomFlags::empty()) {
            Ok(filled) => isize::try_from(filled).unwrap_or(isize::MAX),
            Err(_) => -1,
        },
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
