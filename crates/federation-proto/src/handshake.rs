//! Joining: hello, accept, session, and what may follow it.
//!
//! ```text
//! site ── FederationHello (signed) ──────────▶ admission desks
//! site ◀─ FederationAccept (m of n keys) ───── admission desks     or a signed FederationRefusal
//! site ── SessionOpened (all of it, signed) ─▶ ledger; its block is the site's `ledger_block_id`
//! site ── SessionResumption (signed) ────────▶ ledger, when the same session moves to another channel
//! ```
//!
//! The session id is a hash of everything both sides said, so a recorded handshake opens no other session.
//! The two sides are state machines: [`NodeHandshake`] and [`AdmissionDesk`]. Neither reads a clock or draws
//! randomness: the nonce and the epoch come in as arguments.

mod accept;
mod admission;
mod attestation;
mod desk;
mod hello;
mod negotiation;
mod node;
mod resumption;
mod session;
mod transport;
mod version;

pub use accept::{AcceptTerms, FederationAccept};
pub use admission::AdmissionRules;
pub use attestation::{Attestation, AttestationDemand, AttestationLevel};
pub use desk::{AdmissionDesk, DeskView, HelloChannel, HelloRefusal};
pub use hello::{ChannelBinding, FederationHello};
pub use negotiation::{
    FederationRefusal, Incompatibility, IncompatibilityReport, Negotiated, Requirements,
};
pub use node::{
    AcceptRefusal, Authority, Demands, Established, NodeHandshake, NodeOutput, PhaseError,
};
pub use resumption::{ResumptionError, SessionClosed, SessionEnd, SessionResumption, SessionTerms};
pub use session::{HandshakeError, SessionOpened, SessionStatement};
pub use transport::{TransportError, TransportKind, TransportRecord, certificate_hash};
pub use version::{Capability, CapabilityError, CapabilityVersion, SoftwareVersion, WireVersions};
