//! A library that stands between a program and its clocks: what is preloaded comes before the C library, so that the program is told times
//! here, and waits here. How its clocks run is said by a page that the harness writes ([`page`]); without one they are the machine's.
//!
//! A wait goes on until the program's own clock shows its end, which may run faster meanwhile, or jump. It is made of short ones, between
//! which that clock is looked at.
//!
//! What asks the kernel by itself sees none of this: programs that are linked statically, as those in Go are, and futexes. Nor do condition
//! variables with a deadline, and timers that are files or send signals.

#![allow(
    unsafe_code,
    reason = "these functions are called by C, with pointers, and have to call the kernel"
)]
#![allow(
    unreachable_pub,
    reason = "they are public by their names in the library and by nothing else"
)]

mod page;

use page::{BOOT, HOLDS, Line, MONOTONIC, RAW, SEEN, SLOT_WORDS, Setting, USUAL, WALL, WORDS};
use std::ffi::{CStr, c_char, c_int, c_long, c_uint, c_void};
use std::ptr;
use std::sync::atomic::{AtomicI64, AtomicPtr, Ordering, fence};

/// The variable that names the page.
const VARIABLE: &CStr = c"RUSTYRAFT_CLOCK";
/// How long a wait lasts by the machine's clock until the program's is looked at again.
const SLICE: i64 = 20_000_000;
const SECOND: i64 = 1_000_000_000;

/// The numbers of system calls.
#[cfg(target_arch = "x86_64")]
mod number {
    pub(super) const CLOCK_GETTIME: i64 = 228;
    pub(super) const CLOCK_NANOSLEEP: i64 = 230;
    pub(super) const PSELECT6: i64 = 270;
    pub(super) const PPOLL: i64 = 271;
    pub(super) const EPOLL_PWAIT: i64 = 281;
}
/// The numbers of system calls.
#[cfg(target_arch = "aarch64")]
mod number {
    pub(super) const CLOCK_GETTIME: i64 = 113;
    pub(super) const CLOCK_NANOSLEEP: i64 = 115;
    pub(super) const PSELECT6: i64 = 72;
    pub(super) const PPOLL: i64 = 73;
    pub(super) const EPOLL_PWAIT: i64 = 22;
}

const CLOCK_REALTIME: c_int = 0;
const CLOCK_MONOTONIC: c_int = 1;
const CLOCK_MONOTONIC_RAW: c_int = 4;
const CLOCK_REALTIME_COARSE: c_int = 5;
const CLOCK_MONOTONIC_COARSE: c_int = 6;
const CLOCK_BOOTTIME: c_int = 7;
/// That a time to sleep until is given, and not one to sleep for.
const TIMER_ABSTIME: c_int = 1;
const EINTR: c_int = 4;
/// The bytes of the kernel's set of signals.
const SIGNALS_BYTES: usize = 8;

/// C's `struct timespec`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Timespec {
    seconds: i64,
    nanoseconds: c_long,
}

/// C's `struct timeval`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Timeval {
    seconds: i64,
    microseconds: c_long,
}

/// The last argument of the kernel's `pselect6`.
#[repr(C)]
struct Mask {
    signals: *const c_void,
    bytes: usize,
}

impl Timespec {
    fn of(nanoseconds: i64) -> Timespec {
        Timespec {
            seconds: nanoseconds.div_euclid(SECOND),
            nanoseconds: nanoseconds.rem_euclid(SECOND),
        }
    }

    /// `None` if it is none.
    fn nanoseconds(self) -> Option<i64> {
        let is_one = self.seconds >= 0 && (0..SECOND).contains(&self.nanoseconds);
        is_one.then(|| {
            self.seconds
                .saturating_mul(SECOND)
                .saturating_add(self.nanoseconds)
        })
    }
}

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
    fn __errno_location() -> *mut c_int;
    fn getenv(name: *const c_char) -> *const c_char;
    fn open(path: *const c_char, flags: c_int, ...) -> c_int;
    fn close(file: c_int) -> c_int;
    fn mmap(
        at: *mut c_void,
        bytes: usize,
        access: c_int,
        flags: c_int,
        file: c_int,
        offset: i64,
    ) -> *mut c_void;
}

/// The page, if there is one.
static PAGE: AtomicPtr<[AtomicI64; WORDS]> = AtomicPtr::new(ptr::null_mut());
/// The latest that clocks showed which do not go back, by their places.
static LATEST: [AtomicI64; page::CLOCKS] = [const { AtomicI64::new(0) }; page::CLOCKS];

#[used]
#[unsafe(link_section = ".init_array")]
static BEGIN: extern "C" fn() = begin;

