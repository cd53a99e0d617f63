//! How much memory there is, where the system says so (Linux).

use std::path::Path;

use crate::machine::disk::Store;

/// The bytes that can be had without swapping, within what this process and its group may have.
pub fn available(store: &dyn Store) -> Option<u64> {
    let text = |path: &str| store.read(Path::new(path)).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let free = kibibytes(&text("/proc/meminfo")?, "MemAvailable:").map(|count| 1024 * count)?;
    // `ulimit -v`: of addresses, of which some are taken.
    let limit = text("/proc/self/limits").and_then(|table| {
        let row = table.lines().find_map(|line| line.strip_prefix("Max address space"))?.to_string();
        row.split_whitespace().next()?.parse::<u64>().ok()
    });
    let taken =
        text("/proc/self/status").and_then(|table| kibibytes(&table, "VmSize:")).map_or(0, |count| 1024 * count);
    let group = text("/sys/fs/cgroup/memory.max").and_then(|most| most.trim().parse::<u64>().ok());
    let used = text("/sys/fs/cgroup/memory.current").and_then(|used| used.trim().parse::<u64>().ok()).unwrap_or(0);
    // Files that were read stand among what is used, and leave when they must.
    let files = text("/sys/fs/cgroup/memory.stat")
        .and_then(|table| {
            table.lines().find_map(|line| line.strip_prefix("inactive_file "))?.trim().parse::<u64>().ok()
        })
        .unwrap_or(0);
    let used = used.saturating_sub(files);
    let limits = [limit.map(|limit| limit.saturating_sub(taken)), group.map(|group| group.saturating_sub(used))];
    Some(limits.into_iter().flatten().fold(free, u64::min))
}

/// The number behind a word of `/proc`'s tables, in KiB.
pub fn kibibytes(table: &str, word: &str) -> Option<u64> {
    table.lines().find_map(|line| line.strip_prefix(word))?.trim().strip_suffix("kB")?.trim().parse().ok()
}
