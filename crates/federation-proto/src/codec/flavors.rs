//! postcard flavors: where encoded bytes go and where decoded bytes come from, without allocation.

use postcard::{Error, Result, de_flavors, ser_flavors};

/// Reads a slice and promises nothing about what is left, so that no sequence is allocated from a length that
/// its sender merely claims: a `Vec` then grows with the elements that were really there.
pub(super) struct Cautious<'de> {
    rest: &'de [u8],
}

impl<'de> Cautious<'de> {
    pub(super) const fn new(bytes: &'de [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl<'de> de_flavors::Flavor<'de> for Cautious<'de> {
    type Remainder = &'de [u8];
    type Source = &'de [u8];

    fn pop(&mut self) -> Result<u8> {
        let (first, rest) = self.rest.split_first().ok_or(Error::DeserializeUnexpectedEnd)?;
        self.rest = rest;
        Ok(*first)
    }

    fn size_hint(&self) -> Option<usize> {
        // postcard hands a claimed length on to serde only when it is not above this.
        Some(0)
    }

    fn try_take_n(&mut self, count: usize) -> Result<&'de [u8]> {
        let (taken, rest) =
            self.rest.split_at_checked(count).ok_or(Error::DeserializeUnexpectedEnd)?;
        self.rest = rest;
        Ok(taken)
    }

    fn finalize(self) -> Result<&'de [u8]> {
        Ok(self.rest)
    }
}

/// Compares an encoding, as it is made, with bytes at hand: the canonical check without a second buffer.
pub(super) struct Comparison<'a> {
    rest: &'a [u8],
}

impl<'a> Comparison<'a> {
    pub(super) const fn with(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl ser_flavors::Flavor for Comparison<'_> {
    type Output = bool;

    fn try_extend(&mut self, data: &[u8]) -> Result<()> {
        // The error only ends the serialisation; the caller reads every one of them as "differs".
        self.rest = self.rest.strip_prefix(data).ok_or(Error::SerializeBufferFull)?;
        Ok(())
    }

    fn try_push(&mut self, byte: u8) -> Result<()> {
        self.try_extend(&[byte])
    }

    fn finalize(self) -> Result<bool> {
        Ok(self.rest.is_empty())
    }
}

/// Bytes gathered before they are hashed: BLAKE3 is slow on single bytes and quick on whole chunks.
const GATHERED: usize = 1024;

/// Hashes an encoding as it is made.
pub(super) struct Hashing {
    hasher: blake3::Hasher,
    gathered: [u8; GATHERED],
    length: usize,
}

impl Hashing {
    pub(super) const fn into_hasher(hasher: blake3::Hasher) -> Self {
        Self { hasher, gathered: [0; GATHERED], length: 0 }
    }

    fn flush(&mut self) {
        let (gathered, _) = self.gathered.split_at(self.length.min(GATHERED));
        self.hasher.update(gathered);
        self.length = 0;
    }
}

impl ser_flavors::Flavor for Hashing {
    type Output = blake3::Hasher;

    fn try_extend(&mut self, data: &[u8]) -> Result<()> {
        let end = self.length + data.len();
        if let Some(room) = self.gathered.get_mut(self.length..end) {
            room.copy_from_slice(data);
            self.length = end;
        } else {
            self.flush();
            self.hasher.update(data);
        }
        Ok(())
    }

    fn try_push(&mut self, byte: u8) -> Result<()> {
        self.try_extend(&[byte])
    }

    fn finalize(mut self) -> Result<blake3::Hasher> {
        self.flush();
        Ok(self.hasher)
    }
}
