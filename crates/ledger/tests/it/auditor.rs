//! `auditor/audit_tiles.py` on a good export and on damaged ones.

use crate::world::{OLD_SIZE, ORIGIN, SIZE, World, script};

fn audit(world: &World, index: u64, more: &[&str]) -> (bool, String) {
    let (script, index) = (script("audit_tiles.py"), index.to_string());
    let arguments = [&script, "--keys", "keys.txt", "--quorum", "3", "--index", &index];
    world.run("python3", &[&arguments[..], more, &["export"]].concat())
}

/// The audit fails and its message names `file` and holds `reason`.
fn refuses(world: &World, index: u64, more: &[&str], file: &str, reason: &str) {
    let (accepted, printed) = audit(world, index, more);
    let named = printed.contains(file) && printed.contains(reason);
    assert!(!accepted && named, "expected {file:?} and {reason:?}: {printed}");
}

#[test]
fn a_good_export_passes() {
    let world = World::new();
    for index in [0, 1, 200, 255, 256, 257, SIZE - 1] {
        let (accepted, printed) = audit(&world, index, &[]);
        assert!(accepted, "{printed}");
        let expected = format!("{ORIGIN}: entry {index} of {SIZE} is proven, ");
        assert!(printed.starts_with(&expected), "{printed}");
    }
    let (accepted, printed) = audit(&world, 7, &["--consistency", "old-checkpoint"]);
    assert!(accepted, "{printed}");
    assert!(printed.ends_with(&format!("; size {OLD_SIZE} is a prefix")), "{printed}");
}

#[test]
fn a_damaged_file_is_named() {
    let world = World::new();
    for (index, file, reason) in [
        (7, "tile/0/000", "not what the tile above it says"),
        (270, "tile/0/001.p/44", "do not lead to the root"),
        (7, "tile/1/000.p/1", "do not lead to the root"),
        // A flipped byte of a leaf or of its length: two reasons, one file.
        (7, "tile/entries/000", ""),
        (270, "tile/entries/001.p/44", ""),
    ] {
        let name = format!("export/{file}");
        let good = world.read(&name);
        let named = if reason.contains("root") { file.split(".p/").next() } else { Some(file) };
        let named = named.expect("a name");
        for position in [2, good.len() / 2, good.len() - 1] {
            let mut changed = good.clone();
            changed[position] ^= 0x10;
            world.write(&name, &changed);
            refuses(&world, index, &[], named, reason);
        }
        world.write(&name, &good[..good.len() - 1]);
        refuses(&world, index, &[], file, "");
        world.write(&name, &[&good[..], &[0]].concat());
        refuses(&world, index, &[], file, "");
        world.write(&name, &good);
        assert!(audit(&world, index, &[]).0);
    }
}

#[test]
fn tiles_of_another_place_or_not_there_are_named() {
    let world = World::new();
    let entries = world.read("export/tile/entries/001.p/44");
    world.write("export/tile/entries/000", &entries);
    refuses(&world, 7, &[], "tile/entries/000", "256 entries");
    let world = World::new();
    let (border, full) = (world.read("export/tile/1/000.p/1"), world.read("export/tile/0/000"));
    world.write("export/tile/0/000", &border.repeat(256));
    refuses(&world, 7, &[], "tile/0/000", "the tile above");
    world.write("export/tile/0/000", &full);
    let checkpoint = world.text("export/checkpoint");
    // A size that the export has not: its border tiles are absent.
    world.write("export/checkpoint", world.text("old-checkpoint").as_bytes());
    refuses(&world, 7, &[], "tile/0/001.p/1", "No such file");
    world.write("export/checkpoint", checkpoint.as_bytes());
    refuses(&world, SIZE, &[], "export/checkpoint", "no entry 300");
}

#[test]
fn a_checkpoint_needs_its_quorum() {
    let world = World::new();
    let checkpoint = world.text("export/checkpoint");
    let lines: Vec<&str> = checkpoint.lines().collect();
    let file = "export/checkpoint";
    let two = format!("{}\n", lines[..6].join("\n"));
    world.write(file, two.as_bytes());
    refuses(&world, 7, &[], file, "2 distinct keys signed, the quorum is 3");
    world.write(file, format!("{two}{}\n", lines[5]).as_bytes());
    refuses(&world, 7, &[], file, "two signatures of key");
    world.write(file, checkpoint.replace("\n300\n", "\n299\n").as_bytes());
    refuses(&world, 7, &[], file, "does not verify");
    world.write(file, lines[..3].join("\n").as_bytes());
    refuses(&world, 7, &[], file, "no signed note");
    world.write(file, checkpoint.as_bytes());
    // One key three times in the list is one key.
    let key = &world.keys[0];
    world.write("keys.txt", format!("{key}\n{key}\n{key}\n").as_bytes());
    refuses(&world, 7, &[], file, "1 distinct keys signed");
    world.write("keys.txt", key.replacen(ORIGIN, "example.org/other", 1).as_bytes());
    refuses(&world, 7, &[], "keys.txt", "has id");
    world.write("keys.txt", world.text("witnesses.txt").as_bytes());
    refuses(&world, 7, &[], "keys.txt", "no Ed25519 verifier key");
}

#[test]
fn a_history_that_was_rewritten_is_no_prefix() {
    let world = World::new();
    let consistency = ["--consistency", "old-checkpoint"];
    let old = world.text("old-checkpoint");
    world.write("old-checkpoint", old.replace("\n257\n", "\n258\n").as_bytes());
    refuses(&world, 7, &consistency, "old-checkpoint", "does not verify");
    let fork = world.signed_root(OLD_SIZE, [7; 32]);
    world.write("old-checkpoint", fork.as_bytes());
    refuses(&world, 7, &consistency, "old-checkpoint", "no prefix");
    let later = world.signed_root(SIZE + 1, [7; 32]);
    world.write("old-checkpoint", later.as_bytes());
    refuses(&world, 7, &consistency, "old-checkpoint", "beyond 300");
    let (accepted, printed) = audit(&world, 7, &["--quorum", "0"]);
    assert!(!accepted && printed.contains("proves nothing"), "{printed}");
}
