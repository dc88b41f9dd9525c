//! An SQLite VFS that passes everything on to the operating system's and records what it does to files; it can also make
//! syncs or writes fail.
//!
//! `unsafe`, because SQLite's VFS is a table of C functions and there is no other place where every write and sync can be
//! seen. Test code only. SQLite calls with pointers that it got from `open` below, and never after `close`.
#![allow(unsafe_code)]

use super::disk::{Op, Record};
use rusqlite::ffi;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::mem::size_of;
use std::path::Path;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, Ordering};

/// What went through one VFS.
pub(crate) struct Recorder {
    name: CString,
    system: *mut ffi::sqlite3_vfs,
    record: Mutex<Record>,
    /// The error code of every sync from now on; 0: they succeed.
    failing_syncs: AtomicI32,
    /// The same for writes.
    failing_writes: AtomicI32,
}

// SAFETY: `system` is SQLite's own VFS, which lives as long as the process and may be used from any thread.
unsafe impl Send for Recorder {}
// SAFETY: as above; everything else is behind a lock or atomic.
unsafe impl Sync for Recorder {}

/// Our part of an open file; SQLite allocates it, and the system's own part right behind it.
#[repr(C)]
struct File {
    base: ffi::sqlite3_file,
    recorder: &'static Recorder,
    /// Leaked by `open`, freed by `close`; null for files that are not recorded.
    name: *mut c_char,
}

impl Recorder {
    /// Registers a VFS under `name`, for the rest of the process.
    pub(crate) fn register(name: &str) -> &'static Recorder {
        let name = CString::new(name).unwrap();
        // SAFETY: a null name asks for the default VFS, which is always there.
        let system = unsafe { ffi::sqlite3_vfs_find(ptr::null()) };
        let recorder: &'static Recorder = Box::leak(Box::new(Recorder {
            name,
            system,
            record: Mutex::default(),
            failing_syncs: AtomicI32::new(0),
            failing_writes: AtomicI32::new(0),
        }));
        // SAFETY: `system` is valid. All its functions but `xOpen` and `xDelete` ignore the VFS that they are handed, so a
        // copy of the table may call them.
        let vfs = unsafe {
            Box::leak(Box::new(ffi::sqlite3_vfs {
                szOsFile: (*system).szOsFile + size_of::<File>() as c_int,
                zName: recorder.name.as_ptr(),
                pNext: ptr::null_mut(),
                pAppData: ptr::from_ref(recorder).cast_mut().cast(),
                xOpen: Some(open),
                xDelete: Some(delete),
                ..*system
            }))
        };
        // SAFETY: `vfs` is never freed.
        assert_eq!(unsafe { ffi::sqlite3_vfs_register(vfs, 0) }, ffi::SQLITE_OK);
        recorder
    }

    /// How many operations were recorded.
    pub(crate) fn len(&self) -> usize {
        self.record.lock().unwrap().len()
    }

    /// Everything recorded.
    pub(crate) fn record(&self) -> Record {
        self.record.lock().unwrap().clone()
    }

    /// From now on every sync fails, as on a disk that went away.
    pub(crate) fn fail_syncs(&self) {
        self.failing_syncs.store(ffi::SQLITE_IOERR_FSYNC, Ordering::SeqCst);
    }

    /// From now on every write fails, as on a disk that is full.
    pub(crate) fn fail_writes(&self) {
        self.failing_writes.store(ffi::SQLITE_FULL, Ordering::SeqCst);
    }

    fn note(&self, name: &CStr, op: Op) {
        let name = Path::new(name.to_str().unwrap()).file_name().unwrap();
        self.record.lock().unwrap().push((name.to_str().unwrap().into(), op));
    }
}

impl File {
    /// SAFETY: `file` came from `open`.
    unsafe fn of<'a>(file: *mut ffi::sqlite3_file) -> &'a File {
        unsafe { &*file.cast::<File>() }
    }

    fn note(&self, op: Op) {
        if !self.name.is_null() {
            // SAFETY: a C string until `close`.
            self.recorder.note(unsafe { CStr::from_ptr(self.name) }, op);
        }
    }
}

