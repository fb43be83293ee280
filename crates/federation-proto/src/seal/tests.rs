//! Hostile sealed payloads: altered, moved, stripped, and sealed by somebody who lies to some of the readers.

use super::*;
use crate::codec::{Canonical, CodecError};
use crate::counters::{Cycle, FederatedEpoch, Generation};
use crate::ids::{FederationId, SessionId};
use crate::keys::{Identity, SecretKey};

const PLAINTEXT: &[u8] = b"a compressed delta";

fn reader(number: usize) -> DecryptionKey {
    DecryptionKey::synthetic("seal", &format!("validator-{number}"))
}

fn readers(count: usize) -> Vec<CheckedEncryptionKey> {
    (0..count).map(|number| reader(number).recipient()).collect()
}

fn binding() -> SealBinding {
    SealBinding {
        federation_id: FederationId::new(Digest::of_blob(b"federation")),
        session_id: SessionId::new(Digest::of_blob(b"session")),
        node_fingerprint: SecretKey::<Identity>::synthetic("seal", "site-1").public(),
        federated_epoch: FederatedEpoch::new(4),
        generation: Generation::new(1),
        cycle: Cycle::new(11),
        update_hash: Digest::of_blob(b"salted delta"),
    }
}

fn entropy(byte: u8) -> Zeroizing<[u8; 32]> {
    Zeroizing::new([byte; 32])
}

fn sealed(count: usize) -> Sealed {
    Sealed::seal(PLAINTEXT, &readers(count), &binding(), entropy(7)).expect("sealable")
}

fn open(sealed: &Sealed, number: usize) -> Result<Vec<u8>, OpenError> {
    sealed.open(&reader(number), &binding()).map(|opened| opened.plaintext)
}

/// The index of the reader whose wrapped key stands at this place.
fn at(sealed: &Sealed, place: usize) -> usize {
    let wanted = sealed.wrapped_keys[place].recipient;
    (0..sealed.wrapped_keys.len()).find(|n| reader(*n).public() == wanted).expect("a reader")
}

#[test]
fn every_reader_opens_what_was_sealed() {
    for count in [1, 2, 3, 7] {
        let sealed = sealed(count);
        let bytes = sealed.to_canonical();
        assert_eq!(bytes.len(), 1 + 112 * count + 1 + PLAINTEXT.len() + TAG);
        assert_eq!(Sealed::from_canonical(&bytes).as_ref(), Ok(&sealed));
        for number in 0..count {
            let opened = sealed.open(&reader(number), &binding()).expect("a reader");
            assert_eq!(opened.plaintext, PLAINTEXT);
            let disclosed = ContentKey::from_bytes(Zeroizing::new(*opened.content_key.as_bytes()));
            let plaintext = sealed.open_with(&disclosed, &binding());
            assert_eq!(plaintext.as_deref(), Ok(PLAINTEXT));
        }
    }
    let empty = Sealed::seal(b"", &readers(1), &binding(), entropy(1)).expect("sealable");
    assert_eq!(open(&empty, 0), Ok(Vec::new()));
    let most = Sealed::seal(b"x", &readers(limits::RECIPIENTS), &binding(), entropy(1));
    assert_eq!(open(&most.expect("sealable"), 255), Ok(b"x".to_vec()));
}

#[test]
fn nobody_else_opens_it() {
    let sealed = sealed(3);
    let stranger = reader(3).public();
    assert_eq!(open(&sealed, 3), Err(OpenError::NotARecipient(stranger)));
    let wrong = ContentKey::from_bytes(entropy(9));
    assert_eq!(sealed.open_with(&wrong, &binding()), Err(OpenError::Payload));
}

#[test]
fn every_flipped_byte_is_refused_by_every_reader() {
    let original = sealed(3);
    let mut bytes = original.to_canonical();
    for position in 0..bytes.len() {
        for mask in [1, 0x80] {
            bytes[position] ^= mask;
            match Sealed::from_canonical(&bytes) {
                Err(CodecError::Malformed { .. } | CodecError::TrailingBytes { .. }) => {}
                Err(CodecError::NotCanonical { .. }) => {}
                Err(error) => panic!("byte {position}: {error}"),
                Ok(altered) => {
                    assert_ne!(altered, original);
                    for number in 0..3 {
                        let error = open(&altered, number).expect_err("altered");
                        let place = original.wrapped_keys.iter();
                        let place = place.map(|key| key.recipient).collect::<Vec<_>>();
                        let mine = place.iter().position(|key| *key == reader(number).public());
                        let hit = position.checked_sub(1).map(|p| (p / 112, p % 112));
                        let expected = match hit {
                            Some((place, offset)) if place < 3 && Some(place) == mine => {
                                if offset < 32 {
                                    OpenError::NotARecipient(reader(number).public())
                                } else {
                                    OpenError::Wrapped(reader(number).public())
                                }
                            }
                            _ => OpenError::Payload,
                        };
                        // A changed name may also leave its place in the order.
                        let named = error == expected || error == OpenError::Unordered;
                        assert!(named, "byte {position}, reader {number}: {error}");
                    }
                }
            }
            bytes[position] ^= mask;
        }
    }
}

