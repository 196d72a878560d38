//! What the kernel says about this process. Missing numbers are left out of the scrape, never shown as zero.

use std::fs;

/// Resident memory in bytes.
///
/// Source: proc_pid_status(5), `VmRSS` in kB.
pub(super) fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// Open file descriptors.
pub(super) fn open_fds() -> Option<u64> {
    // Listing the folder opens one descriptor more.
    let count = fs::read_dir("/proc/self/fd").ok()?.count();
    u64::try_from(count.saturating_sub(1)).ok()
}

/// The most file descriptors this process may open.
///
/// Source: proc_pid_limits(5), second column (soft limit).
pub(super) fn max_fds() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Processor time used, user and system, in hundredths of a second.
///
/// Source: proc_pid_stat(5), fields 14 and 15 in clock ticks; Linux fixes the tick shown to user space at 1/100 s.
pub(super) fn cpu_centiseconds() -> Option<u64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name stands in brackets and may hold anything, so count from the last bracket (field 3 follows it).
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    user.checked_add(system)
}
