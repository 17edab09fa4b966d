//! A layer beneath SQLite that puts a sum at the end of each page of a database it writes and checks
//! the sum of each page it reads. Without it a flipped bit inside a row is served as if it had been
//! written: SQLite itself looks only at a page's structure. A page that fails is reported as
//! `SQLITE_IOERR_DATA`, which becomes `StoreError::Damaged` with the file's name.
//!
//! Only database files pass through here; logs, journals and everything else go straight to the
//! layer below. (The write-ahead log has sums of its own, which SQLite checks when it recovers.)
#![allow(
    unsafe_code,
    reason = "SQLite's file layer is a table of C functions; there is no safe way to be one"
)]

pub(crate) mod checksum;

use crate::options::Options;
use caxton_engine::port::StoreError;
use checksum::{PAGE_BYTES, SUM_BYTES, is_whole, seal};
use parking_lot::Mutex;
use rusqlite::Connection;
use rusqlite::ffi;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::mem::size_of;
use std::ptr;

/// Before the name of the layer below.
const PREFIX: &str = "caxton-";

/// The name under which the layer over the options' VFS is registered.
pub(crate) fn name(options: &Options) -> String {
    format!("{PREFIX}{}", options.vfs.as_deref().unwrap_or("default"))
}

/// Registers the layer, once for each VFS below it. It stays for the life of the process.
pub(crate) fn register(options: &Options) -> Result<(), StoreError> {
    static REGISTERING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = REGISTERING.lock();
    let fail = |what: &str| StoreError::Failed(format!("cannot set up the file layer: {what}"));
    let own = CString::new(name(options)).map_err(|_| fail("its name"))?;
    let below = options.vfs.as_deref().map(CString::new).transpose();
    let below = below.map_err(|_| fail("the name of the one below"))?;
    let below = below.as_deref().map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: both names are NUL-terminated and outlive the calls; SQLite's registry has a lock of
    // its own. What is registered is leaked, as SQLite keeps the pointer for ever.
    unsafe {
        if !ffi::sqlite3_vfs_find(own.as_ptr()).is_null() {
            return Ok(());
        }
        // Counting every allocation takes a lock that all connections share. Refused, and left as it
        // is, where this process has used SQLite before.
        ffi::sqlite3_config(ffi::SQLITE_CONFIG_MEMSTATUS, 0 as c_int);
        let below = ffi::sqlite3_vfs_find(below);
        let Some(found) = below.as_ref() else {
            return Err(fail("no such VFS"));
        };
        let header = c_int::try_from(size_of::<File>()).unwrap_or(c_int::MAX);
        let layer = ffi::sqlite3_vfs {
            iVersion: 2,
            szOsFile: header.saturating_add(found.szOsFile),
            mxPathname: found.mxPathname,
            pNext: ptr::null_mut(),
            zName: own.into_raw(),
            pAppData: below.cast(),
            xOpen: Some(open),
            xDelete: Some(delete),
            xAccess: Some(access),
            xFullPathname: Some(full_pathname),
            xDlOpen: None,
            xDlError: None,
            xDlSym: None,
            xDlClose: None,
            xRandomness: Some(randomness),
            xSleep: Some(sleep),
            xCurrentTime: Some(current_time),
            xGetLastError: Some(last_error),
            xCurrentTimeInt64: Some(current_time_int64),
            xSetSystemCall: None,
            xGetSystemCall: None,
            xNextSystemCall: None,
        };
        let layer = Box::into_raw(Box::new(layer));
        match ffi::sqlite3_vfs_register(layer, 0) {
            ffi::SQLITE_OK => Ok(()),
            code => Err(fail(&format!("SQLite says {code}"))),
        }
    }
}

