//! PCs that start by themselves: floppies, CDs and disks under SeaBIOS, each asked for something
//! that only a working machine can answer.
//!
//! `cargo xtask guests` prepares the media. FreeDOS and BootE Linux are in no package:
//! `RINGER_FREEDOS` and `RINGER_BOOTE` name them, or they lie in `../shared/guests`. What is absent
//! is reported as ignored, aloud.

mod disks;
mod dos;
mod loaders;
mod snapshots;

use libtest_mimic::{Arguments, Failed, Trial};
use std::path::PathBuf;
use std::time::Duration;
use testkit::bios::{self, Drive};
use testkit::console::Console;
use xtask::guests::{self, file};

/// Host seconds after which a guest counts as hung.
const PATIENCE: Duration = Duration::from_secs(600);

type Outcome = Result<(), Failed>;

fn main() {
    let arguments = Arguments::from_args();
    let dos = guests::freedos().is_some();
    let trials = vec![
        with("freedos_answers", dos, dos::answers),
        with("a_file_on_the_floppy_survives_a_reboot", dos && tool("mcopy"), dos::file_survives),
        with("two_machines_run_side_by_side", dos, dos::two_machines),
        with("memtest_finds_no_error", have(&[file::MEMTEST]), loaders::memtest),
        with("the_bios_describes_the_apics", have(&[file::MEMTEST]), loaders::madt),
        with("grub_starts_from_cd", have(&[file::GRUB_CD]), loaders::grub_cd),
        with("grub_starts_from_floppy", have(&[file::GRUB_FLOPPY]), loaders::grub_floppy),
        with("isolinux_shows_hdt", have(&[file::ISOLINUX]), loaders::hdt),
        with("memdisk_boots_dos", dos && have(&[file::ISOLINUX]), loaders::memdisk),
        with("ipxe_gets_a_dhcp_answer", have(&[file::IPXE]), loaders::ipxe_pci),
        with("ipxe_drives_an_isa_card", have(&[file::IPXE]), loaders::ipxe_isa),
        with("boote_linux_gives_a_shell", guests::boote().is_some(), loaders::boote),
        with("debian_installer_asks_for_the_language", have(&[file::INSTALLER]), disks::installer),
        with("debian_boots_from_its_disk", have(&[file::DISK]) && tool("e2fsck"), disks::systemd),
        with("freedos_goes_on_from_any_snapshot", dos, snapshots::freedos),
        with("ipxe_goes_on_from_any_snapshot", have(&[file::IPXE]), snapshots::ipxe),
        with("debian_goes_on_from_any_snapshot", have(&[file::DISK]), snapshots::debian),
        with("a_damaged_snapshot_changes_nothing", dos, snapshots::damaged),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}

fn have(files: &[&str]) -> bool {
    files.iter().all(|f| guests::find(f).is_some()) && bios::firmware(Vec::new()).is_some()
}

/// Whether the host has a program.
fn tool(name: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).chain([PathBuf::from("/sbin")]).any(|d| d.join(name).is_file())
}

fn with(name: &'static str, present: bool, run: fn() -> Outcome) -> Trial {
    if !present {
        eprintln!(
            "SKIPPED: {name}: its media or tools are absent; `cargo xtask guests` prepares those that it can"
        );
    }
    Trial::test(name, run).with_ignored_flag(!present)
}

fn prepared(name: &str) -> PathBuf {
    guests::directory().join(name)
}

fn start(drives: &[Drive], mebibytes: u64) -> Result<Console, Failed> {
    Ok(Console::over(bios::machine(drives, mebibytes << 20)?, PATIENCE))
}

fn contains(what: &str, text: &str, wanted: &str) -> Outcome {
    if text.contains(wanted) { Ok(()) } else { Err(format!("{what} lacks {wanted:?}:\n{text}").into()) }
}