#[test]
fn it_opens_nowhere_else() {
    let (here, sealed) = (binding(), sealed(2));
    let other = Digest::of_blob(b"another");
    let node = SecretKey::<Identity>::synthetic("seal", "site-2").public();
    let elsewhere = [
        SealBinding { federation_id: FederationId::new(other), ..here },
        SealBinding { session_id: SessionId::new(other), ..here },
        SealBinding { node_fingerprint: node, ..here },
        SealBinding { federated_epoch: here.federated_epoch.next(), ..here },
        SealBinding { generation: here.generation.next(), ..here },
        SealBinding { cycle: here.cycle.next(), ..here },
        SealBinding { update_hash: other, ..here },
    ];
    let content_key = sealed.open(&reader(0), &here).expect("a reader").content_key;
    for (field, elsewhere) in elsewhere.iter().enumerate() {
        for number in 0..2 {
            let refused = sealed.open(&reader(number), elsewhere);
            let expected = OpenError::Wrapped(reader(number).public());
            assert_eq!(refused, Err(expected), "field {field}");
        }
        let refused = sealed.open_with(&content_key, elsewhere);
        assert_eq!(refused, Err(OpenError::Payload), "field {field}");
    }
}

#[test]
fn the_binding_is_laid_out_as_documented() {
    let here = binding();
    let mut expected = b"prism1 sealed v1".to_vec();
    expected.extend(here.federation_id.as_bytes());
    expected.extend(here.session_id.as_bytes());
    expected.extend(here.node_fingerprint.as_bytes());
    expected.extend([0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 11]);
    expected.extend(here.update_hash.as_bytes());
    assert_eq!(here.to_bytes().as_slice(), expected);
}

#[test]
fn readers_stripped_added_exchanged_or_reordered_are_noticed() {
    let Sealed { wrapped_keys: keys, ciphertext } = sealed(3);
    let with = |keys: &[WrappedKey]| Sealed::from_parts(keys.to_vec(), ciphertext.clone());
    let witness = at(&with(&keys), 0);
    for stripped in [&keys[..1], &keys[..2]] {
        assert_eq!(open(&with(stripped), witness), Err(OpenError::Payload));
    }
    assert_eq!(with(&[]).check_form(), Err(OpenError::NoRecipients));
    assert_eq!(open(&with(&[]), witness), Err(OpenError::NoRecipients));
    let mut reordered = keys.clone();
    reordered.swap(1, 2);
    assert_eq!(open(&with(&reordered), witness), Err(OpenError::Unordered));
    let repeated = [keys[0].clone(), keys[0].clone()];
    assert_eq!(open(&with(&repeated), witness), Err(OpenError::Unordered));
    // A key of another sealing of the same payload, so that it opens by itself.
    let again = Sealed::seal(PLAINTEXT, &readers(4), &binding(), entropy(7)).expect("sealable");
    let mut added = again.wrapped_keys.clone();
    added.retain(|key| keys.iter().all(|known| known.recipient != key.recipient));
    added.extend(keys.clone());
    added.sort_by_key(|key| key.recipient);
    assert_eq!(open(&with(&added), witness), Err(OpenError::Payload));
    let mut exchanged = keys.clone();
    exchanged[2].recipient = EncryptionKey::from_bytes([0xff; 32]);
    assert_eq!(open(&with(&exchanged), witness), Err(OpenError::Payload));
    // The wrapped key of one reader under the name of another.
    let mut renamed = keys.clone();
    renamed[0] = WrappedKey { recipient: keys[0].recipient, ..keys[1].clone() };
    let reader = reader(witness).public();
    assert_eq!(open(&with(&renamed), witness), Err(OpenError::Wrapped(reader)));
}

#[test]
fn encapsulated_points_of_small_order_open_nothing() {
    let mut sealed = sealed(1);
    for u in [0, 1] {
        let mut point = [0; 32];
        point[0] = u;
        sealed.wrapped_keys[0].encapsulated = point;
        assert_eq!(open(&sealed, 0), Err(OpenError::Wrapped(reader(0).public())));
    }
}

