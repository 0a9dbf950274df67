//! The book (`docs/`): every command in it prints what the page shows, and every page is in the summary.
//!
//! `RINGER_UPDATE=1` writes what the commands print into the pages.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test")]

mod common;

use std::path::{Path, PathBuf};

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

fn pages() -> Vec<PathBuf> {
    let mut waiting = vec![docs().join("src")];
    let mut pages = Vec::new();
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            match path.extension() {
                _ if path.is_dir() => waiting.push(path),
                Some(e) if e == "md" => pages.push(path),
                _ => {}
            }
        }
    }
    pages.sort();
    pages
}

/// Words of a command line; double quotes hold some together.
fn words(line: &str) -> Vec<String> {
    let quoted = |(n, part): (usize, &str)| match n % 2 {
        1 => vec![part.to_owned()],
        _ => part.split_whitespace().map(str::to_owned).collect(),
    };
    line.split(['"', '\'']).enumerate().flat_map(quoted).collect()
}

/// What a command prints, errors included.
fn printed(line: &str) -> String {
    let words = words(line);
    let (program, arguments) = words.split_first().unwrap();
    match program.as_str() {
        "cat" => std::fs::read_to_string(docs().join(&arguments[0])).unwrap(),
        "ringer" => {
            let out = common::ringer().args(arguments).current_dir(docs()).output().unwrap();
            String::from_utf8(out.stdout).unwrap() + &String::from_utf8(out.stderr).unwrap()
        }
        other => panic!("the book runs {other}"),
    }
}

/// A page with its commands run, and how many there were.
fn run(page: &str) -> (String, usize) {
    let mut out = String::new();
    let mut commands = 0;
    for (n, block) in page.split("```console\n").enumerate() {
        if n == 0 {
            out += block;
            continue;
        }
        let (shown, rest) = block.split_once("```").expect("a block that ends");
        let (line, _) = shown.split_once('\n').unwrap();
        let command = line.strip_prefix("$ ").expect("a command behind a dollar sign");
        let text = printed(command);
        let end = if text.ends_with('\n') { "" } else { "\n" };
        out += &format!("```console\n$ {command}\n{text}{end}```{rest}");
        commands += 1;
    }
    (out, commands)
}

#[test]
#[cfg_attr(
    not(all(target_arch = "x86_64", target_os = "linux")),
    ignore = "what a replay says of the host's CPU is of an x86-64 Linux host"
)]
fn commands_print_what_the_book_shows() {
    let update = std::env::var_os("RINGER_UPDATE").is_some();
    let mut commands = 0;
    let mut wrong = Vec::new();
    for path in pages() {
        let page = std::fs::read_to_string(&path).unwrap();
        let (now, found) = run(&page);
        commands += found;
        if now != page && update {
            std::fs::write(&path, &now).unwrap();
        } else if now != page {
            let line = now.lines().zip(page.lines()).find(|(a, b)| a != b);
            wrong.push(format!("{}: {line:?}", path.display()));
        }
    }
    assert!(
        wrong.is_empty(),
        "RINGER_UPDATE=1 writes what is printed now; these differ:\n{}",
        wrong.join("\n")
    );
    assert!(commands >= 25, "{commands} commands");
}

#[test]
fn the_summary_has_every_page() {
    let summary = std::fs::read_to_string(docs().join("src/SUMMARY.md")).unwrap();
    let linked: Vec<&str> = summary.split("](").skip(1).filter_map(|s| s.split(')').next()).collect();
    for page in pages() {
        let name = page.strip_prefix(docs().join("src")).unwrap().display().to_string();
        assert!(name == "SUMMARY.md" || linked.contains(&name.as_str()), "{name} is not in the summary");
    }
    for name in linked {
        assert!(docs().join("src").join(name).is_file(), "{name} is not there");
    }
}
