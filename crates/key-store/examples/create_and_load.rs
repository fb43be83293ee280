//! Creates an identity key and an encryption key in a directory, and reads them back.
//!
//! ```text
//! cargo run -p key-store --example create_and_load -- DIRECTORY
//! ```

use std::path::PathBuf;

use federation_proto::keys::{Identity, KeyKind};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::args_os().nth(1).map(PathBuf::from);
    let directory = directory.ok_or("name a directory for the keys")?;
    let identity = directory.join("identity.key");
    let encryption = directory.join("encryption.key");
    key_store::create(&identity, KeyKind::Identity)?;
    key_store::create(&encryption, KeyKind::Encryption)?;

    let signing = key_store::load_signing::<Identity>(&identity)?;
    let decryption = key_store::load_decryption(&encryption)?;
    println!("identity   {}", signing.public());
    println!("encryption {}", decryption.public());
    // A key of another role is refused, whatever its file is called.
    if let Err(refusal) = key_store::load_signing::<Identity>(&encryption) {
        println!("{refusal}");
    }
    Ok(())
}
