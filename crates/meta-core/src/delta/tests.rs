//! Exact quantisation, and frames from a hostile hand.

use proptest::prelude::*;

use super::*;
use crate::genome::{GeneKind, GeneSpec, Genome, ScaleBlock, q824};

/// Genes of every kind of range: narrow, wide, whole-number and the widest a scale of 2¹⁷ allows.
fn schema() -> GenomeSchema {
    let block = |name: &str, scale_log2| ScaleBlock { name: name.into(), scale_log2 };
    let gene = |name: &str, kind, min, max, start, block| GeneSpec {
        name: name.into(),
        kind,
        min,
        max,
        start,
        block,
    };
    GenomeSchema::new(
        "delta-test",
        1,
        vec![block("fine", 4), block("coarse", 17)],
        vec![
            gene("narrow", GeneKind::Continuous, -300, 300, 0, 0),
            gene("unit", GeneKind::Continuous, 0, (1 << 19) - 16, 1 << 10, 0),
            gene("whole", GeneKind::Integer, -q824::ONE, 100 * q824::ONE, q824::ONE, 1),
            gene("wide", GeneKind::Continuous, i32::MIN, i32::MAX, 0, 1),
        ],
    )
    .unwrap()
}

fn genome_strategy() -> impl Strategy<Value = Genome> {
    let genes = (-300..=300_i32, 0..(1_i32 << 19) - 15, -1..=100_i32, any::<i32>());
    genes.prop_map(|(narrow, unit, whole, wide)| {
        Genome::from_values(&schema(), vec![narrow, unit, whole * q824::ONE, wide]).unwrap()
    })
}

fn payload(coordinates: Vec<i16>) -> DeltaPayload {
    DeltaPayload {
        salt: [7; 32],
        schema_digest: Digest::from_bytes(schema().digest()),
        coordinates,
    }
}

#[test]
fn the_canonical_form_is_fixed_width() {
    let zero = payload(vec![0; 4]).to_canonical();
    let large = payload(vec![300, i16::MAX, -1, i16::MIN]).to_canonical();
    assert_eq!(zero.len(), 32 + 32 + 1 + 8);
    assert_eq!(large.len(), zero.len());
    assert_eq!(large[65..], [44, 1, 255, 127, 255, 255, 0, 128]);
}

#[test]
fn the_salt_hides_a_small_delta() {
    let one = payload(vec![0; 4]);
    let other = DeltaPayload { salt: [8; 32], ..one.clone() };
    assert_ne!(one.update_hash(), other.update_hash());
}

#[test]
fn out_of_range_is_refused_not_cut() {
    let schema = schema();
    let limit = coordinate_limit(&schema, 0).unwrap();
    assert_eq!(limit, 600 / 16 + 1);
    assert_eq!(payload(vec![38, 0, 0, 0]).check(&schema), Ok(()));
    let error = |coordinate| DeltaError::OutOfRange { gene: "narrow".into(), coordinate, limit };
    assert_eq!(payload(vec![39, 0, 0, 0]).check(&schema), Err(error(39)));
    assert_eq!(payload(vec![-39, 0, 0, 0]).check(&schema), Err(error(-39)));
    // The whole range of an i32 is one step more than an i16 and an aggregate can carry.
    assert_eq!(coordinate_limit(&schema, 3), Some((1 << 14) - 1));
    let genome = |wide| Genome::from_values(&schema, vec![0, 0, 0, wide]).unwrap();
    let none = Residual::none(&schema);
    let refused = quantise(&schema, &genome(i32::MIN), &genome(i32::MAX), &none);
    assert_eq!(
        refused,
        Err(DeltaError::OutOfRange {
            gene: "wide".into(),
            coordinate: 1 << 15,
            limit: (1 << 14) - 1
        })
    );
}

#[test]
fn shape_and_schema_are_checked() {
    let schema = schema();
    let length = DeltaError::Length { expected: 4, found: 3 };
    assert_eq!(payload(vec![0; 3]).check(&schema), Err(length));
    let foreign = DeltaPayload { schema_digest: Digest::ZERO, ..payload(vec![0; 4]) };
    assert!(matches!(foreign.check(&schema), Err(DeltaError::Schema { .. })));
}

#[test]
fn frames_with_a_second_spelling_are_refused() {
    let content = payload(vec![1, 2, 3, 4]).to_canonical();
    let frame = compress(&content).unwrap();
    assert_eq!(decompress(&frame, content.len()).unwrap(), content);
    assert_eq!(
        decompress(&frame, content.len() - 1),
        Err(FrameError::TooLarge { stated: content.len() as u64, limit: content.len() - 1 })
    );

    let skippable = [0x50, 0x2A, 0x4D, 0x18, 0, 0, 0, 0];
    let before = [&skippable[..], &frame].concat();
    assert_eq!(decompress(&before, 1 << 20), Err(FrameError::Magic));
    let not_one = FrameError::NotOneFrame { frame: frame.len(), found: frame.len() + 8 };
    assert_eq!(decompress(&[&frame[..], &skippable].concat(), 1 << 20), Err(not_one));
    let twice = [&frame[..], &frame].concat();
    let not_one = FrameError::NotOneFrame { frame: frame.len(), found: 2 * frame.len() };
    assert_eq!(decompress(&twice, 1 << 20), Err(not_one));
    let trailing = [&frame[..], &[0]].concat();
    assert!(matches!(decompress(&trailing, 1 << 20), Err(FrameError::NotOneFrame { .. })));

    let descriptor = |bits: u8| {
        let mut bent = frame.clone();
        bent[4] |= bits;
        decompress(&bent, 1 << 20)
    };
    assert!(matches!(descriptor(0b1000), Err(FrameError::ReservedBit { .. })));
    assert!(matches!(descriptor(0b1_0000), Err(FrameError::ReservedBit { .. })));
    assert!(matches!(descriptor(0b1), Err(FrameError::Dictionary { .. })));
}

