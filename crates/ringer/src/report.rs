//! What --stats prints: the efficiency property in figures.

use crate::cli::StatsFormat;
use machine::Machine;
use serde_json::json;
use std::io::Write;
use std::time::Duration;

/// Prints the figures on standard error.
pub(crate) fn print(machine: &mut Machine, format: StatsFormat, wall: Duration) {
    let mut out = std::io::stderr();
    // a closed standard error is no reason to fail
    let _ = match format {
        StatsFormat::Text => write!(out, "{}", text(machine, wall)),
        StatsFormat::Json => writeln!(out, "{}", json(machine, wall)),
    };
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 }
}

/// Millions of instructions a second.
fn mips(retired: u64, wall: Duration) -> f64 {
    retired as f64 / wall.as_secs_f64().max(1e-9) / 1e6
}

/// Names of the modes, in the order of [`vmm::Mode`].
const MODES: [&str; 4] = ["real", "virtual-8086", "supervisor", "user"];

/// Which of them is user mode.
const USER: usize = vmm::Mode::User as usize;

/// The efficiency meter and its reasons, for people.
pub(crate) fn text(machine: &mut Machine, wall: Duration) -> String {
    let s = machine.stats();
    let retired: u64 = s.retired.iter().sum();
    let in_place = machine.meter().map_or(0, |m| m.in_place);
    let innocuous = retired.saturating_sub(s.sensitive + in_place);
    let mut lines = vec![
        row("instructions retired", retired, String::new()),
        row("  innocuous", innocuous, format!("{:.3} % without intervention", share(innocuous, retired))),
        row("  sensitive", s.sensitive, "interpreted by the monitor".to_owned()),
        row("  sensitive, in place", in_place, "a few words of compiled code in its stead".to_owned()),
    ];
    for (name, n) in MODES.iter().zip(s.retired).filter(|(_, n)| *n > 0) {
        lines.push(row(&format!("  in {name} mode"), n, format!("{:.1} %", share(n, retired))));
    }
    lines.push(row("exits to the dispatcher", s.exits, String::new()));
    lines.push(row("  asked for", s.requests, String::new()));
    lines.push(row("  budget spent", s.budgets, String::new()));
    for (vector, n) in s.faults.iter().enumerate().filter(|(_, n)| **n > 0) {
        lines.push(row(&format!("  fault {vector}"), *n, String::new()));
    }
    lines.push(row("interrupts delivered", s.interrupts, String::new()));
    lines.push(row("slow accesses", s.slow_accesses, String::new()));
    let per_switch = s.shadow.fills as f64 / s.shadow.switches.max(1) as f64;
    lines.push(row("shadow fills", s.shadow.fills, format!("{per_switch:.2} a load of CR3")));
    lines.push(row("loads of CR3", s.shadow.switches, String::new()));
    lines.push(row(
        "traced table writes",
        s.shadow.table_writes,
        format!("{} tables unshadowed", s.shadow.floods),
    ));
    if let Some(m) = machine.meter() {
        lines.extend(compiled(&m, retired, s.retired[USER]));
    }
    let speed =
        format!("{:.1} million instructions a second over {:.2} s", mips(retired, wall), wall.as_secs_f64());
    lines.join("") + &speed + "\n"
}

/// Instructions that compiled code has done itself, in all and in user mode, of so many, without iterations.
fn inside(m: &cpu::Meter, retired: u64, user: u64) -> (u64, u64) {
    (retired.saturating_sub(m.interpreted + m.called), user.saturating_sub(m.user))
}

