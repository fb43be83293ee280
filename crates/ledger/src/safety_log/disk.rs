//! What the log needs of a disk, so that its whole logic runs over disks that fail.

use std::io;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Shared with other readers. Nothing is written.
    Read,
    /// Shared with nobody.
    Write,
}

/// One open file. Offsets and lengths are in bytes.
///
/// The log trusts a disk with this much: what was synced stays; a write that was not synced may have reached
/// any of its 512-byte sectors or none, in any order; a sector is the old or the new one, or the old on one side
/// of a break and the new on the other, the break not within its first 8 or its last 16 bytes; a new length comes
/// as one.
pub trait Disk {
    /// Fills the buffer, or fails.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all bytes, or fails with any part of them written.
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// The length of the file.
    fn length(&self) -> io::Result<u64>;

    /// Makes the file longer. What was added reads as zeros.
    fn set_length(&mut self, length: u64) -> io::Result<()>;

    /// Returns when everything written survives a loss of power.
    fn sync(&mut self) -> io::Result<()>;
}

/// The name under which a log is kept, with the name of a draft beside it.
///
/// A file that somebody else has open is refused with [`io::ErrorKind::WouldBlock`].
pub trait Place {
    /// An open file of this place. It is locked until it is dropped.
    type File: Disk;

    /// Opens the log, if there is one. To write, also removes a draft that was left behind and makes durable
    /// what the name stands for: a reader of the directory may have seen what the device never got.
    fn open(&self, access: Access) -> io::Result<Option<Self::File>>;

    /// An empty draft that nobody else has.
    fn draft(&self) -> io::Result<Self::File>;

    /// Gives the name of the log to the draft, in one step that survives a loss of power when this returns.
    fn publish(&self) -> io::Result<()>;
}