/// The system's part of the file. SAFETY: `file` came from `open`.
unsafe fn system(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    unsafe { file.cast::<File>().add(1).cast() }
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite hands us our own VFS and memory of `szOsFile` bytes.
    unsafe {
        let recorder: &'static Recorder = &*(*vfs).pAppData.cast::<Recorder>();
        let open = (*recorder.system).xOpen.unwrap();
        let result = open(recorder.system, name, system(file), flags, out_flags);
        let recorded = flags & (ffi::SQLITE_OPEN_MAIN_DB | ffi::SQLITE_OPEN_WAL) != 0;
        let leaked = if recorded { CStr::from_ptr(name).to_owned().into_raw() } else { ptr::null_mut() };
        let is_open = !(*system(file)).pMethods.is_null();
        let methods: *const _ = if is_open { &raw const METHODS } else { ptr::null() };
        file.cast::<File>().write(File {
            base: ffi::sqlite3_file { pMethods: methods },
            recorder,
            name: leaked,
        });
        result
    }
}

unsafe extern "C" fn delete(vfs: *mut ffi::sqlite3_vfs, name: *const c_char, sync_dir: c_int) -> c_int {
    // SAFETY: as in `open`.
    unsafe {
        let recorder: &'static Recorder = &*(*vfs).pAppData.cast::<Recorder>();
        recorder.note(CStr::from_ptr(name), Op::Delete);
        (*recorder.system).xDelete.unwrap()(recorder.system, name, sync_dir)
    }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: `file` came from `open` and is not used again.
    unsafe {
        let name = (*file.cast::<File>()).name;
        if !name.is_null() {
            drop(CString::from_raw(name));
        }
        (*(*system(file)).pMethods).xClose.unwrap()(system(file))
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    bytes: *const c_void,
    len: c_int,
    offset: i64,
) -> c_int {
    // SAFETY: `file` came from `open`, and `bytes` holds `len` bytes.
    unsafe {
        let failure = File::of(file).recorder.failing_writes.load(Ordering::SeqCst);
        if failure != 0 {
            return failure;
        }
        let content = std::slice::from_raw_parts(bytes.cast::<u8>(), len as usize).to_vec();
        File::of(file).note(Op::Write { offset: offset as usize, bytes: content });
        (*(*system(file)).pMethods).xWrite.unwrap()(system(file), bytes, len, offset)
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, len: i64) -> c_int {
    // SAFETY: `file` came from `open`.
    unsafe {
        File::of(file).note(Op::Truncate(len as usize));
        (*(*system(file)).pMethods).xTruncate.unwrap()(system(file), len)
    }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: `file` came from `open`.
    unsafe {
        let failure = File::of(file).recorder.failing_syncs.load(Ordering::SeqCst);
        if failure != 0 {
            return failure;
        }
        let result = (*(*system(file)).pMethods).xSync.unwrap()(system(file), flags);
        File::of(file).note(Op::Sync);
        result
    }
}

/// Functions that only pass on.
macro_rules! pass_on {
    ($($name:ident = $method:ident($($arg:ident: $type:ty),*) -> $result:ty;)*) => {
        $(unsafe extern "C" fn $name(file: *mut ffi::sqlite3_file $(, $arg: $type)*) -> $result {
            // SAFETY: `file` came from `open`; the rest is SQLite's business with the system's VFS.
            unsafe { (*(*system(file)).pMethods).$method.unwrap()(system(file) $(, $arg)*) }
        })*
    };
}

pass_on! {
    read = xRead(into: *mut c_void, len: c_int, offset: i64) -> c_int;
    file_size = xFileSize(size: *mut i64) -> c_int;
    lock = xLock(level: c_int) -> c_int;
    unlock = xUnlock(level: c_int) -> c_int;
    check_reserved_lock = xCheckReservedLock(result: *mut c_int) -> c_int;
    file_control = xFileControl(op: c_int, arg: *mut c_void) -> c_int;
    sector_size = xSectorSize() -> c_int;
    device_characteristics = xDeviceCharacteristics() -> c_int;
    shm_map = xShmMap(page: c_int, size: c_int, extend: c_int, out: *mut *mut c_void) -> c_int;
    shm_lock = xShmLock(offset: c_int, n: c_int, flags: c_int) -> c_int;
    shm_barrier = xShmBarrier() -> ();
    shm_unmap = xShmUnmap(delete: c_int) -> c_int;
}

/// Version 2: no memory-mapped reads and writes, which nobody could record.
static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};
