//! Governance notes: the readable, signed text of a governance action.
//!
//! Every action is a C2SP note (<https://c2sp.org/signed-note>): its text is rendered here from the ledger
//! entry's fields, signed by the governors' note keys, and names the hash of the note before it. So the
//! ledger entry, the signatures and `META-GOVERNANCE-LOG.md` cannot say different things.

use federation_proto::entry::ApplySignoff;
use federation_proto::governed::LedgerPin;
use federation_proto::{Digest, FederationId, HashDomain};

/// First line of every governance note.
pub const NOTE_HEADER: &str = "prism-federation governance note v1";

/// The text that governors sign to apply an aggregate.
pub fn apply_text(federation: FederationId, signoff: &ApplySignoff) -> String {
    let ApplySignoff { federated_epoch, generation, aggregated_hash, new_state_hash, .. } = signoff;
    let LedgerPin { previous_note, head_size, head_root } = signoff.pin;
    format!(
        "{NOTE_HEADER}\n\
         action: FEDERATED_APPLY\n\
         federation: {federation}\n\
         federated_epoch: {federated_epoch}\n\
         generation: {generation}\n\
         aggregated_update: {aggregated_hash}\n\
         new_state: {new_state_hash}\n\
         ledger_head_size: {head_size}\n\
         ledger_head_root: {head_root}\n\
         previous_note: {previous_note}\n"
    )
}

/// The chain hash of a note's text.
pub fn note_hash(text: &str) -> Digest {
    Digest::of(HashDomain::GovernanceNote, text.as_bytes())
}

/// What the first note of a federation names as its predecessor: the federation itself.
pub fn first_previous(federation: FederationId) -> Digest {
    Digest::of(HashDomain::GovernanceNote, federation.as_bytes())
}
