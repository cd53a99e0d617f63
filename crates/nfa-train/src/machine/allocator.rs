//! An allocator that keeps its pages.
//!
//! Every tensor operation allocates its result, and above 128 KiB glibc maps and unmaps fresh,
//! zeroed pages each time: at small sizes most of a training step is page faults. Raising the
//! thresholds keeps freed blocks on the heap.

/// Gives what is freed back to the system, so that what is resident is what is in use: before a peak
/// of memory is measured.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: malloc_trim takes an integer and touches free blocks alone.
    unsafe {
        libc::malloc_trim(0);
    }
}

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
