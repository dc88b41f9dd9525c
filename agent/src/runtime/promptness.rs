//! How soon a thread runs once it is woken.
#![allow(unsafe_code)] // Two system calls that no crate wraps.

use std::time::Duration;

/// The time that a prompt thread asks for in one go. The kernel lets one that asks for little go before one that asks for
/// its default (some 3 ms), and takes no less than 0.1 ms.
const SHORT_SLICE: Duration = Duration::from_micros(100);

/// Asks the kernel to run the calling thread soon after it wakes, for threads that answer and wait: it then goes before
/// threads that compute, but has no more time than they in the long run. Threads that it starts inherit it. Kernels before
/// 6.12 do not know such a wish; there it changes nothing.
pub fn be_prompt() {
    wish(SHORT_SLICE);
}

/// Takes that back: the thread computes.
pub(super) fn be_patient() {
    wish(Duration::ZERO);
}

fn wish(slice: Duration) {
    if let Err(error) = ask_for(slice) {
        tracing::debug!(%error, "the kernel takes no wish for short slices");
    }
}

/// Zero is the kernel's default.
fn ask_for(slice: Duration) -> std::io::Result<()> {
    // SAFETY: all fields are numbers, for which zeros are valid.
    let mut attributes: libc::sched_attr = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::sched_attr>();
    let checked = |outcome: libc::c_long| match outcome {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    };
    // SAFETY: thread 0 is the calling one, and the kernel writes at most `size` bytes to `attributes`, which lives on.
    checked(unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, size, 0) })?;
    attributes.sched_runtime = u64::try_from(slice.as_nanos()).unwrap_or(u64::MAX);
    // SAFETY: the kernel reads `attributes`, whose `size` field it has filled in itself.
    checked(unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wish_is_taken_and_leaves_the_policy_alone() {
        ask_for(SHORT_SLICE).unwrap();
        let policy = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        // Field 41, counted after the name in parentheses: SCHED_OTHER.
        assert_eq!(policy.rsplit(')').next().unwrap().split_whitespace().nth(38), Some("0"));
    }
}