/// Looks for the page, before the program begins. Where it is not to be had the harness notices that nobody looks at it.
extern "C" fn begin() {
    const READ_AND_WRITE: c_int = 1 | 2;
    const SHARED: c_int = 1;
    const O_RDWR_CLOEXEC: c_int = 0o2 | 0o2_000_000;
    // SAFETY: texts end with a zero; what `open` returns is a file or below zero; the page has the size that is mapped, and is never
    // unmapped.
    unsafe {
        let path = getenv(VARIABLE.as_ptr());
        if path.is_null() {
            return;
        }
        let file = open(path, O_RDWR_CLOEXEC);
        if file < 0 {
            return;
        }
        let mapped = mmap(
            ptr::null_mut(),
            size_of::<[AtomicI64; WORDS]>(),
            READ_AND_WRITE,
            SHARED,
            file,
            0,
        );
        close(file);
        if mapped.addr() != usize::MAX {
            PAGE.store(mapped.cast(), Ordering::Release);
        }
    }
}

/// The setting that holds.
fn setting() -> Option<Setting> {
    // SAFETY: it is null, or a page that stays and is used through atomics only.
    let page = unsafe { PAGE.load(Ordering::Acquire).as_ref() }?;
    loop {
        let number = page[HOLDS].load(Ordering::Acquire);
        let first = page::slot(number);
        let words: [i64; SLOT_WORDS] = std::array::from_fn(|word| page[first + word].load(Ordering::Relaxed));
        fence(Ordering::Acquire);
        // Its slot is written again only when another setting holds.
        if page[HOLDS].load(Ordering::Relaxed) == number {
            if page[SEEN].load(Ordering::Relaxed) < number {
                page[SEEN].fetch_max(number, Ordering::Release);
            }
            return Some(Setting {
                rate: words[0],
                lines: std::array::from_fn(|place| Line {
                    since: words[1 + 2 * place],
                    ahead: words[2 + 2 * place],
                }),
            });
        }
    }
}

/// The place of a clock, if it is one of those that run as the page says.
fn place(clock: c_int) -> Option<usize> {
    match clock {
        CLOCK_REALTIME | CLOCK_REALTIME_COARSE => Some(WALL),
        CLOCK_MONOTONIC | CLOCK_MONOTONIC_COARSE => Some(MONOTONIC),
        CLOCK_MONOTONIC_RAW => Some(RAW),
        CLOCK_BOOTTIME => Some(BOOT),
        _ => None,
    }
}

/// What a clock shows, or else what the kernel says.
fn read(clock: c_int) -> Result<i64, c_int> {
    let mut time = Timespec::of(0);
    // SAFETY: it is told where to write, and nothing else.
    let result = unsafe { syscall(number::CLOCK_GETTIME, c_long::from(clock), &raw mut time) };
    if result != 0 {
        return Err(-1);
    }
    let machine = time
        .seconds
        .saturating_mul(SECOND)
        .saturating_add(time.nanoseconds);
    let (Some(place), Some(setting)) = (place(clock), setting()) else {
        return Ok(machine);
    };
    let shown = setting.shows(place, machine);
    Ok(
        if [CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_BOOTTIME].contains(&clock) {
            // Whoever asked the machine an instant before a setting began may have gone by the one before.
            LATEST[place].fetch_max(shown, Ordering::Relaxed).max(shown)
        } else {
            shown
        },
    )
}

/// Waits by `step`, which is told for how many nanoseconds at most, until it returns something else than 0, or `clock` shows `limit`
/// nanoseconds more; without a limit, until the former.
fn wait(clock: c_int, limit: Option<i64>, mut step: impl FnMut(Option<i64>) -> c_long) -> c_long {
    let Some(limit) = limit.filter(|limit| *limit > 0) else {
        return step(limit);
    };
    let Ok(begun) = read(clock) else {
        return step(Some(limit));
    };
    let end = begun.saturating_add(limit);
    loop {
        let left = read(clock).map_or(0, |now| end.saturating_sub(now));
        let rate = setting().map_or(USUAL, |setting| setting.rate).max(1);
        let by_machine = i128::from(left) * i128::from(USUAL) / i128::from(rate) + 1;
        let slice = i64::try_from(by_machine).unwrap_or(SLICE).min(SLICE);
        let is_last = left <= 0;
        let result = step(Some(if is_last { 0 } else { slice }));
        if result != 0 || is_last {
            return result;
        }
    }
}

