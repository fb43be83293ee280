//! The canonical export: what artifacts hold, as pure functions between values, names and bytes.
//!
//! ```text
//! ledger/blocks/00000001.blk    canonical bytes of a BlockFile, height in decimal from 1
//! ledger/blobs/<64 hex>         a blob, named by its plain BLAKE3 digest
//! ```
//!
//! One block has one name and one form: names and bytes are decoded, re-encoded and compared.

use federation_proto::codec::{Canonical, CodecError};
use federation_proto::{Digest, Height};
use thiserror::Error;

use crate::block::{BlockError, BlockFile};

#[cfg(test)]
mod tests;

/// Folder of the blocks, relative to the root of the artifacts.
pub const BLOCKS: &str = "ledger/blocks/";

/// Folder of the blobs, relative to the root of the artifacts.
pub const BLOBS: &str = "ledger/blobs/";

/// Largest height that eight digits name.
pub const MAX_EXPORT_HEIGHT: Height = Height::new(99_999_999);

/// Why something cannot be exported or imported.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ExportError {
    /// The height has no eight-digit name.
    #[error("height {found} has no name, 1 to {MAX_EXPORT_HEIGHT} are exported")]
    Height {
        /// The refused height.
        found: Height,
    },
    /// The name is neither a block's nor a blob's.
    #[error("{found:?} is no name of a block or blob")]
    Name {
        /// The name, shortened.
        found: String,
    },
    /// The bytes are not the canonical form of a block.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The parts of the block do not belong together.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// The file is named after another height.
    #[error("the file of height {named} holds block {found}")]
    HeightMismatch {
        /// Height in the name.
        named: Height,
        /// Height in the header.
        found: Height,
    },
    /// The file is named after another digest.
    #[error("the blob named {named} has digest {found}")]
    BlobMismatch {
        /// Digest in the name.
        named: Digest,
        /// Digest of the bytes.
        found: Digest,
    },
}

/// Name of the file of a block.
///
/// # Errors
/// [`ExportError::Height`] for height 0 and heights of more than eight digits.
pub fn block_path(height: Height) -> Result<String, ExportError> {
    if height == Height::ZERO || height > MAX_EXPORT_HEIGHT {
        return Err(ExportError::Height { found: height });
    }
    Ok(format!("{BLOCKS}{:08}.blk", height.get()))
}

/// The height that a name stands for, if [`block_path`] gives that name.
#[must_use]
pub fn parse_block_path(path: &str) -> Option<Height> {
    let digits = path.strip_prefix(BLOCKS)?.strip_suffix(".blk")?;
    let height = Height::new(digits.parse().ok()?);
    block_path(height).is_ok_and(|canonical| canonical == path).then_some(height)
}

/// Name of the file of a blob.
#[must_use]
pub fn blob_path(digest: &Digest) -> String {
    format!("{BLOBS}{digest}")
}

/// The digest that a name stands for, if [`blob_path`] gives that name.
#[must_use]
pub fn parse_blob_path(path: &str) -> Option<Digest> {
    path.strip_prefix(BLOBS)?.parse().ok()
}

/// The bytes of the file of a block.
///
/// # Errors
/// [`ExportError::Block`] when the parts do not belong together, [`ExportError::Codec`] when the
/// file would be larger than [`decode_block`] accepts.
pub fn encode_block(block: &BlockFile) -> Result<Vec<u8>, ExportError> {
    block.check()?;
    let bytes = block.to_canonical();
    if bytes.len() > BlockFile::MAX_BYTES {
        let (what, length, limit) = (BlockFile::NAME, bytes.len(), BlockFile::MAX_BYTES);
        return Err(CodecError::TooLarge { what, length, limit }.into());
    }
    Ok(bytes)
}

/// The block in the file named after `height`: size, canonical form, height and inner consistency
/// are checked. Whether it follows the block before is for [`Ledger::import`] to say.
///
/// [`Ledger::import`]: crate::chain::Ledger::import
///
/// # Errors
/// [`ExportError::Codec`], [`ExportError::HeightMismatch`] or [`ExportError::Block`].
pub fn decode_block(height: Height, bytes: &[u8]) -> Result<BlockFile, ExportError> {
    let block = BlockFile::from_canonical(bytes)?;
    if block.header.height != height {
        let (named, found) = (height, block.header.height);
        return Err(ExportError::HeightMismatch { named, found });
    }
    block.check()?;
    Ok(block)
}

/// Checks that a blob is the one its name says.
///
/// # Errors
/// [`ExportError::BlobMismatch`].
pub fn check_blob(named: &Digest, bytes: &[u8]) -> Result<(), ExportError> {
    let found = Digest::of_blob(bytes);
    if found == *named {
        return Ok(());
    }
    Err(ExportError::BlobMismatch { named: *named, found })
}