/// Asks SQLite to leave room for the sum in every page; before the file is made.
pub(crate) fn reserve(conn: &Connection) -> Result<(), rusqlite::Error> {
    let mut bytes = c_int::try_from(SUM_BYTES).unwrap_or(0);
    // SAFETY: the handle is of a live connection, and the operation reads and writes one int.
    let code = unsafe {
        ffi::sqlite3_file_control(
            conn.handle(),
            c"main".as_ptr(),
            ffi::SQLITE_FCNTL_RESERVE_BYTES,
            (&raw mut bytes).cast(),
        )
    };
    match code {
        ffi::SQLITE_OK => Ok(()),
        code => Err(rusqlite::Error::SqliteFailure(
            ffi::Error::new(code),
            Some("cannot reserve room for page sums".to_owned()),
        )),
    }
}

/// An open database file. The layer below keeps its own file right behind.
#[repr(C)]
struct File {
    base: ffi::sqlite3_file,
}

// SAFETY of all functions below: SQLite calls them with pointers it got from `register` and `open`,
// as its documentation of `sqlite3_vfs` and `sqlite3_io_methods` says: a file has the size asked for
// in `szOsFile`, buffers have the length given. They pass the same pointers on, replacing only the
// layer and the file by those below.

unsafe fn below(vfs: *mut ffi::sqlite3_vfs) -> *mut ffi::sqlite3_vfs {
    unsafe { (*vfs).pAppData.cast() }
}

unsafe fn real(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    unsafe { file.cast::<File>().add(1).cast() }
}

/// Calls a method of the file below; an absent one is an error that SQLite knows.
macro_rules! pass {
    ($file:expr, $method:ident $(, $argument:expr)*) => {{
        let file = unsafe { real($file) };
        match unsafe { (*(*file).pMethods).$method } {
            Some(method) => unsafe { method(file $(, $argument)*) },
            None => ffi::SQLITE_IOERR,
        }
    }};
}

/// Calls a function of the layer below.
macro_rules! pass_vfs {
    ($vfs:expr, $function:ident $(, $argument:expr)*) => {{
        let vfs = unsafe { below($vfs) };
        match unsafe { (*vfs).$function } {
            Some(function) => unsafe { function(vfs $(, $argument)*) },
            None => ffi::SQLITE_ERROR,
        }
    }};
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    path: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    if flags & ffi::SQLITE_OPEN_MAIN_DB == 0 {
        return pass_vfs!(vfs, xOpen, path, file, flags, out_flags);
    }
    let under = unsafe { real(file) };
    unsafe {
        (*file).pMethods = ptr::null();
        (*under).pMethods = ptr::null();
    }
    let code = pass_vfs!(vfs, xOpen, path, under, flags, out_flags);
    // SQLite closes a file that has methods, even one that did not open.
    if unsafe { !(*under).pMethods.is_null() } {
        unsafe { (*file).pMethods = &raw const METHODS };
    }
    code
}

unsafe extern "C" fn delete(
    vfs: *mut ffi::sqlite3_vfs,
    path: *const c_char,
    sync_dir: c_int,
) -> c_int {
    pass_vfs!(vfs, xDelete, path, sync_dir)
}

unsafe extern "C" fn access(
    vfs: *mut ffi::sqlite3_vfs,
    path: *const c_char,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    pass_vfs!(vfs, xAccess, path, flags, out)
}

unsafe extern "C" fn full_pathname(
    vfs: *mut ffi::sqlite3_vfs,
    path: *const c_char,
    bytes: c_int,
    out: *mut c_char,
) -> c_int {
    pass_vfs!(vfs, xFullPathname, path, bytes, out)
}

unsafe extern "C" fn randomness(
    vfs: *mut ffi::sqlite3_vfs,
    bytes: c_int,
    out: *mut c_char,
) -> c_int {
    pass_vfs!(vfs, xRandomness, bytes, out)
}

unsafe extern "C" fn sleep(vfs: *mut ffi::sqlite3_vfs, microseconds: c_int) -> c_int {
    pass_vfs!(vfs, xSleep, microseconds)
}

