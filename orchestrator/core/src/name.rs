//! Names of children: hashes of what they come from, so that a simulation repeats them and none is used twice.

use sha2::{Digest, Sha256};

/// Kubernetes' alphabet for generated names: no vowels, no digits that look like letters.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// `length` characters derived from `parts`.
pub fn suffix(parts: &[&[u8]], length: usize) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    digest.iter().take(length).map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()])).collect()
}

/// `BASE-SUFFIX`, with `base` cut so that the whole fits a DNS label.
pub fn child(base: &str, suffix: &str) -> String {
    const MAX_LENGTH: usize = 63;
    let room = MAX_LENGTH.saturating_sub(suffix.len() + 1);
    format!("{}-{suffix}", base.get(..room).unwrap_or(base).trim_end_matches(['-', '.']))
}
