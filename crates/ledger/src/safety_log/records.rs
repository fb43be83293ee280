//! Records as a group holds them: each after its length, one after the other.

/// Records in the order in which they were appended, in one buffer no longer than the file they came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records(Vec<u8>);

impl Records {
    /// The records, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.0.as_slice();
        std::iter::from_fn(move || {
            let (record, after) = split(rest)?;
            rest = after;
            Some(record)
        })
    }

    pub(super) fn push(&mut self, record: &[u8]) {
        self.0.extend_from_slice(&(record.len() as u64).to_le_bytes());
        self.0.extend_from_slice(record);
    }

    /// Adds the records of a payload; false where it does not end with a record.
    #[must_use]
    pub(super) fn extend(&mut self, payload: &[u8]) -> bool {
        self.0.extend_from_slice(payload);
        let mut rest = payload;
        while let Some((_, after)) = split(rest) {
            rest = after;
        }
        rest.is_empty()
    }

    pub(super) fn as_payload(&self) -> &[u8] {
        &self.0
    }

    /// Length of the payload in bytes with one more record of `record` bytes.
    pub(super) const fn length_with(&self, record: usize) -> usize {
        self.0.len().saturating_add(8).saturating_add(record)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)
}
