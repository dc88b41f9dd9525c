//! Every function of preview 1: ours on sockets, wasmtime's on the rest, with its own numbers.

use super::Preview1Ctx;
use super::descriptors::Descriptor;
use super::memory::{buffers, const_buffers};
use super::socket::socket_filestat;
use wasmtime_wasi::p1::types::{
    Advice, CiovecArray, Clockid, Dircookie, Errno, Error, Event, Exitcode, Fd, Fdflags, Fdstat, Filedelta,
    Filesize, Filestat, Fstflags, IovecArray, Lookupflags, Oflags, Prestat, Riflags, Rights, Roflags,
    Sdflags, Siflags, Signal, Size, Subscription, Timestamp, Whence,
};
use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1;
use wiggle::{GuestMemory, GuestPtr};

type Answer<T> = Result<T, Error>;

/// Functions that take no descriptor.
macro_rules! pass {
    ($(fn $name:ident($($argument:ident: $kind:ty),*) -> $result:ty;)*) => {$(
        fn $name(&mut self, memory: &mut GuestMemory<'_>, $($argument: $kind),*) -> $result {
            self.inner.$name(memory, $($argument),*)
        }
    )*};
}

/// Functions on one file or directory; the errno is what a socket answers.
macro_rules! on_file {
    ($($errno:ident: async fn $name:ident($($argument:ident: $kind:ty),*) -> $result:ty;)*) => {$(
        async fn $name(&mut self, memory: &mut GuestMemory<'_>, fd: Fd, $($argument: $kind),*) -> Answer<$result> {
            let fd = self.descriptors.file(fd, Errno::$errno)?;
            self.inner.$name(memory, fd, $($argument),*).await
        }
    )*};
}

impl WasiSnapshotPreview1 for Preview1Ctx {
    fn set_hostcall_fuel(&mut self, fuel: usize) {
        self.fuel = fuel;
        self.inner.set_hostcall_fuel(fuel);
    }

    pass! {
        fn args_get(argv: GuestPtr<GuestPtr<u8>>, argv_buf: GuestPtr<u8>) -> Answer<()>;
        fn args_sizes_get() -> Answer<(Size, Size)>;
        fn environ_get(environ: GuestPtr<GuestPtr<u8>>, environ_buf: GuestPtr<u8>) -> Answer<()>;
        fn environ_sizes_get() -> Answer<(Size, Size)>;
        fn clock_res_get(id: Clockid) -> Answer<Timestamp>;
        fn clock_time_get(id: Clockid, precision: Timestamp) -> Answer<Timestamp>;
        fn proc_exit(status: Exitcode) -> wasmtime::Error;
        fn proc_raise(signal: Signal) -> Answer<()>;
        fn sched_yield() -> Answer<()>;
        fn random_get(buf: GuestPtr<u8>, buf_len: Size) -> Answer<()>;
    }

    on_file! {
        Spipe: async fn fd_advise(offset: Filesize, len: Filesize, advice: Advice) -> ();
        Inval: async fn fd_datasync() -> ();
        Inval: async fn fd_filestat_set_size(size: Filesize) -> ();
        Inval: async fn fd_filestat_set_times(atim: Timestamp, mtim: Timestamp, flags: Fstflags) -> ();
        Spipe: async fn fd_pread(iovs: IovecArray, offset: Filesize) -> Size;
        Spipe: async fn fd_pwrite(ciovs: CiovecArray, offset: Filesize) -> Size;
        Spipe: async fn fd_seek(offset: Filedelta, whence: Whence) -> Filesize;
        Inval: async fn fd_sync() -> ();
        Notdir: async fn fd_readdir(buf: GuestPtr<u8>, buf_len: Size, cookie: Dircookie) -> Size;
        Notdir: async fn path_create_directory(path: GuestPtr<str>) -> ();
        Notdir: async fn path_filestat_get(flags: Lookupflags, path: GuestPtr<str>) -> Filestat;
        Notdir: async fn path_filestat_set_times(
            flags: Lookupflags, path: GuestPtr<str>, atim: Timestamp, mtim: Timestamp, fst_flags: Fstflags
        ) -> ();
        Notdir: async fn path_readlink(path: GuestPtr<str>, buf: GuestPtr<u8>, buf_len: Size) -> Size;
        Notdir: async fn path_remove_directory(path: GuestPtr<str>) -> ();
        Notdir: async fn path_unlink_file(path: GuestPtr<str>) -> ();
    }

