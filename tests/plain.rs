//! Sessions as plain lines: every view's facts, the diagnosis, and an end of their own.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use assert_cmd::Command;

/// What a session prints that stops at the first divergence and is then told `typed`.
fn said(typed: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("paritty"));
    command.args(["demo", "--model", "shakespeare-f16", "--fault", "rope-pairing", "--plain"]);
    command.args(["--until", "divergence"]).env("XDG_STATE_HOME", folder.path());
    command.timeout(std::time::Duration::from_mins(2)).write_stdin(format!("wait\n{typed}"));
    let output = command.assert().code(1).get_output().stdout.clone();
    String::from_utf8(output).unwrap()
}

#[test]
fn every_view_says_its_facts_when_it_is_asked_for() {
    let said = said(
        "first-divergence\nview layer\nview tensor\nview channels\nview attention\nview logits\nview garbage\n\
         view records\n",
    );
    for wanted in [
        "position 1",
        "stepping: stopped at 1: the runs part",
        "an error enters at Qcur_rope-0",
        "verdict: first divergence: position 1, layer 0, Qcur_rope-0",
        "view: layer",
        "  Qcur_rope-0: nmse",
        "an error enters here",
        "view: tensor",
        "  reference: 256 values, [32×8]",
        "  differs most: channel",
        " ULP apart",
        "view: channels",
        "Qcur_rope at position 1, layer by layer:",
        "  Qcur_rope-5: ",
        "view: attention",
        "reference: kq_soft_max-0 at position 1",
        "  head 7: reference most at position",
        "view: logits",
        "  text up to position 1, reference: ",
        "  tokens by the reference's probability:",
        "view: garbage",
        "no garbage so far",
        "view: records",
        "records of the candidate: ",
    ] {
        assert!(said.contains(wanted), "{wanted}\n{said}");
    }
    assert!(!said.contains('\u{1b}') && !said.contains('▮'), "{said}");
}

#[test]
fn a_diagnosis_is_said_before_the_session_is_left() {
    let said = said("diagnose\n");
    for wanted in [
        "diagnosis: ",
        "faulty: Qcur_rope-0 of the candidate, mistake rope-pairing",
        "positions 1, worst at 1",
    ] {
        assert!(said.contains(wanted), "{wanted}\n{said}");
    }
}
