//! Reading a database that was not closed, without changing a byte of it.
//!
//! redb repairs such a file before it reads it. Over this storage the repair happens in memory: what is written
//! lies on top of the medium and is forgotten with the value.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

/// Writes are kept by sectors of this many bytes.
const SECTOR: usize = 512;

/// A medium with a layer of writes over it.
#[derive(Debug)]
pub(super) struct Overlay<B> {
    medium: B,
    layer: Mutex<Layer>,
}

#[derive(Debug)]
struct Layer {
    length: u64,
    /// The least length it had: what the medium holds beyond it is gone.
    kept: u64,
    sectors: BTreeMap<u64, [u8; SECTOR]>,
}

impl<B: StorageBackend> Overlay<B> {
    pub(super) fn new(medium: B) -> io::Result<Self> {
        let length = medium.len()?;
        let layer = Layer { length, kept: length, sectors: BTreeMap::new() };
        Ok(Self { medium, layer: Mutex::new(layer) })
    }

    fn layer(&self) -> MutexGuard<'_, Layer> {
        // Nothing between lock and unlock leaves a layer half changed.
        self.layer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_under(&self, layer: &Layer, offset: u64, out: &mut [u8]) -> io::Result<()> {
        out.fill(0);
        let there = layer.kept.saturating_sub(offset).min(out.len() as u64);
        let there = usize::try_from(there).map_err(|_| io::ErrorKind::InvalidInput)?;
        if let Some(there) = out.get_mut(..there).filter(|there| !there.is_empty()) {
            self.medium.read(offset, there)?;
        }
        for (number, sector) in layer.sectors.range(offset / SECTOR as u64..) {
            let start = number * SECTOR as u64;
            if start >= offset + out.len() as u64 {
                break;
            }
            for (at, byte) in (start..).zip(sector) {
                let place =
                    at.checked_sub(offset).and_then(|at| out.get_mut(usize::try_from(at).ok()?));
                if let Some(place) = place {
                    *place = *byte;
                }
            }
        }
        Ok(())
    }
}

impl<B: StorageBackend> StorageBackend for Overlay<B> {
    fn len(&self) -> io::Result<u64> {
        Ok(self.layer().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let layer = self.layer();
        let end = offset.checked_add(out.len() as u64).ok_or(io::ErrorKind::InvalidInput)?;
        if end > layer.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.read_under(&layer, offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut layer = self.layer();
        if length < layer.length {
            layer.kept = layer.kept.min(length);
            // A sector that is cut through keeps its beginning.
            let mut cut = [0; SECTOR];
            let sector = length / SECTOR as u64;
            self.read_under(&layer, sector * SECTOR as u64, &mut cut)?;
            let inside = usize::try_from(length % SECTOR as u64).unwrap_or(0);
            cut.iter_mut().skip(inside).for_each(|byte| *byte = 0);
            layer.sectors.split_off(&sector);
            layer.sectors.insert(sector, cut);
        }
        layer.length = length;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut layer = self.layer();
        let end = offset.checked_add(data.len() as u64).ok_or(io::ErrorKind::InvalidInput)?;
        for number in offset / SECTOR as u64..end.div_ceil(SECTOR as u64) {
            let start = number * SECTOR as u64;
            let mut sector = [0; SECTOR];
            self.read_under(&layer, start, &mut sector)?;
            for (at, place) in (start..).zip(&mut sector) {
                let byte =
                    at.checked_sub(offset).and_then(|at| data.get(usize::try_from(at).ok()?));
                if let Some(byte) = byte {
                    *place = *byte;
                }
            }
            layer.sectors.insert(number, sector);
        }
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.medium.close()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use redb::backends::InMemoryBackend;

    use super::*;

    proptest! {
        /// Beside a plain vector: reads, writes and lengths agree, and the medium never changes.
        #[test]
        fn an_overlay_is_a_copy(steps in proptest::collection::vec((0..3_u8, 0..3000_u64, 0..1500_usize), 0..30)) {
            let original: Vec<u8> = (0..2000_u32).map(|at| at as u8).collect();
            let medium = InMemoryBackend::new();
            medium.set_len(2000).unwrap();
            medium.write(0, &original).unwrap();
            let overlay = Overlay::new(medium).unwrap();
            let mut model = original.clone();
            for (kind, offset, length) in steps {
                let (start, end) = (offset as usize, offset as usize + length);
                match kind {
                    0 => {
                        overlay.set_len(offset).unwrap();
                        model.resize(start, 0);
                    }
                    1 if end <= model.len() => {
                        let data: Vec<u8> = (0..length).map(|at| (at as u8) ^ 0x5a).collect();
                        overlay.write(offset, &data).unwrap();
                        model[start..end].copy_from_slice(&data);
                    }
                    _ => {
                        let mut out = vec![0xee; length];
                        let read = overlay.read(offset, &mut out);
                        prop_assert_eq!(read.is_ok(), end <= model.len());
                        if read.is_ok() {
                            prop_assert_eq!(&out[..], &model[start..end]);
                        }
                    }
                }
                prop_assert_eq!(overlay.len().unwrap(), model.len() as u64);
            }
            let mut untouched = vec![0; 2000];
            overlay.medium.read(0, &mut untouched).unwrap();
            prop_assert_eq!(untouched, original);
        }
    }
}