    fn fd_allocate(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        offset: Filesize,
        len: Filesize,
    ) -> Answer<()> {
        let fd = self.descriptors.file(fd, Errno::Spipe)?;
        self.inner.fd_allocate(memory, fd, offset, len)
    }

    fn fd_tell(&mut self, memory: &mut GuestMemory<'_>, fd: Fd) -> Answer<Filesize> {
        let fd = self.descriptors.file(fd, Errno::Spipe)?;
        self.inner.fd_tell(memory, fd)
    }

    async fn fd_close(&mut self, memory: &mut GuestMemory<'_>, fd: Fd) -> Answer<()> {
        match self.descriptors.remove(fd)? {
            Descriptor::File(inner) => self.inner.fd_close(memory, Fd::from(inner)).await,
            socket => {
                drop(socket);
                Ok(())
            }
        }
    }

    async fn fd_renumber(&mut self, memory: &mut GuestMemory<'_>, from: Fd, to: Fd) -> Answer<()> {
        match self.descriptors.renumber(from, to)? {
            Some(Descriptor::File(inner)) => self.inner.fd_close(memory, Fd::from(inner)).await,
            _ => Ok(()),
        }
    }

    async fn fd_fdstat_get(&mut self, memory: &mut GuestMemory<'_>, fd: Fd) -> Answer<Fdstat> {
        match self.descriptors.file(fd, Errno::Notsock) {
            Ok(fd) => self.inner.fd_fdstat_get(memory, fd).await,
            Err(_) => Ok(self.socket_fdstat(fd)?),
        }
    }

    fn fd_fdstat_set_flags(&mut self, memory: &mut GuestMemory<'_>, fd: Fd, flags: Fdflags) -> Answer<()> {
        match self.descriptors.file(fd, Errno::Notsock) {
            Ok(fd) => self.inner.fd_fdstat_set_flags(memory, fd, flags),
            Err(_) => Ok(self.set_socket_flags(fd, flags)?),
        }
    }

    fn fd_fdstat_set_rights(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        base: Rights,
        inheriting: Rights,
    ) -> Answer<()> {
        let fd = self.descriptors.file(fd, Errno::Notsup)?;
        self.inner.fd_fdstat_set_rights(memory, fd, base, inheriting)
    }

    async fn fd_filestat_get(&mut self, memory: &mut GuestMemory<'_>, fd: Fd) -> Answer<Filestat> {
        match self.descriptors.get(fd)? {
            Descriptor::File(inner) => self.inner.fd_filestat_get(memory, Fd::from(*inner)).await,
            _ => Ok(socket_filestat()),
        }
    }

    async fn fd_read(&mut self, memory: &mut GuestMemory<'_>, fd: Fd, iovs: IovecArray) -> Answer<Size> {
        if let Descriptor::File(inner) = self.descriptors.get(fd)? {
            return self.inner.fd_read(memory, Fd::from(*inner), iovs).await;
        }
        let buffers = buffers(memory, iovs)?;
        Ok(self.receive(memory, fd, &buffers, false).await?.try_into()?)
    }

    async fn fd_write(&mut self, memory: &mut GuestMemory<'_>, fd: Fd, ciovs: CiovecArray) -> Answer<Size> {
        if let Descriptor::File(inner) = self.descriptors.get(fd)? {
            return self.inner.fd_write(memory, Fd::from(*inner), ciovs).await;
        }
        let buffers = const_buffers(memory, ciovs)?;
        Ok(self.send(memory, fd, &buffers).await?.try_into()?)
    }

