//! The matrix of `ringer classify --html`, as a browser shows it.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test")]

mod common;

use common::{Files, output};
use libtest_mimic::{Arguments, Failed, Trial};
use std::path::PathBuf;
use std::process::{Command, Stdio};

const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

fn main() {
    let arguments = Arguments::from_args();
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let has = |tool: &&str| std::env::split_paths(&paths).any(|d: PathBuf| d.join(tool).is_file());
    let browser = BROWSERS.into_iter().find(has);
    if browser.is_none() {
        eprintln!("SKIPPED: chromium absent (apt-get install chromium)");
    }
    let shown = move || shown(browser.unwrap_or_default());
    let trials = vec![
        Trial::test("the_matrix_in_a_browser", shown).with_ignored_flag(browser.is_none()),
        Trial::test("a_file_that_cannot_be_written", unwritten),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}

/// The table's part of the document as the page's script has made it.
fn dom(browser: &str, page: &str, filter: &str, profile: &str) -> String {
    let mut command = Command::new("timeout");
    command.args(["60", browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]);
    command.arg(format!("--user-data-dir={profile}"));
    command.args(["--dump-dom", &format!("file://{page}#{filter}")]);
    let out = command.stdin(Stdio::null()).stderr(Stdio::null()).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let (table, _) = text.split_once("<noscript>").unwrap();
    table.to_owned()
}

fn shown(browser: &str) -> Result<(), Failed> {
    let files = Files::new();
    let (page, profile) = (files.absent("matrix.html"), files.absent("profile"));
    let out = output(&["classify", "--html", &page, "--mode", "32"]);
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
    let text = std::fs::read_to_string(&page).unwrap();
    assert!(!text.contains("http://") && !text.contains("https://"), "it needs something from elsewhere");
    // UMIP turns SGDT from sensitive to privileged
    let sgdt = dom(browser, &page, "text=sgdt_m1632&derived=1", &profile);
    let row = sgdt.split("<tr>").find(|r| r.contains(">Sgdt_m1632<")).unwrap();
    let cells: Vec<&str> = row.split("<td").skip(4).map(|c| &c[8..11]).collect();
    assert_eq!(cells, ["c s", "c s", "c p", "c s", "c s", "c s", "c s", "c s", "c s"], "{row}");
    assert!(sgdt.contains("2 of 4169"), "{sgdt}");
    // what is hidden until it is asked for
    assert!(dom(browser, &page, "text=add_rm32_r32", &profile).contains("0 of 4169"));
    assert!(dom(browser, &page, "text=add_rm32_r32&i=1", &profile).contains("2 of 4169"));
    assert!(dom(browser, &page, "text=popf&p=1&s=0", &profile).contains("0 of 4169"));
    Ok(())
}

fn unwritten() -> Result<(), Failed> {
    let files = Files::new();
    common::refused(
        &["classify", "--html", &files.absent("no/such/place.html"), "--mode", "64"],
        1,
        &["place.html"],
    );
    Ok(())
}
