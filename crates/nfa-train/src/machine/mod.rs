//! The machine that a program runs on: disk, devices, threads.

pub mod allocator;
pub mod build;
pub mod devices;
pub mod disk;
pub mod memory;
pub mod message;
pub mod progress;
pub mod threads;
