//! Buffers for host-side writes, kept for the next one: allocators give a freed 64 KiB block back to the kernel and
//! fault it in again, which costs more than the copy.

use bytes::Bytes;
use parking_lot::Mutex;

/// Size of one buffer.
pub(crate) const CHUNK_BYTES: usize = 64 * 1024;
/// Buffers kept while nobody uses them: 4 MiB in all.
const SPARE_CHUNKS: usize = 64;

static SPARE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// A buffer that goes back to the spare ones when its last `Bytes` is dropped.
struct Chunk(Vec<u8>);

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.0);
        buffer.clear();
        let mut spare = SPARE.lock();
        if spare.len() < SPARE_CHUNKS {
            spare.push(buffer);
        }
    }
}

/// Copies at most [`CHUNK_BYTES`] of `bytes` into a buffer.
pub(crate) fn copy_to_chunk(bytes: &[u8]) -> Bytes {
    let spare = SPARE.lock().pop();
    let mut buffer = spare.unwrap_or_else(|| Vec::with_capacity(CHUNK_BYTES));
    buffer.extend_from_slice(&bytes[..bytes.len().min(CHUNK_BYTES)]);
    Bytes::from_owner(Chunk(buffer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_holds_what_was_written() {
        let first = copy_to_chunk(b"first");
        let second = copy_to_chunk(&[7; CHUNK_BYTES + 1]);
        assert_eq!(&first[..], b"first");
        assert_eq!(second.len(), CHUNK_BYTES);
        drop(first);
        assert_eq!(&copy_to_chunk(b"again")[..], b"again");
    }
}
