//! An allocator that keeps its pages.
//!
//! Every tensor operation allocates its result, and above 128 KiB glibc maps and unmaps fresh,
//! zeroed pages each time: at small sizes most of a training step is page faults. Raising the
//! thresholds keeps freed blocks on the heap.

/// Tells glibc to keep freed memory; elsewhere nothing. [`crate::App::main`] calls it; programs
/// without it call it before their first thread starts.
pub fn keep_pages() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt takes two integers and no memory of ours.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 30);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
        libc::mallopt(libc::M_TOP_PAD, 64 << 20);
    }
}
