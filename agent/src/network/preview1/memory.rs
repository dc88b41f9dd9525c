//! The guest's buffers, checked before anything is done with them.

use wasmtime_wasi::p1::types::{Ciovec, CiovecArray, Errno, Error, Iovec, IovecArray};
use wiggle::{GuestError, GuestMemory, GuestPtr};

/// Buffers in one call (`IOV_MAX`).
const MAX_IOVECS: u32 = 1024;

/// Pointers outside of the guest's memory are an error, not a trap.
pub(super) fn fault(error: GuestError) -> Error {
    match error {
        GuestError::PtrOverflow | GuestError::PtrOutOfBounds { .. } | GuestError::PtrNotAligned { .. } => {
            Errno::Fault.into()
        }
        other => other.into(),
    }
}

/// The buffers to read into, those without bytes left out.
pub(super) fn buffers(memory: &GuestMemory<'_>, iovecs: IovecArray) -> Result<Vec<GuestPtr<[u8]>>, Error> {
    checked(memory, iovecs, |Iovec { buf, buf_len }| buf.as_array(buf_len))
}

/// The buffers to write from, those without bytes left out.
pub(super) fn const_buffers(
    memory: &GuestMemory<'_>,
    iovecs: CiovecArray,
) -> Result<Vec<GuestPtr<[u8]>>, Error> {
    checked(memory, iovecs, |Ciovec { buf, buf_len }| buf.as_array(buf_len))
}

fn checked<V: wiggle::GuestType>(
    memory: &GuestMemory<'_>,
    iovecs: GuestPtr<[V]>,
    buffer: impl Fn(V) -> GuestPtr<[u8]>,
) -> Result<Vec<GuestPtr<[u8]>>, Error> {
    if iovecs.len() > MAX_IOVECS {
        return Err(Errno::Inval.into());
    }
    let mut buffers = Vec::with_capacity(iovecs.len() as usize);
    for place in iovecs.iter() {
        let buffer = buffer(memory.read(place.map_err(fault)?).map_err(fault)?);
        memory.as_slice(buffer).map_err(fault)?;
        if buffer.len() > 0 {
            buffers.push(buffer);
        }
    }
    Ok(buffers)
}

/// Copies `bytes` into the buffers from their byte `skip` on.
pub(super) fn scatter(
    memory: &mut GuestMemory<'_>,
    buffers: &[GuestPtr<[u8]>],
    mut skip: usize,
    mut bytes: &[u8],
) -> Result<(), Error> {
    for buffer in buffers {
        let length = buffer.len() as usize;
        if skip >= length {
            skip -= length;
            continue;
        }
        let piece = bytes.len().min(length - skip);
        let range = skip as u32..(skip + piece) as u32;
        let place = buffer.get_range(range).ok_or(Errno::Fault)?;
        memory.copy_from_slice(&bytes[..piece], place).map_err(fault)?;
        (skip, bytes) = (0, &bytes[piece..]);
        if bytes.is_empty() {
            break;
        }
    }
    Ok(())
}

/// All bytes of the buffers together.
pub(super) fn total_bytes(buffers: &[GuestPtr<[u8]>]) -> usize {
    buffers.iter().map(|buffer| buffer.len() as usize).sum()
}
