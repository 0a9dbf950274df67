//! Every lesson runs, soon, and says what it is to say.

use lab::{LESSONS, lesson};
use std::time::{Duration, Instant};

fn run(name: &str) -> String {
    let lesson = lesson(name).unwrap_or_else(|| panic!("no lesson {name}"));
    let (start, mut out) = (Instant::now(), Vec::new());
    (lesson.run)(&mut out).expect("it can be written");
    println!("{name}: {:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(40), "{name} takes too long");
    let text = String::from_utf8(out).expect("UTF-8");
    println!("{text}");
    text
}

fn holds(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.contains(line), "{line:?} is missing");
    }
}

#[test]
fn lessons_have_what_a_reader_needs() {
    let mut names: Vec<&str> = LESSONS.iter().map(|l| l.name).collect();
    for l in LESSONS {
        assert!(l.question.ends_with('?') && l.answer.ends_with('.') && !l.title.is_empty());
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), LESSONS.len());
    assert!(lesson("no such").is_none());
}

#[test]
fn definitions() {
    holds(
        &run("definitions"),
        &[
            "LPSW     8388608 states  privileged, control sensitive, supervisor sensitive",
            "ADD      8388608 states  innocuous",
            "virtualizable  theorem 1 holds            theorem 3 holds",
            "JRST 1         theorem 1 fails for JRST   theorem 3 holds",
            "silent POPF    theorem 1 fails for POPF   theorem 3 holds",
            "readable R     theorem 1 fails for RREL   theorem 3 fails for RREL",
            "readable M     theorem 1 fails for RMODE  theorem 3 holds",
        ],
    );
}

#[test]
fn trap_and_emulate() {
    holds(
        &run("trap-and-emulate"),
        &[
            "M=s P=9 R=(0, 96)          M=u P=9 R=(5, 96)          LPSW 8   traps: interpreted",
            "SVC 0    traps: the supervisor call is the guest's",
            "console: [3, 1]. The real state was f of the bare machine's after each step: yes",
            "20000 random programs",
            "no difference",
        ],
    );
}

#[test]
fn resources() {
    holds(
        &run("resources"),
        &[
            "(4, 1000): words 9 to 21",
            "guest 0: 1000 steps",
            "guest 1: 3 steps, M=s P=5, console [42], halted",
        ],
    );
}

#[test]
fn critical() {
    let text = run("critical");
    let lines = ["JRST is control", "POPF is control", "RREL is location", "RMODE is mode"];
    holds(&text, &lines);
    assert_eq!(text.matches("and not privileged").count(), 4);
    assert_eq!(text.matches("no difference").count(), 1);
}

#[test]
fn wrong_interpreter() {
    let text = run("wrong-interpreter");
    holds(&text, &["the monitor is wrong, not the machine", "bare       M=u", "monitored  M=s", "With M:"]);
    assert_eq!(text.matches("no difference").count(), 1);
}

#[test]
fn recursion() {
    let text = run("recursion");
    assert_eq!(text.matches("no difference").count(), 3);
    assert_eq!(text.matches("the same state").count(), 3);
    holds(&text, &["console [55, 55, 55, 55, 55, 5]"]);
}

#[test]
fn hybrid() {
    let text = run("hybrid");
    assert_eq!(text.matches("no difference").count(), 4);
    holds(&text, &["JRST is control sensitive", "RREL is location sensitive, user sensitive", "100 times:"]);
}

#[test]
fn efficiency() {
    holds(&run("efficiency"), &["         1  90.17 %", "      1000  99.95 %"]);
}

#[test]
fn popf() {
    let text = run("popf");
    holds(&text, &["popfd             1         0              <- EFLAGS: 00000202, 00000002"]);
    holds(
        &text,
        &["popfd             1         1       traps", "never comes", "that can come", "table 4-16"],
    );
}

#[test]
fn x86() {
    let text = run("x86");
    for name in [
        "POPF",
        "PUSHF",
        "PUSH CS",
        "MOV from CS",
        "SMSW",
        "SGDT",
        "SIDT",
        "SLDT",
        "STR",
        "LAR",
        "VERR",
        "IRET",
    ] {
        assert!(text.contains(&format!("{name}: program")), "{name}");
    }
    for name in ["CLI", "STI", "MOV to CR", "LGDT", "LIDT", "LTR", "IN", "OUT", "HLT"] {
        assert!(text.contains(&format!("{name}: no difference")), "{name}");
    }
    holds(&text, &["2000 programs", "Intel SDM vol. 2B, SMSW"]);
    assert!(text.ends_with("no difference\n"));
}

#[test]
fn robin_irvine() {
    let text = run("robin-irvine");
    holds(
        &text,
        &[
            "quoted for 17. The paper names 18:",
            "POPFD, POPFQ (control, mode sensitive)",
            "FNSTENV, FSTENV:",
            "theorem 1: its condition fails; if all of these trapped, it holds",
        ],
    );
}

#[test]
fn shadow_paging() {
    let text = run("shadow-paging");
    holds(
        &text,
        &[
            "frame 0e000 holds a table: stores to it are traced",
            "00400000: page 00400 is frame 05000, shown to read and write",
            "00401000: page 00401 is frame 08000, shown to read\n",
            "entry 000 of table 0e000 written, pages taken away: 1",
            "00400000: page 00400 is frame 08000, shown to read\n",
            "00402000: the guest's tables do not have it: its own page fault",
            "500 random programs that change their tables: no difference",
        ],
    );
    assert!(!text.contains("DIFFERENT"));
}

#[test]
fn paravirtual() {
    let text = run("paravirtual");
    let row = |name: &str| -> Vec<String> {
        let line = text.lines().find(|l| l.starts_with(name)).expect("a row");
        line[36..].split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(row("as it is, on the modified processor"), ["6", "8", "0", "14", "1", "78"]);
    assert_eq!(row("as it is, on x86"), ["4", "8", "0", "12", "0", "78"]);
    assert_eq!(row("rewritten, on x86"), ["0", "0", "6", "6", "1", "78"]);
}

#[test]
fn design_space() {
    let text = run("design-space");
    let said = "[5050, 5050, 5050, 5050, 5050, 5]";
    assert_eq!(text.matches(said).count(), 4, "every system says the same");
    holds(
        &text,
        &["the bare machine                         3636", "process VM: the user alone               3551"],
    );
}

#[test]
fn side_by_side() {
    let text = run("side-by-side");
    assert_eq!(text.matches("console [55, 55, 55, 55, 55, 5], halted").count(), 2);
    holds(&text, &["console [42], halted", "The first says the same as on a machine of its own."]);
}

#[test]
fn handshake() {
    let text = run("handshake");
    let row = |name: &str| -> Vec<String> {
        let line = text.lines().find(|l| l.starts_with(name)).expect("a row");
        line[40..].split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(row("the bare machine"), ["405", "0", "160,", "the", "same"]);
    assert_eq!(row("a monitor that keeps"), ["405", "162", "160,", "the", "same"]);
    assert_eq!(row("a monitor that shakes hands")[1..], ["22", "160,", "the", "same"]);
}

#[test]
fn virtual_real() {
    let text = run("virtual-real");
    assert_eq!(text.matches("console is the same as on the bare machine").count(), 2);
    assert_eq!(text.matches("read 101 102 103 104: its own").count(), 2);
    assert_eq!(text.matches("read 101 102 103 104: NOT ITS OWN").count(), 1);
    holds(&text, &["4 words of it changed, read 201 202 203 204: its own", "reads 201: the other's word."]);
}