    fn fd_prestat_get(&mut self, memory: &mut GuestMemory<'_>, fd: Fd) -> Answer<Prestat> {
        let fd = self.descriptors.file(fd, Errno::Notsup)?;
        self.inner.fd_prestat_get(memory, fd)
    }

    fn fd_prestat_dir_name(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        path: GuestPtr<u8>,
        path_max_len: Size,
    ) -> Answer<()> {
        match self.descriptors.get(fd)? {
            Descriptor::File(inner) => {
                self.inner.fd_prestat_dir_name(memory, Fd::from(*inner), path, path_max_len)
            }
            // A listener has the empty name that its prestat tells.
            _ => Ok(()),
        }
    }

    async fn path_link(
        &mut self,
        memory: &mut GuestMemory<'_>,
        old_fd: Fd,
        old_flags: Lookupflags,
        old_path: GuestPtr<str>,
        new_fd: Fd,
        new_path: GuestPtr<str>,
    ) -> Answer<()> {
        let old_fd = self.descriptors.file(old_fd, Errno::Notdir)?;
        let new_fd = self.descriptors.file(new_fd, Errno::Notdir)?;
        self.inner.path_link(memory, old_fd, old_flags, old_path, new_fd, new_path).await
    }

    async fn path_open(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        dirflags: Lookupflags,
        path: GuestPtr<str>,
        oflags: Oflags,
        base: Rights,
        inheriting: Rights,
        fdflags: Fdflags,
    ) -> Answer<Fd> {
        let fd = self.descriptors.file(fd, Errno::Notdir)?;
        if !self.descriptors.has_room_for_file() {
            return Err(Errno::Mfile.into());
        }
        let opened =
            self.inner.path_open(memory, fd, dirflags, path, oflags, base, inheriting, fdflags).await?;
        Ok(self.descriptors.insert(Descriptor::File(u32::from(opened))))
    }

    async fn path_rename(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        old_path: GuestPtr<str>,
        new_fd: Fd,
        new_path: GuestPtr<str>,
    ) -> Answer<()> {
        let fd = self.descriptors.file(fd, Errno::Notdir)?;
        let new_fd = self.descriptors.file(new_fd, Errno::Notdir)?;
        self.inner.path_rename(memory, fd, old_path, new_fd, new_path).await
    }

    async fn path_symlink(
        &mut self,
        memory: &mut GuestMemory<'_>,
        old_path: GuestPtr<str>,
        fd: Fd,
        new_path: GuestPtr<str>,
    ) -> Answer<()> {
        let fd = self.descriptors.file(fd, Errno::Notdir)?;
        self.inner.path_symlink(memory, old_path, fd, new_path).await
    }

    async fn poll_oneoff(
        &mut self,
        memory: &mut GuestMemory<'_>,
        subscriptions: GuestPtr<Subscription>,
        events: GuestPtr<Event>,
        count: Size,
    ) -> Answer<Size> {
        self.poll_all(memory, subscriptions, events, count).await
    }

    // Linked separately, because these wait.
    fn sock_accept(&mut self, _: &mut GuestMemory<'_>, _: Fd, _: Fdflags) -> Answer<Fd> {
        Err(Errno::Notsup.into())
    }

    fn sock_recv(
        &mut self,
        _: &mut GuestMemory<'_>,
        _: Fd,
        _: IovecArray,
        _: Riflags,
    ) -> Answer<(Size, Roflags)> {
        Err(Errno::Notsup.into())
    }

    fn sock_send(&mut self, _: &mut GuestMemory<'_>, _: Fd, _: CiovecArray, _: Siflags) -> Answer<Size> {
        Err(Errno::Notsup.into())
    }

    fn sock_shutdown(&mut self, _: &mut GuestMemory<'_>, fd: Fd, how: Sdflags) -> Answer<()> {
        Ok(self.shut_down(fd, how)?)
    }
}
