//! The functions that the generated linking cannot carry: `fd_prestat_get` can only answer that a descriptor is a
//! directory there, and sending, receiving and accepting cannot wait.

use super::memory::{buffers, const_buffers, fault};
use super::{Preview1Ctx, Preview1View};
use wasmtime::{AsContextMut, Caller, Extern, Linker};
use wasmtime_wasi::p1::types::{Ciovec, Errno, Error, Fd, Fdflags, Iovec, Riflags};
use wasmtime_wasi::p1::wasi_snapshot_preview1::{self as wasi, WasiSnapshotPreview1 as _};
use wiggle::{GuestMemory, GuestPtr};

const MODULE: &str = "wasi_snapshot_preview1";
/// A kind of pre-opened descriptor that is no directory; the only one defined is directory, 0.
const PREOPENED_SOCKET: u8 = 1;
/// Size of a `prestat`.
const PRESTAT_BYTES: u32 = 8;

/// Puts these functions in the place of the generated ones.
pub(super) fn shadow<T: Preview1View + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    linker.func_wrap(MODULE, "fd_prestat_get", |mut caller: Caller<'_, T>, fd: i32, prestat: i32| {
        let (mut memory, preview1) = guest(&mut caller)?;
        fd_prestat_get(preview1, &mut memory, fd, prestat)
    })?;
    linker.func_wrap_async(
        MODULE,
        "sock_accept",
        |mut caller: Caller<'_, T>, (fd, flags, opened): (i32, i32, i32)| {
            Box::new(async move {
                let (mut memory, preview1) = guest(&mut caller)?;
                errno(sock_accept(preview1, &mut memory, fd, flags, opened).await)
            })
        },
    )?;
    type Receive = (i32, i32, i32, i32, i32, i32);
    linker.func_wrap_async(MODULE, "sock_recv", |mut caller: Caller<'_, T>, arguments: Receive| {
        Box::new(async move {
            let (mut memory, preview1) = guest(&mut caller)?;
            errno(sock_recv(preview1, &mut memory, arguments).await)
        })
    })?;
    type Send = (i32, i32, i32, i32, i32);
    linker.func_wrap_async(MODULE, "sock_send", |mut caller: Caller<'_, T>, arguments: Send| {
        Box::new(async move {
            let (mut memory, preview1) = guest(&mut caller)?;
            errno(sock_send(preview1, &mut memory, arguments).await)
        })
    })?;
    Ok(())
}

/// The guest's memory and its state.
fn guest<'a, T: Preview1View + 'static>(
    caller: &'a mut Caller<'_, T>,
) -> wasmtime::Result<(GuestMemory<'a>, &'a mut Preview1Ctx)> {
    let fuel = caller.as_context_mut().hostcall_fuel();
    let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
        wasmtime::bail!("missing required memory export");
    };
    let (bytes, state) = memory.data_and_store_mut(caller);
    let preview1 = state.preview1();
    preview1.set_hostcall_fuel(fuel);
    Ok((GuestMemory::Unshared(bytes), preview1))
}

fn errno(outcome: Result<(), Error>) -> wasmtime::Result<i32> {
    match outcome {
        Ok(()) => Ok(Errno::Success as i32),
        Err(error) => error.downcast().map(|errno| errno as i32),
    }
}

fn pointer<T>(offset: i32) -> GuestPtr<T>
where
    T: wiggle::Pointee<Pointer = u32>,
{
    GuestPtr::new(offset.cast_unsigned())
}

fn fd_prestat_get(
    preview1: &mut Preview1Ctx,
    memory: &mut GuestMemory<'_>,
    fd: i32,
    prestat: i32,
) -> wasmtime::Result<i32> {
    if !preview1.descriptors.is_socket(Fd::from(fd.cast_unsigned())) {
        return wasi::fd_prestat_get(preview1, memory, fd, prestat);
    }
    let place = pointer::<u8>(prestat).as_array(PRESTAT_BYTES);
    errno(memory.copy_from_slice(&[PREOPENED_SOCKET, 0, 0, 0, 0, 0, 0, 0], place).map_err(fault))
}

async fn sock_accept(
    preview1: &mut Preview1Ctx,
    memory: &mut GuestMemory<'_>,
    fd: i32,
    flags: i32,
    opened: i32,
) -> Result<(), Error> {
    let flags = Fdflags::try_from(flags)?;
    let accepted = preview1.accept(Fd::from(fd.cast_unsigned()), flags).await?;
    if let Err(error) = memory.write(pointer::<Fd>(opened), accepted) {
        preview1.descriptors.remove(accepted)?;
        return Err(fault(error));
    }
    Ok(())
}

async fn sock_recv(
    preview1: &mut Preview1Ctx,
    memory: &mut GuestMemory<'_>,
    (fd, iovecs, count, flags, length, out_flags): (i32, i32, i32, i32, i32, i32),
) -> Result<(), Error> {
    let (fd, flags) = (Fd::from(fd.cast_unsigned()), Riflags::try_from(flags)?);
    let buffers = buffers(memory, pointer::<Iovec>(iovecs).as_array(count.cast_unsigned()))?;
    // Stored first, so that a bad place for a result loses no bytes.
    memory.write(pointer::<u32>(length), 0).map_err(fault)?;
    memory.write(pointer::<u16>(out_flags), 0).map_err(fault)?;
    let received = if flags.contains(Riflags::RECV_PEEK) {
        preview1.peek(memory, fd, &buffers).await?
    } else {
        preview1.receive(memory, fd, &buffers, flags.contains(Riflags::RECV_WAITALL)).await?
    };
    memory.write(pointer::<u32>(length), u32::try_from(received)?).map_err(fault)
}

async fn sock_send(
    preview1: &mut Preview1Ctx,
    memory: &mut GuestMemory<'_>,
    (fd, iovecs, count, _flags, length): (i32, i32, i32, i32, i32),
) -> Result<(), Error> {
    let fd = Fd::from(fd.cast_unsigned());
    let buffers = const_buffers(memory, pointer::<Ciovec>(iovecs).as_array(count.cast_unsigned()))?;
    memory.write(pointer::<u32>(length), 0).map_err(fault)?;
    let sent = preview1.send(memory, fd, &buffers).await?;
    memory.write(pointer::<u32>(length), u32::try_from(sent)?).map_err(fault)
}