/// What the JIT has done; `user` instructions have retired in user mode.
fn compiled(m: &cpu::Meter, retired: u64, user: u64) -> Vec<String> {
    let (retired, user) = (retired.saturating_sub(m.repeated), user.saturating_sub(m.repeated_user));
    let (inside, user_inside) = inside(m, retired, user);
    let [lookup, budget, redo, stopped, hot] = m.exits;
    let seconds = m.compile_nanos as f64 / 1e9;
    vec![
        row("in compiled code", inside, format!("{:.3} %", share(inside, retired))),
        row("  in user mode", user_inside, format!("{:.3} % of user mode", share(user_inside, user))),
        row("  interpreted", m.interpreted, format!("{:.3} %", share(m.interpreted, retired))),
        row("  called out for", m.called, format!("{:.3} %", share(m.called, retired))),
        row("iterations of REP", m.repeated, "behind the first, page by page; in none of the shares".into()),
        row("entries", m.entries, String::new()),
        row("  left: no target", lookup, String::new()),
        row("  left: budget", budget, String::new()),
        row("  left: redone", redo, String::new()),
        row("  left: stopped", stopped, String::new()),
        row("  left: hot", hot, "to be compiled for good".into()),
        row(
            "regions compiled",
            m.compiled_regions,
            format!("{} instructions in {seconds:.2} s", m.compiled_instructions),
        ),
        row(
            "  in one pass",
            m.quick_regions,
            format!("{} instructions in {:.2} s", m.quick_instructions, m.quick_nanos as f64 / 1e9),
        ),
        row("regions in being", m.regions, format!("{} KiB of code", m.code_bytes >> 10)),
        row("regions invalidated", m.invalidations, format!("{} flushes", m.flushes)),
    ]
}

fn row(name: &str, n: u64, note: String) -> String {
    format!("{name:<25}{n:>15}  {note}").trim_end().to_owned() + "\n"
}

fn json(machine: &mut Machine, wall: Duration) -> serde_json::Value {
    let s = machine.stats();
    let retired: u64 = s.retired.iter().sum();
    let in_place = machine.meter().map_or(0, |m| m.in_place);
    let by_mode: serde_json::Map<_, _> =
        MODES.iter().zip(s.retired).map(|(name, n)| ((*name).to_owned(), json!(n))).collect();
    let faults: serde_json::Map<_, _> = s
        .faults
        .iter()
        .enumerate()
        .filter(|(_, n)| **n > 0)
        .map(|(v, n)| (v.to_string(), json!(n)))
        .collect();
    json!({
        "retired": retired,
        "innocuous": retired.saturating_sub(s.sensitive + in_place),
        "sensitive": s.sensitive,
        "sensitive_in_place": in_place,
        "retired_by_mode": by_mode,
        "exits": { "all": s.exits, "asked_for": s.requests, "budget": s.budgets, "faults": faults },
        "interrupts": s.interrupts,
        "slow_accesses": s.slow_accesses,
        "shadow": {
            "fills": s.shadow.fills,
            "cr3_loads": s.shadow.switches,
            "table_writes": s.shadow.table_writes,
            "unshadowed": s.shadow.floods,
            "page_faults": s.shadow.page_faults,
        },
        "compiled": machine.meter().map(|m| compiled_json(&m, retired, s.retired[USER])),
        "wall_seconds": wall.as_secs_f64(),
        "mips": mips(retired, wall),
    })
}

/// What the JIT has done; null with the interpreter.
fn compiled_json(m: &cpu::Meter, retired: u64, user: u64) -> serde_json::Value {
    let [no_target, budget, redone, stopped, hot] = m.exits;
    let (retired, user) = (retired.saturating_sub(m.repeated), user.saturating_sub(m.repeated_user));
    let (inside, user_inside) = inside(m, retired, user);
    json!({
        "instructions": inside,
        "in_user_mode": user_inside,
        "of_user_mode": user,
        "interpreted": m.interpreted,
        "called_out_for": m.called,
        "iterations": m.repeated,
        "entries": m.entries,
        "exits": { "no_target": no_target, "budget": budget, "redone": redone, "stopped": stopped, "hot": hot },
        "regions": m.regions,
        "regions_compiled": m.compiled_regions,
        "instructions_compiled": m.compiled_instructions,
        "compile_seconds": m.compile_nanos as f64 / 1e9,
        "quick": {
            "regions_compiled": m.quick_regions,
            "instructions_compiled": m.quick_instructions,
            "compile_seconds": m.quick_nanos as f64 / 1e9,
        },
        "code_bytes": m.code_bytes,
        "invalidated": m.invalidations,
        "flushes": m.flushes,
    })
}
