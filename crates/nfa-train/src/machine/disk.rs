//! The only door to the file system, so that a test can make any operation fail.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// What runs need of a file system.
pub trait Store: Send + Sync {
    /// The bytes of a file.
    ///
    /// # Errors
    /// As the file system says.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Some bytes of a file.
    ///
    /// # Errors
    /// As the file system says; `UnexpectedEof` where it ends before.
    fn section(&self, path: &Path, place: Range<u64>) -> io::Result<Vec<u8>> {
        let mut bytes = self.read(path)?;
        let end = usize::try_from(place.end).ok().filter(|&end| end <= bytes.len());
        let (Some(end), Ok(start)) = (end, usize::try_from(place.start)) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        bytes.truncate(end);
        Ok(bytes.split_off(start.min(end)))
    }
    /// The length of a file.
    ///
    /// # Errors
    /// As the file system says.
    fn size(&self, path: &Path) -> io::Result<u64> {
        Ok(self.read(path)?.len() as u64)
    }
    /// Replaces a file whole: a reader (or a crash) sees the old bytes or the new, nothing between.
    ///
    /// # Errors
    /// As the file system says.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Adds bytes at the end, creating the file.
    ///
    /// # Errors
    /// As the file system says.
    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Cuts a file to a length; a missing file is created empty.
    ///
    /// # Errors
    /// As the file system says; `UnexpectedEof` for a file shorter than that.
    fn truncate(&self, path: &Path, length: u64) -> io::Result<()>;
    /// Creates a folder and its parents.
    ///
    /// # Errors
    /// As the file system says.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// The entries of a folder, sorted.
    ///
    /// # Errors
    /// As the file system says.
    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>>;
    /// Removes a file.
    ///
    /// # Errors
    /// As the file system says.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Takes an exclusive lock that the operating system drops with the process; `None` where
    /// another process holds it.
    ///
    /// # Errors
    /// As the file system says.
    fn lock(&self, path: &Path) -> io::Result<Option<Lock>>;
}

/// A held lock; dropping it releases it.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// The real file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Store for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn section(&self, path: &Path, place: Range<u64>) -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        // What is not there is not allocated.
        if file.metadata()?.len() < place.end {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        file.seek(io::SeekFrom::Start(place.start))?;
        let mut bytes = vec![0; (place.end - place.start) as usize];
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn size(&self, path: &Path) -> io::Result<u64> {
        Ok(fs::metadata(path)?.len())
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::Builder::new().prefix(".writing-").tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_data()?;
        // Temporary files are private; results are for whoever may read the folder.
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
        }
        file.persist(path).map_err(|error| error.error)?;
        // The rename itself must survive a power cut; not every file system can sync a folder.
        if let Ok(folder) = File::open(folder) {
            let _ = folder.sync_all();
        }
        Ok(())
    }

    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        OpenOptions::new().create(true).append(true).open(path)?.write_all(bytes)
    }

    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        let now = file.metadata()?.len();
        if now < length {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("has {now} bytes, expected at least {length}"),
            ));
        }
        file.set_len(length)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let mut entries: Vec<PathBuf> =
            fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?;
        entries.sort();
        Ok(entries)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Lock>> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        // A process that is ending, or a child between fork and exec, holds a lock for a moment longer.
        for left in (0..LOCK_TRIES).rev() {
            match file.try_lock() {
                Ok(()) => return Ok(Some(Lock { _file: file })),
                Err(fs::TryLockError::WouldBlock) if left > 0 => std::thread::sleep(LOCK_PAUSE),
                Err(fs::TryLockError::WouldBlock) => break,
                Err(fs::TryLockError::Error(error)) => return Err(error),
            }
        }
        Ok(None)
    }
}

/// How often a lock is tried, and how long apart.
const LOCK_TRIES: u32 = 10;
const LOCK_PAUSE: std::time::Duration = std::time::Duration::from_millis(20);