#[test]
fn limits_are_named() {
    let seal = |plaintext: &[u8], readers: &[CheckedEncryptionKey]| {
        Sealed::seal(plaintext, readers, &binding(), entropy(7)).map(|_| ())
    };
    assert_eq!(seal(PLAINTEXT, &[]), Err(SealError::NoRecipients));
    let limit = limits::RECIPIENTS;
    let many = SealError::TooManyRecipients { count: limit + 1, limit };
    assert_eq!(seal(PLAINTEXT, &readers(limit + 1)), Err(many));
    let twice = [reader(1).recipient(), reader(0).recipient(), reader(1).recipient()];
    assert_eq!(seal(PLAINTEXT, &twice), Err(SealError::Repeated(reader(1).public())));
    let (length, limit) = (limits::PAYLOAD + 1, limits::PAYLOAD);
    let long = vec![0; length];
    assert_eq!(seal(&long, &readers(1)), Err(SealError::TooLarge { length, limit }));
    assert_eq!(seal(&long[1..], &readers(1)), Ok(()));

    let Sealed { wrapped_keys, .. } = sealed(1);
    let with = |ciphertext| Sealed::from_parts(wrapped_keys.clone(), ciphertext);
    let too_large = OpenError::TooLarge { length, limit };
    assert_eq!(open(&with(vec![0; length + TAG]), 0), Err(too_large));
    for short in 0..=TAG {
        assert_eq!(open(&with(vec![0; short]), 0), Err(OpenError::Payload));
    }
    let limit = limits::RECIPIENTS;
    let key = |n: usize| {
        let mut name = [0; 32];
        name[..8].copy_from_slice(&(n as u64).to_be_bytes());
        WrappedKey { recipient: EncryptionKey::from_bytes(name), ..wrapped_keys[0].clone() }
    };
    let crowd = Sealed::from_parts((0..=limit).map(key).collect(), Vec::new());
    assert_eq!(open(&crowd, 0), Err(OpenError::TooManyRecipients { count: limit + 1, limit }));
    // From bytes it does not even come into being.
    assert!(Sealed::from_canonical(&crowd.to_canonical()).is_err());
    let full = Sealed::from_parts((0..limit).map(key).collect(), Vec::new());
    assert!(Sealed::from_canonical(&full.to_canonical()) == Ok(full));
}

#[test]
fn the_same_entropy_gives_the_same_bytes_in_whatever_order_readers_come() {
    let mut backwards = readers(3);
    backwards.reverse();
    let again = Sealed::seal(PLAINTEXT, &backwards, &binding(), entropy(7));
    assert_eq!(again, Ok(sealed(3)));
}

#[test]
fn entropy_used_again_never_gives_a_content_key_to_two_payloads() {
    let seal = |plaintext: &[u8], count, binding: &SealBinding, byte| {
        let sealed = Sealed::seal(plaintext, &readers(count), binding, entropy(byte));
        let sealed = sealed.expect("sealable");
        let opened = sealed.open(&reader(0), binding).expect("a reader");
        (*opened.content_key.as_bytes(), sealed.wrapped_keys[0].encapsulated)
    };
    let other = SealBinding { cycle: Cycle::new(12), ..binding() };
    let keys = [
        seal(PLAINTEXT, 1, &binding(), 7),
        seal(b"another delta", 1, &binding(), 7),
        seal(PLAINTEXT, 2, &binding(), 7),
        seal(PLAINTEXT, 1, &other, 7),
        seal(PLAINTEXT, 1, &binding(), 8),
    ];
    for (number, (content, encapsulated)) in keys.iter().enumerate() {
        assert!(keys[..number].iter().all(|(c, e)| c != content && e != encapsulated), "{number}");
    }
}

/// A sender wraps the true key for one reader and rubbish for another. The first discloses, the second opens.
#[test]
fn a_reader_who_was_given_rubbish_opens_with_a_disclosed_key() {
    let binding = binding();
    let aad = binding.to_bytes();
    let mut names = [reader(0).public(), reader(1).public()];
    names.sort_unstable();
    let mut stream = Stream::new(&entropy(7), &aad, &names, PLAINTEXT);
    let (content_key, rubbish) = (stream.next_key(), entropy(0));
    let honest = reader(0).public();
    let keys = names.map(|name| {
        let key = if name == honest { &content_key } else { &rubbish };
        suite::wrap(key, &name, &aad, &mut stream).expect("wrapped")
    });
    let keys = Vec::from(keys);
    let ciphertext = suite::encrypt(&content_key, &payload_aad(&aad, &keys), PLAINTEXT);
    let sealed = Sealed::from_parts(keys, ciphertext.expect("short"));
    assert_eq!(open(&sealed, 1), Err(OpenError::Payload));
    let disclosed = sealed.open(&reader(0), &binding).expect("a reader").content_key;
    assert_eq!(sealed.open_with(&disclosed, &binding).as_deref(), Ok(PLAINTEXT));
}

#[test]
fn a_content_key_never_prints() {
    let opened = sealed(1).open(&reader(0), &binding()).expect("a reader");
    assert_eq!(format!("{:?}", opened.content_key), "ContentKey(…)");
}
