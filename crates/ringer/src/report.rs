//! What --stats prints: the efficiency property in figures.

use crate::cli::StatsFormat;
use machine::Machine;
use serde_json::json;
use std::time::Duration;

/// Prints the figures on standard error (text) or standard output's last line (JSON).
pub(crate) fn print(machine: &mut Machine, format: StatsFormat, wall: Duration) {
    match format {
        StatsFormat::Text => eprint!("{}", text(machine, wall)),
        StatsFormat::Json => eprintln!("{}", json(machine, wall)),
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 }
}

/// Millions of instructions a second.
fn mips(retired: u64, wall: Duration) -> f64 {
    retired as f64 / wall.as_secs_f64().max(1e-9) / 1e6
}

/// The efficiency meter and its reasons, for people.
pub(crate) fn text(machine: &mut Machine, wall: Duration) -> String {
    let (s, retired) = (machine.stats(), machine.cpu().retired);
    let faults: u64 = s.faults.iter().sum();
    let innocuous = retired.saturating_sub(s.sensitive + faults);
    let per_switch =
        if s.shadow.switches == 0 { 0.0 } else { s.shadow.fills as f64 / s.shadow.switches as f64 };
    format!(
        "\
instructions retired    {retired:>15}
  innocuous             {innocuous:>15}  {:.3} % without intervention
  sensitive             {:>15}  interpreted by the monitor
exits to the dispatcher {:>15}
  faults                {faults:>15}
  interrupts            {:>15}
slow accesses           {:>15}
shadow fills            {:>15}  {per_switch:.2} an address-space switch
address-space switches  {:>15}
traced table writes     {:>15}  {} tables unshadowed
speed                   {:>15.1}  million instructions a second over {:.2} s
",
        share(innocuous, retired),
        s.sensitive,
        s.exits,
        s.interrupts,
        s.slow_accesses,
        s.shadow.fills,
        s.shadow.switches,
        s.shadow.table_writes,
        s.shadow.floods,
        mips(retired, wall),
        wall.as_secs_f64(),
    )
}

fn json(machine: &mut Machine, wall: Duration) -> serde_json::Value {
    let (s, retired) = (machine.stats(), machine.cpu().retired);
    json!({
        "retired": retired,
        "innocuous": retired.saturating_sub(s.sensitive + s.faults.iter().sum::<u64>()),
        "sensitive": s.sensitive,
        "exits": s.exits,
        "faults": s.faults.iter().enumerate().filter(|(_, n)| **n > 0)
            .map(|(v, n)| (v.to_string(), json!(n))).collect::<serde_json::Map<_, _>>(),
        "interrupts": s.interrupts,
        "slow_accesses": s.slow_accesses,
        "shadow": {
            "fills": s.shadow.fills,
            "switches": s.shadow.switches,
            "table_writes": s.shadow.table_writes,
            "unshadowed": s.shadow.floods,
            "page_faults": s.shadow.page_faults,
        },
        "wall_seconds": wall.as_secs_f64(),
        "mips": mips(retired, wall),
    })
}
