//! QEMU's part: the same image, and the picture that it dumps.

use crate::guest::DONE;
use crate::picture::Picture;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) const PROGRAM: &str = "qemu-system-i386";
/// After which a guest counts as hung.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running QEMU, which ends when this goes.
pub(crate) struct Qemu {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    console: PathBuf,
    dump: PathBuf,
}

impl Drop for Qemu {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

impl Qemu {
    /// Starts an image; its files go to `directory`.
    pub(crate) fn start(image: &Path, directory: &Path) -> Result<Qemu, String> {
        let (console, dump) = (directory.join("console"), directory.join("dump.ppm"));
        let mut child = Command::new(PROGRAM)
            .args(["-accel", "tcg", "-m", "32", "-nodefaults", "-display", "none", "-vga", "std"])
            .args(["-boot", "order=a", "-qmp", "stdio"])
            .arg("-drive")
            .arg(format!("if=floppy,format=raw,snapshot=on,file={}", image.display()))
            .arg("-debugcon")
            .arg(format!("file:{}", console.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("{PROGRAM}: {e}"))?;
        let to = child.stdin.take().ok_or("no pipe")?;
        let from = BufReader::new(child.stdout.take().ok_or("no pipe")?);
        let mut qemu = Qemu { child, to, from, console, dump };
        qemu.execute(r#"{"execute":"qmp_capabilities"}"#)?;
        Ok(qemu)
    }

    /// Sends a command and waits for its answer.
    fn execute(&mut self, command: &str) -> Result<(), String> {
        writeln!(self.to, "{command}").map_err(|e| e.to_string())?;
        loop {
            let mut line = String::new();
            if self.from.read_line(&mut line).map_err(|e| e.to_string())? == 0 {
                return Err(format!("{PROGRAM} ended at {command}"));
            }
            if line.starts_with(r#"{"return""#) {
                return Ok(());
            }
            if line.starts_with(r#"{"error""#) {
                return Err(line);
            }
        }
    }

    /// Waits until the guest has drawn.
    pub(crate) fn wait(&mut self) -> Result<(), String> {
        let until = Instant::now() + PATIENCE;
        while !std::fs::read(&self.console).is_ok_and(|c| c.ends_with(DONE)) {
            if Instant::now() > until {
                return Err("the guest does not draw".to_owned());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// The picture on the screen.
    pub(crate) fn picture(&mut self) -> Result<Picture, String> {
        let command =
            format!(r#"{{"execute":"screendump","arguments":{{"filename":"{}"}}}}"#, self.dump.display());
        self.execute(&command)?;
        let file = std::fs::read(&self.dump).map_err(|e| e.to_string())?;
        Picture::from_ppm(&file).ok_or_else(|| "an incomplete picture".to_owned())
    }
}