unsafe extern "C" fn current_time(vfs: *mut ffi::sqlite3_vfs, out: *mut f64) -> c_int {
    pass_vfs!(vfs, xCurrentTime, out)
}

unsafe extern "C" fn last_error(
    vfs: *mut ffi::sqlite3_vfs,
    bytes: c_int,
    out: *mut c_char,
) -> c_int {
    pass_vfs!(vfs, xGetLastError, bytes, out)
}

unsafe extern "C" fn current_time_int64(
    vfs: *mut ffi::sqlite3_vfs,
    out: *mut ffi::sqlite3_int64,
) -> c_int {
    pass_vfs!(vfs, xCurrentTimeInt64, out)
}

/// Version 2: no memory mapping, which would pass the check by.
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

/// The place of a whole page; SQLite also reads parts of the header, which have no sum of their own.
fn page_place(bytes: c_int, offset: ffi::sqlite3_int64) -> Option<u64> {
    let offset = u64::try_from(offset).ok()?;
    let whole = usize::try_from(bytes) == Ok(PAGE_BYTES);
    (whole && offset.is_multiple_of(PAGE_BYTES as u64)).then_some(offset)
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    buffer: *mut c_void,
    bytes: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    let code = pass!(file, xRead, buffer, bytes, offset);
    if code != ffi::SQLITE_OK {
        return code;
    }
    let Some(place) = page_place(bytes, offset) else {
        return code;
    };
    // The buffer has `bytes` bytes, which are `PAGE_BYTES`; bytes have no alignment.
    let page = unsafe { &*buffer.cast::<[u8; PAGE_BYTES]>() };
    if is_whole(page, place) {
        ffi::SQLITE_OK
    } else {
        ffi::SQLITE_IOERR_DATA
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    buffer: *const c_void,
    bytes: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    let Some(place) = page_place(bytes, offset) else {
        return pass!(file, xWrite, buffer, bytes, offset);
    };
    // A copy: the page is SQLite's and constant.
    let mut page = unsafe { *buffer.cast::<[u8; PAGE_BYTES]>() };
    seal(&mut page, place);
    let sealed: *const c_void = page.as_ptr().cast();
    pass!(file, xWrite, sealed, bytes, offset)
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    pass!(file, xClose)
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: ffi::sqlite3_int64) -> c_int {
    pass!(file, xTruncate, size)
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    pass!(file, xSync, flags)
}

unsafe extern "C" fn file_size(
    file: *mut ffi::sqlite3_file,
    out: *mut ffi::sqlite3_int64,
) -> c_int {
    pass!(file, xFileSize, out)
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    pass!(file, xLock, level)
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    pass!(file, xUnlock, level)
}

unsafe extern "C" fn check_reserved_lock(file: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    pass!(file, xCheckReservedLock, out)
}

unsafe extern "C" fn file_control(
    file: *mut ffi::sqlite3_file,
    operation: c_int,
    argument: *mut c_void,
) -> c_int {
    pass!(file, xFileControl, operation, argument)
}

unsafe extern "C" fn sector_size(file: *mut ffi::sqlite3_file) -> c_int {
    pass!(file, xSectorSize)
}

unsafe extern "C" fn device_characteristics(file: *mut ffi::sqlite3_file) -> c_int {
    pass!(file, xDeviceCharacteristics)
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    region: c_int,
    bytes: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    pass!(file, xShmMap, region, bytes, extend, out)
}

unsafe extern "C" fn shm_lock(
    file: *mut ffi::sqlite3_file,
    offset: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    pass!(file, xShmLock, offset, count, flags)
}

unsafe extern "C" fn shm_barrier(file: *mut ffi::sqlite3_file) {
    let file = unsafe { real(file) };
    if let Some(method) = unsafe { (*(*file).pMethods).xShmBarrier } {
        unsafe { method(file) }
    }
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
    pass!(file, xShmUnmap, delete)
}
