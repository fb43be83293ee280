//! `cargo xtask soak` as its users meet it.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::cli::Desk;

#[test]
fn a_soak_counts_every_kind_and_does_not_depend_on_the_threads() {
    let desk = Desk::new();
    let soak = |threads: &str| {
        let arguments =
            ["soak", "ledger", "--seed", "11", "--faults", "1200", "--threads", threads];
        let ended = desk.run(&arguments).expect_code(0);
        assert_eq!(
            ended.stderr(),
            "",
            "panics that redb raises and the store catches are not shown"
        );
        ended.stdout()
    };
    let text = soak("1");
    for kind in ["power loss", "sync error", "full disk", "lost write", "flipped bit", "truncation"]
    {
        assert!(text.lines().any(|line| line.contains(kind)), "{kind} in\n{text}");
    }
    assert!(text.ends_with("no fault was answered wrongly\n"), "{text}");
    assert_eq!(soak("3"), text);
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_a_soak_with_130() {
    let desk = Desk::new();
    let mut command = desk.command(&["soak", "ledger"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    std::thread::sleep(Duration::from_millis(500));
    assert!(child.try_wait().expect("a child").is_none(), "a million faults take longer");
    let signal = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(signal.expect("kill").success());
    let ended = child.wait_with_output().expect("ends");
    assert_eq!(ended.status.code(), Some(130));
    assert!(ended.stdout.is_empty());
    assert_eq!(String::from_utf8_lossy(&ended.stderr).trim(), "xtask: interrupted");
}