/// Sleeps until `clock` shows `limit` nanoseconds more; what is left if a signal came first.
fn sleep_for(clock: c_int, limit: i64) -> Result<(), i64> {
    let begun = read(clock).unwrap_or(0);
    let result = wait(clock, Some(limit), |slice| {
        let time = Timespec::of(slice.unwrap_or(0));
        // SAFETY: it is told what to read; what is left is not asked for.
        unsafe {
            syscall(
                number::CLOCK_NANOSLEEP,
                c_long::from(CLOCK_MONOTONIC),
                c_long::from(0),
                &raw const time,
                ptr::null_mut::<Timespec>(),
            )
        }
    });
    if result == 0 {
        return Ok(());
    }
    let now = read(clock).unwrap_or(begun);
    Err(begun.saturating_add(limit).saturating_sub(now).max(0))
}

/// In whole milliseconds, as `epoll` counts; not less.
fn milliseconds(time: Option<i64>) -> c_long {
    time.map_or(-1, |time| (time + 999_999) / 1_000_000)
}

/// Of C's milliseconds, which are below zero where there is no limit.
fn limit(milliseconds: c_int) -> Option<i64> {
    (milliseconds >= 0).then(|| i64::from(milliseconds) * 1_000_000)
}

/// A result in C's width.
fn result(value: c_long) -> c_int {
    c_int::try_from(value).unwrap_or(-1)
}

/// See `man 2 clock_gettime`.
///
/// # Safety
/// As of that.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: c_int, time: *mut Timespec) -> c_int {
    match read(clock) {
        Ok(shown) => {
            // SAFETY: the caller's.
            unsafe { time.write(Timespec::of(shown)) };
            0
        }
        Err(error) => error,
    }
}

/// See `man 2 gettimeofday`.
///
/// # Safety
/// As of that.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gettimeofday(time: *mut Timeval, zone: *mut [c_int; 2]) -> c_int {
    let Ok(shown) = read(CLOCK_REALTIME) else {
        return -1;
    };
    let shown = Timespec::of(shown);
    // SAFETY: the caller's.
    unsafe {
        if !time.is_null() {
            time.write(Timeval {
                seconds: shown.seconds,
                microseconds: shown.nanoseconds / 1000,
            });
        }
        if !zone.is_null() {
            zone.write([0, 0]);
        }
    }
    0
}

/// See `man 2 time`.
///
/// # Safety
/// As of that.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn time(time: *mut i64) -> i64 {
    let shown = read(CLOCK_REALTIME).map_or(-1, |shown| Timespec::of(shown).seconds);
    if !time.is_null() {
        // SAFETY: the caller's.
        unsafe { time.write(shown) };
    }
    shown
}

/// See `man 2 epoll_wait`.
///
/// # Safety
/// As of that.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn epoll_wait(epoll: c_int, events: *mut c_void, most: c_int, timeout: c_int) -> c_int {
    // SAFETY: the caller's.
    unsafe { epoll_pwait(epoll, events, most, timeout, ptr::null()) }
}

/// See `man 2 epoll_pwait`.
///
/// # Safety
/// As of that.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn epoll_pwait(
    epoll: c_int,
    events: *mut c_void,
    most: c_int,
    timeout: c_int,
    signals: *const c_void,
) -> c_int {
    result(wait(CLOCK_MONOTONIC, limit(timeout), |slice| {
        // SAFETY: the caller's.
        unsafe {
            syscall(
                number::EPOLL_PWAIT,
                c_long::from(epoll),
                events,
                c_long::from(most),
                milliseconds(slice),
                signals,
                SIGNALS_BYTES,
            )
        }
    }))
}

/// See `man 2 poll`.
///
/// # Safety
/// As of that.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn poll(files: *mut c_void, count: usize, timeout: c_int) -> c_int {
    // SAFETY: the caller's.
    unsafe { poll_for(files, count, limit(timeout), ptr::null()) }
}

/// See `man 2 ppoll`.
///
/// # Safety
/// As of that.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ppoll(
    files: *mut c_void,
    count: usize,
    timeout: *const Timespec,
    signals: *const c_void,
) -> c_int {
    // SAFETY: the caller's.
    unsafe {
        poll_for(
            files,
            count,
            timeout.as_ref().and_then(|time| time.nanoseconds()),
            signals,
        )
    }
}

unsafe fn poll_for(files: *mut c_void, count: usize, limit: Option<i64>, signals: *const c_void) -> c_int {
    result(wait(CLOCK_MONOTONIC, limit, |slice| {
        let mut time = slice.map(Timespec::of);
        let time = time.as_mut().map_or(ptr::null_mut(), ptr::from_mut);
        // SAFETY: the caller's; the time lives on.
        unsafe { syscall(number::PPOLL, files, count, time, signals, SIGNALS_BYTES) }
    }))
}