#[test]
fn frames_without_size_or_with_a_huge_window_are_refused() {
    // A window descriptor, no content size, then one raw empty last block.
    let unsized_frame = [&MAGIC_BYTES[..], &[0x00, 0x00, 1, 0, 0]].concat();
    assert_eq!(decompress(&unsized_frame, 64), Err(FrameError::NoContentSize));
    // Window descriptor 0x70: 2^24 bytes. Content size 256 + 0 in two bytes.
    let wide = [&MAGIC_BYTES[..], &[0x40, 0x70, 0, 0, 1, 0, 0]].concat();
    assert_eq!(decompress(&wide, 512), Err(FrameError::Window { window: 1 << 24 }));
    // The header promises 256 bytes, the only block is empty.
    let liar = [&MAGIC_BYTES[..], &[0x40, 0x00, 0, 0, 1, 0, 0]].concat();
    assert!(matches!(
        decompress(&liar, 512),
        Err(FrameError::Damaged | FrameError::ContentSize { .. })
    ));
    // A promise of 2^63 bytes costs nothing to refuse.
    let bomb = [&MAGIC_BYTES[..], &[0xE0, 0, 0, 0, 0, 0, 0, 0, 0x80, 1, 0, 0]].concat();
    assert_eq!(decompress(&bomb, 512), Err(FrameError::TooLarge { stated: 1 << 63, limit: 512 }));
}

const MAGIC_BYTES: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];

proptest! {
    /// base + expand(coordinates) + residual is the target, exactly, whatever was carried in.
    #[test]
    fn quantisation_loses_nothing(
        base in genome_strategy(), middle in genome_strategy(), target in genome_strategy(),
    ) {
        let schema = schema();
        let none = Residual::none(&schema);
        let Ok((_, carried)) = quantise(&schema, &base, &middle, &none) else { return Ok(()) };
        let Ok((coordinates, left)) = quantise(&schema, &base, &target, &carried) else { return Ok(()) };
        prop_assert!(check_coordinates(&schema, &coordinates).is_ok());
        for (gene, &coordinate) in coordinates.iter().enumerate() {
            let scale = schema.scale_log2(gene).unwrap();
            let sent = expand(coordinate, scale) + i64::from(left.values()[gene]);
            let wanted = i64::from(target.values()[gene]) - i64::from(base.values()[gene]);
            prop_assert_eq!(sent, wanted + i64::from(carried.values()[gene]));
            prop_assert!(i64::from(left.values()[gene]).abs() <= 1 << (scale - 1));
        }
    }

    /// Only the full-width gene can be too far away; the others never refuse an honest site.
    #[test]
    fn honest_changes_fit(base in genome_strategy(), target in genome_strategy()) {
        match quantise(&schema(), &base, &target, &Residual::none(&schema())) {
            Ok(_) => {}
            Err(DeltaError::OutOfRange { gene, .. }) => prop_assert_eq!(gene, "wide"),
            Err(other) => prop_assert!(false, "{other}"),
        }
    }

    #[test]
    fn open_gives_back_what_was_sealed(a in -38..=38_i16, c in -800..=800_i16) {
        let sealed = payload(vec![a, 0, c, 1]);
        let frame = compress(&sealed.to_canonical()).unwrap();
        let opened = DeltaPayload::open(&frame, &sealed.update_hash(), &schema());
        prop_assert_eq!(opened, Ok(sealed));
        let renamed = DeltaPayload::open(&frame, &Digest::ZERO, &schema());
        let refused = matches!(renamed, Err(PayloadError::Hash { .. }));
        prop_assert!(refused);
    }

    /// Bytes from a hostile hand never panic, and what is accepted respects the limit.
    #[test]
    fn hostile_frames_are_bounded(
        bytes in proptest::collection::vec(any::<u8>(), 0..96), limit in 0_usize..256, magic in any::<bool>(),
    ) {
        let bytes = if magic { [&MAGIC_BYTES[..], &bytes].concat() } else { bytes };
        if let Ok(content) = decompress(&bytes, limit) {
            prop_assert!(content.len() <= limit);
        }
    }

    /// One flipped bit of an honest frame is refused, or gives another payload with another hash.
    #[test]
    fn bent_frames_do_not_open(position in 0_usize..64, bit in 0_u8..8) {
        let sealed = payload(vec![5, 6, 7, 8]);
        let mut frame = compress(&sealed.to_canonical()).unwrap();
        let position = position % frame.len();
        frame[position] ^= 1 << bit;
        let opened = DeltaPayload::open(&frame, &sealed.update_hash(), &schema());
        prop_assert!(opened.is_err() || opened == Ok(sealed));
    }
}
