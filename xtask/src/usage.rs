//! A command line that cannot be understood: one line that says what to do.

use std::ffi::OsString;

use clap::CommandFactory as _;
use clap::error::ErrorKind;

use crate::cli::Cli;

/// Whether the parser stopped because it was asked for help or the version, which are shown whole.
pub(crate) fn is_help(stop: &clap::Error) -> bool {
    matches!(
        stop.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    )
}

/// The parser's message on one line, without the usage that `--help` prints better.
pub(crate) fn message(stop: &clap::Error, arguments: &[OsString]) -> String {
    let rendered = stop.to_string();
    let said = rendered.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    let said = said.filter(|line| !line.is_empty() && !line.starts_with("For more information"));
    let mut text = String::new();
    for line in said {
        let glue = match text.chars().last() {
            None => "",
            Some(':') => " ",
            Some(_) if line.starts_with('[') => " ",
            Some(_) => "; ",
        };
        text.push_str(glue);
        text.push_str(line);
    }
    format!("{text}; try `{} --help`", command(arguments))
}

/// The command that the help is about: the subcommand where one was named.
fn command(arguments: &[OsString]) -> String {
    let program = Cli::command();
    let named = arguments.iter().skip(1).filter_map(|word| word.to_str());
    let found = named.filter_map(|word| program.find_subcommand(word)).next();
    let name = program.get_name();
    found.map_or_else(|| name.to_owned(), |found| format!("{name} {}", found.get_name()))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn said(words: &[&str]) -> String {
        let arguments: Vec<OsString> = ["xtask"].iter().chain(words).map(OsString::from).collect();
        let stop = Cli::try_parse_from(&arguments).expect_err("a bad command line");
        assert!(!is_help(&stop), "{words:?}");
        message(&stop, &arguments)
    }

    #[test]
    fn every_refusal_is_one_line_that_says_what_to_do() {
        for (words, expected) in [
            (
                &["compliance"][..],
                "error: the following required arguments were not provided: --phase <PHASE>; \
                 try `cargo xtask compliance --help`",
            ),
            (
                &["compliance", "--phase", "M9"],
                "error: invalid value 'M9' for '--phase <PHASE>' [possible values: M5]; \
                 try `cargo xtask compliance --help`",
            ),
            (
                &["simulate", "--seed", "-1"],
                "error: invalid value '-1' for '--seed <N>': a whole number in \
                 0..=18446744073709551615 is wanted; try `cargo xtask simulate --help`",
            ),
            (
                &["simulate", "--epochs", "0"],
                "error: invalid value '0' for '--epochs <N>': a whole number in 1..=1000 is wanted; \
                 try `cargo xtask simulate --help`",
            ),
            (
                &["similate"],
                "error: unrecognized subcommand 'similate'; tip: a similar subcommand exists: \
                 'simulate'; try `cargo xtask --help`",
            ),
        ] {
            assert_eq!(said(words), expected);
        }
    }

    #[test]
    fn help_is_shown_whole() {
        for words in [&["xtask"][..], &["xtask", "--help"], &["xtask", "ci", "-h"]] {
            assert!(is_help(&Cli::try_parse_from(words).expect_err("help")), "{words:?}");
        }
    }
}
