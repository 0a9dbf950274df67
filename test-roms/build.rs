//! Assembles the default guest.

#[path = "src/asm.rs"]
#[allow(dead_code, unreachable_pub)]
mod asm;
#[path = "guest/mod.rs"]
mod guest;

fn main() -> Result<(), String> {
    println!("cargo::rerun-if-changed=src/asm.rs");
    println!("cargo::rerun-if-changed=guest");
    let out = std::env::var("OUT_DIR").map_err(|e| e.to_string())?;
    let rom = guest::rom()?;
    std::fs::write(format!("{out}/guest.rom"), rom).map_err(|e| e.to_string())
}
