//! `ledger cosign`: a witness adds its signature to an anchor's checkpoint, and never forgets what it signed.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;

use federation_proto::keys::Cosigner;
use governance::audit::LogKeys;
use ledger::note::MAX_NOTE_BYTES;
use ledger::witness::SIDECAR;
use ledger::{
    Checkpoint, CheckpointError, LogHash, NoteKey, NoteSignature, NoteSigner, Sidecar, Witness,
};

use super::LedgerError;
use super::anchor;
use super::facts::Facts;
use super::ground::{self, Ground};
use super::proof;
use super::source::Source;
use crate::cli::{CosignArgs, Format};
use crate::failure::Failure;
use crate::files;
use crate::key::KeyError;
use crate::workspace;

/// A checkpoint has an origin of at most 255 bytes, a size and a root.
const MAX_STATE_BYTES: u64 = 1 << 10;

pub(super) fn run(args: &CosignArgs) -> Result<(), Failure> {
    let (signer, _alone) = signer(args)?;
    let artifacts = args.source.artifacts.as_deref();
    let ground = Ground::establish(&args.source.trust, artifacts)?;
    let (path, anchor) = anchor::read(args.anchor.as_deref(), artifacts)?;
    let checkpoint = anchor.claimed_checkpoint();
    let last = read_state(&args.state)?;
    let out = match &args.out {
        Some(out) => out.clone(),
        None => ground::directory(artifacts).join(SIDECAR),
    };
    let sidecar = read_sidecar(&out, checkpoint)?;
    let proof = prove_growth(args, &ground, last.as_ref(), checkpoint)?;
    let mut witness = new_witness(&ground.keys, last.clone(), &args.state)?;
    let line = witness
        .cosign(&signer, anchor.note(), &proof, args.time)
        .map_err(|cause| LedgerError::Witness { path, cause })?;
    // Before the line leaves: a witness that forgets what it cosigned may cosign a fork.
    if last.as_ref() != Some(checkpoint) {
        replace(&args.state, checkpoint.to_text().as_bytes())?;
    }
    let key = signer.verifier().map_err(LedgerError::WitnessName)?;
    let sidecar = add(sidecar, checkpoint, line, &key)
        .map_err(|cause| LedgerError::Sidecar { path: workspace::shown(&out), cause })?;
    if let Some(parent) = out.parent().filter(|_| args.out.is_none()) {
        fs::create_dir_all(parent).map_err(|cause| not_replaced(parent, cause))?;
    }
    replace(&out, sidecar.to_text().as_bytes())?;
    let mut facts = Facts::default();
    facts.say("witness", &key);
    facts.say("time", args.time);
    match last {
        Some(last) => facts.say("last size", last.size()),
        None => facts.say("last size", "none: this is the witness's first checkpoint"),
    }
    proof::describe_checkpoint(checkpoint, &mut facts);
    facts.say("cosignatures", sidecar.lines().len());
    facts.say("written", workspace::shown(&out));
    facts.show("cosign", Some(&ground.trust), Format::Human)
}

/// The key, and a lock on its file: two processes that read one state could cosign two histories.
fn signer(args: &CosignArgs) -> Result<(NoteSigner<Cosigner>, File), Failure> {
    let secret = key_store::load_signing::<Cosigner>(&args.key).map_err(KeyError::Store)?;
    let path = workspace::shown(&args.key);
    let unreadable =
        |cause: io::Error| Failure::Input { path: args.key.clone(), reason: cause.to_string() };
    let lock = File::open(&args.key).map_err(unreadable)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(LedgerError::KeyInUse { path }.into()),
        Err(TryLockError::Error(cause)) => return Err(unreadable(cause)),
    }
    Ok((NoteSigner::new(&args.name, secret).map_err(LedgerError::WitnessName)?, lock))
}

/// What the witness cosigned last: the text of a checkpoint. No file means nothing yet.
fn read_state(path: &Path) -> Result<Option<Checkpoint>, Failure> {
    if path.symlink_metadata().is_err_and(|cause| cause.kind() == io::ErrorKind::NotFound) {
        return Ok(None);
    }
    let bytes = files::read(path, MAX_STATE_BYTES)?;
    let parsed = Checkpoint::parse(&String::from_utf8_lossy(&bytes));
    Ok(Some(parsed.map_err(|cause| unusable(path, cause))?))
}

fn unusable(path: &Path, cause: CheckpointError) -> LedgerError {
    LedgerError::WitnessState { path: workspace::shown(path), cause }
}

fn new_witness(
    keys: &LogKeys,
    last: Option<Checkpoint>,
    state: &Path,
) -> Result<Witness, LedgerError> {
    Witness::new(keys.origin(), keys.keys().to_vec(), keys.quorum(), last)
        .map_err(|cause| unusable(state, cause))
}

/// The sidecar that is there, if it is of this checkpoint.
fn read_sidecar(path: &Path, checkpoint: &Checkpoint) -> Result<Option<Sidecar>, Failure> {
    if path.symlink_metadata().is_err_and(|cause| cause.kind() == io::ErrorKind::NotFound) {
        return Ok(None);
    }
    let bytes = files::read(path, MAX_NOTE_BYTES as u64)?;
    let path = workspace::shown(path);
    let sidecar = match Sidecar::parse(&bytes) {
        Ok(sidecar) => sidecar,
        Err(cause) => return Err(LedgerError::Sidecar { path, cause }.into()),
    };
    if sidecar.claimed_checkpoint() != checkpoint {
        let (expected, found) = (checkpoint.size(), sidecar.claimed_checkpoint().size());
        return Err(LedgerError::OtherSidecar { path, expected, found }.into());
    }
    Ok(Some(sidecar))
}

/// The proof that the checkpoint extends the last one, out of the ledger, where there is anything to prove.
fn prove_growth(
    args: &CosignArgs,
    ground: &Ground,
    last: Option<&Checkpoint>,
    next: &Checkpoint,
) -> Result<Vec<LogHash>, Failure> {
    let last = last.map_or(0, Checkpoint::size);
    if last == 0 || last >= next.size() {
        return Ok(Vec::new());
    }
    let source = Source::open(&args.source, ground, None)?;
    let proof = source.ledger.consistency_proof(last, next.size());
    Ok(proof.map_err(|cause| source.failed(cause))?)
}

fn add(
    sidecar: Option<Sidecar>,
    checkpoint: &Checkpoint,
    line: NoteSignature,
    key: &NoteKey<Cosigner>,
) -> Result<Sidecar, ledger::SidecarError> {
    let Some(mut sidecar) = sidecar else { return Sidecar::new(checkpoint, vec![line]) };
    sidecar.add(line, std::slice::from_ref(key))?;
    Ok(sidecar)
}

fn replace(path: &Path, bytes: &[u8]) -> Result<(), LedgerError> {
    files::replace(path, bytes).map_err(|cause| not_replaced(path, cause))
}

fn not_replaced(path: &Path, cause: io::Error) -> LedgerError {
    LedgerError::Replace { path: workspace::shown(path), cause }
}
