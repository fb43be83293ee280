//! `key`: key files are made, shown and rotated. Nothing here prints a secret.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use federation_proto::codec::Canonical as _;
use federation_proto::keys::KeyFile;
use federation_proto::statement::{RotateError, RotatedKey, RotationTerms};
use federation_proto::{FederatedEpoch, RotationNumber, SigningContext};
use key_store::KeyStoreError;
use thiserror::Error;

use crate::cli::{KeyArgs, KeyCommand, RotateArgs};
use crate::failure::{FAILED, Failure, USAGE};
use crate::files;
use crate::output;
use crate::workspace;

/// Why a key command ends badly.
#[derive(Debug, Error)]
pub(crate) enum KeyError {
    /// A key file cannot be created or read.
    #[error(transparent)]
    Store(#[from] KeyStoreError),
    /// Two keys do not make a rotation.
    #[error("cannot rotate {old} to {new}: {cause}")]
    Rotate {
        /// File of the old key.
        old: String,
        /// File of the new key.
        new: String,
        /// Why.
        cause: RotateError,
    },
    /// The statement cannot be written.
    #[error("cannot write {path}: {cause}; an existing file is never overwritten")]
    Statement {
        /// The file.
        path: String,
        /// Why.
        cause: io::Error,
    },
}

impl KeyError {
    /// A file named on the command line is unusable, or this machine failed.
    pub(crate) fn exit_code(&self) -> u8 {
        use KeyStoreError as Store;
        match self {
            Self::Store(
                Store::Write { .. }
                | Store::Leftover { .. }
                | Store::Unsynced { .. }
                | Store::Entropy(_)
                | Store::Unsupported { .. },
            ) => FAILED,
            Self::Statement { cause, .. } if cause.kind() != io::ErrorKind::AlreadyExists => FAILED,
            Self::Store(_) | Self::Rotate { .. } | Self::Statement { .. } => USAGE,
        }
    }
}

pub(crate) fn run(args: &KeyArgs) -> Result<ExitCode, Failure> {
    let shown = match &args.command {
        KeyCommand::Create { role, out } => {
            key_store::create(out, *role).map(|key| public_half(&key)).map_err(KeyError::Store)?
        }
        KeyCommand::Show { file } => {
            key_store::load(file).map(|key| public_half(&key)).map_err(KeyError::Store)?
        }
        KeyCommand::Rotate(args) => rotate(args)?,
    };
    output::write(&shown).map_err(Failure::Output)?;
    Ok(ExitCode::SUCCESS)
}

/// As the lines stand in the file.
fn public_half(key: &KeyFile) -> String {
    format!("role {}\npublic {}\n", key.kind(), key.public_text())
}

fn rotate(args: &RotateArgs) -> Result<String, KeyError> {
    let load = |path: &PathBuf| {
        let key = key_store::load(path)?;
        match key.check_kind(args.role) {
            Ok(()) => Ok(key),
            Err(cause) => Err(KeyStoreError::Refused { path: path.clone(), cause }),
        }
    };
    let (old, new) = (load(&args.old)?, load(&args.new)?);
    let shown = format!(
        "role {}\nholder {}\nold {}\nnew {}\nfrom-epoch {}\nnumber {}\n",
        args.role,
        args.holder,
        old.public_text(),
        new.public_text(),
        args.from_epoch,
        args.number
    );
    let context = SigningContext { federation_id: args.federation, config_digest: args.config };
    let terms = RotationTerms {
        holder: args.holder.clone(),
        from_epoch: FederatedEpoch::new(args.from_epoch),
        number: RotationNumber::new(args.number),
    };
    let rotated = RotatedKey::sign(old, new, terms, &context).map_err(|cause| {
        let (old, new) = (workspace::shown(&args.old), workspace::shown(&args.new));
        KeyError::Rotate { old, new, cause }
    })?;
    files::create(&args.out, &rotated.to_canonical())
        .map_err(|cause| KeyError::Statement { path: workspace::shown(&args.out), cause })?;
    Ok(shown)
}
