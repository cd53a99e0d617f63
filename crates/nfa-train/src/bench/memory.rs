//! How much memory the process had resident at most, where the system says so (Linux).

use std::path::Path;

use crate::machine::disk::Store;
use crate::machine::memory::kibibytes;

/// The process's peak from here on.
pub struct Peak<'a> {
    store: &'a dyn Store,
}

impl<'a> Peak<'a> {
    /// Gives freed memory back and starts anew; `None` where the system keeps no account of it.
    pub fn start(store: &'a dyn Store) -> Option<Self> {
        crate::machine::allocator::give_back();
        // 5 resets the high-water mark: proc_pid_clear_refs(5).
        store.append(Path::new("/proc/self/clear_refs"), b"5").ok().map(|()| Peak { store })
    }

    /// The most bytes that were resident since.
    pub fn bytes(&self) -> Option<u64> {
        let status = self.store.read(Path::new("/proc/self/status")).ok()?;
        kibibytes(&String::from_utf8_lossy(&status), "VmHWM:").map(|count| 1024 * count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_that_is_touched_is_seen() {
        let Some(peak) = Peak::start(&crate::machine::disk::Disk) else { return };
        let before = peak.bytes().expect("Linux tells");
        let block = vec![1u8; 200 << 20];
        assert!(block.iter().step_by(4096).map(|&b| u64::from(b)).sum::<u64>() > 0);
        assert!(peak.bytes().expect("Linux tells") >= before + (150 << 20));
    }
}