/// See `man 2 nanosleep`.
///
/// # Safety
/// As of that.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nanosleep(time: *const Timespec, left: *mut Timespec) -> c_int {
    // SAFETY: the caller's; what C's functions return is told by `errno`.
    unsafe {
        match clock_nanosleep(CLOCK_MONOTONIC, 0, time, left) {
            0 => 0,
            error => {
                __errno_location().write(error);
                -1
            }
        }
    }
}

/// See `man 2 clock_nanosleep`.
///
/// # Safety
/// As of that.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_nanosleep(
    clock: c_int,
    flags: c_int,
    time: *const Timespec,
    left: *mut Timespec,
) -> c_int {
    // SAFETY: the caller's.
    let (asked, is_known) = unsafe {
        (
            time.as_ref().and_then(|time| time.nanoseconds()),
            place(clock).is_some(),
        )
    };
    let (Some(asked), true) = (asked, is_known) else {
        // Another clock, or no time: that is the kernel's to judge.
        // SAFETY: the caller's.
        let result = unsafe {
            syscall(
                number::CLOCK_NANOSLEEP,
                c_long::from(clock),
                c_long::from(flags),
                time,
                left,
            )
        };
        // SAFETY: each thread has its own, always.
        return if result == 0 {
            0
        } else {
            unsafe { *__errno_location() }
        };
    };
    let is_until = flags & TIMER_ABSTIME != 0;
    let now = if is_until { read(clock).unwrap_or(0) } else { 0 };
    match sleep_for(clock, asked.saturating_sub(now)) {
        Ok(()) => 0,
        Err(rest) => {
            if !is_until && !left.is_null() {
                // SAFETY: the caller's.
                unsafe { left.write(Timespec::of(rest)) };
            }
            EINTR
        }
    }
}

/// See `man 3 usleep`.
#[unsafe(no_mangle)]
pub extern "C" fn usleep(microseconds: c_uint) -> c_int {
    match sleep_for(CLOCK_MONOTONIC, i64::from(microseconds) * 1000) {
        Ok(()) => 0,
        Err(_) => -1,
    }
}

/// See `man 3 sleep`.
#[unsafe(no_mangle)]
pub extern "C" fn sleep(seconds: c_uint) -> c_uint {
    match sleep_for(CLOCK_MONOTONIC, i64::from(seconds) * SECOND) {
        Ok(()) => 0,
        Err(rest) => c_uint::try_from((rest + SECOND / 2) / SECOND).unwrap_or(seconds),
    }
}

/// See `man 2 select`.
///
/// # Safety
/// As of that.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn select(
    count: c_int,
    readable: *mut c_void,
    writable: *mut c_void,
    special: *mut c_void,
    timeout: *mut Timeval,
) -> c_int {
    // SAFETY: the caller's.
    unsafe {
        let time = timeout.as_ref().map(|time| Timespec {
            seconds: time.seconds.saturating_add(time.microseconds / 1_000_000),
            nanoseconds: time.microseconds % 1_000_000 * 1000,
        });
        let time = time.as_ref().map_or(ptr::null(), ptr::from_ref);
        pselect(count, readable, writable, special, time, ptr::null())
    }
}

/// See `man 2 pselect`.
///
/// # Safety
/// As of that.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pselect(
    count: c_int,
    readable: *mut c_void,
    writable: *mut c_void,
    special: *mut c_void,
    timeout: *const Timespec,
    signals: *const c_void,
) -> c_int {
    // Of whom nothing was heard when a wait ends, the kernel has taken out of the sets: there is one wait, as long as it is to be by the rate
    // of now.
    let rate = setting().map_or(USUAL, |setting| setting.rate).max(1);
    // SAFETY: the caller's.
    let asked = unsafe { timeout.as_ref().and_then(|time| time.nanoseconds()) };
    let mut time = asked.map(|asked| {
        let by_machine = i128::from(asked) * i128::from(USUAL) / i128::from(rate);
        Timespec::of(i64::try_from(by_machine).unwrap_or(i64::MAX))
    });
    let time = time.as_mut().map_or(ptr::null_mut(), ptr::from_mut);
    let mask = Mask {
        signals,
        bytes: SIGNALS_BYTES,
    };
    // SAFETY: the caller's; the time and the mask live on.
    result(unsafe {
        syscall(
            number::PSELECT6,
            c_long::from(count),
            readable,
            writable,
            special,
            time,
            &raw const mask,
        )
    })
}
