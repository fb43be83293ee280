//! clippy.toml bans at least what the design bans from the core crates: time, disk, net, threads, floats of
//! the platform. Clippy itself enforces the list; this says that nobody shortens it.

use std::collections::BTreeSet;

use crate::tree;

const TYPES: [&str; 5] = [
    "std::collections::HashMap",
    "std::collections::HashSet",
    "std::hash::RandomState",
    "std::time::Instant",
    "std::time::SystemTime",
];

const METHODS: [&str; 26] = [
    "std::env::args",
    "std::env::temp_dir",
    "std::env::var",
    "std::env::vars",
    "std::fs::File::create",
    "std::fs::File::open",
    "std::fs::OpenOptions::new",
    "std::fs::create_dir_all",
    "std::fs::read",
    "std::fs::read_dir",
    "std::fs::read_to_string",
    "std::fs::remove_file",
    "std::fs::rename",
    "std::fs::write",
    "std::net::TcpListener::bind",
    "std::net::TcpStream::connect",
    "std::net::UdpSocket::bind",
    "std::process::Command::new",
    "std::thread::Builder::new",
    "std::thread::scope",
    "std::thread::sleep",
    "std::thread::spawn",
    "std::time::Instant::now",
    "std::time::SystemTime::now",
    "f64::mul_add",
    "f32::mul_add",
];

/// Of `f64` and of `f32`: none of them rounds alike on every target.
const FLOAT_METHODS: [&str; 26] = [
    "sin", "cos", "tan", "asin", "acos", "atan", "atan2", "sin_cos", "sinh", "cosh", "tanh",
    "asinh", "acosh", "atanh", "exp", "exp2", "exp_m1", "ln", "ln_1p", "log", "log2", "log10",
    "powf", "powi", "cbrt", "hypot",
];

/// What one list of the file bans.
fn banned(document: &toml::Table, list: &str) -> BTreeSet<String> {
    let entries = document.get(list).and_then(toml::Value::as_array);
    let path = |entry: &toml::Value| {
        let path = entry.get("path").unwrap_or(entry);
        path.as_str().map(str::to_owned)
    };
    entries.into_iter().flatten().filter_map(path).collect()
}

/// What must be banned and is not.
fn missing(text: &str) -> Vec<String> {
    let document: toml::Table = text.parse().expect("clippy.toml is TOML");
    let (types, methods) =
        (banned(&document, "disallowed-types"), banned(&document, "disallowed-methods"));
    let of_floats = FLOAT_METHODS.iter();
    let floats = of_floats.flat_map(|name| [format!("f64::{name}"), format!("f32::{name}")]);
    let wanted_methods = METHODS.iter().map(|path| (*path).to_owned()).chain(floats);
    let types = TYPES.iter().filter(|path| !types.contains(**path)).map(|path| (*path).to_owned());
    types.chain(wanted_methods.filter(|path| !methods.contains(path))).collect()
}

#[test]
fn the_core_crates_are_banned_from_the_world() {
    let text = tree::text("clippy.toml").unwrap_or_default();
    assert_eq!(missing(&text), Vec::<String>::new());
}

#[test]
fn a_ban_that_is_gone_is_named() {
    let text = tree::text("clippy.toml").unwrap_or_default();
    for path in ["std::hash::RandomState", "f32::sin", "std::fs::rename"] {
        assert_eq!(missing(&text.replace(&format!("\"{path}\""), "\"core::mem::swap\"")), [path]);
    }
}
