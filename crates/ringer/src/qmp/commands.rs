//! The commands, over whatever controls a machine.

use super::{Arguments, QmpError};
use dev::keys::Key;
use serde_json::{Value, json};
use std::path::Path;

/// Milliseconds that a key is held where nothing is said.
const HOLD: i64 = 100;
/// The longest time that a key is held.
const MOST_HOLD: i64 = 60_000;

/// What the user did with keyboard or mouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    /// A key goes down or up.
    Key(Key, bool),
    /// A mouse button (bit of the mask) goes down or up.
    Button(u8, bool),
    /// The mouse moves: to the right, downwards.
    Move(i32, i32),
    /// The wheel turns towards the user.
    Wheel(i32),
}

/// How a picture is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Picture {
    /// Portable Network Graphics.
    Png,
    /// Portable pixmap.
    Ppm,
}

type Done = Result<(), QmpError>;

/// What the commands need of a machine.
pub(crate) trait Control {
    /// The machine runs.
    fn running(&self) -> bool;
    /// Stops or goes on.
    fn set_running(&mut self, on: bool);
    /// The process is to end.
    fn quit(&mut self);
    /// The reset button.
    fn reset(&mut self) -> Done;
    /// The power button.
    fn power_button(&mut self);
    /// Keys pressed together and released after so many milliseconds.
    fn send_keys(&mut self, keys: &[Key], hold: u64);
    /// One event.
    fn input(&mut self, event: Input);
    /// Writes the screen to a file.
    fn screendump(&mut self, to: &Path, how: Picture) -> Done;
    /// Writes physical memory to a file.
    fn save_memory(&mut self, at: u64, size: u64, to: &Path) -> Done;
    /// Saves the machine.
    fn save(&mut self, to: &Path) -> Done;
    /// Loads the machine.
    fn load(&mut self, from: &Path) -> Done;
    /// Takes the medium out of a drive, and puts another one in if it is named.
    fn change_medium(&mut self, device: &str, to: Option<&Path>) -> Done;
    /// The human monitor's `info NAME`; `None` for a name that it has not.
    fn info(&mut self, name: &str) -> Option<String>;
}

/// All commands by name.
const COMMANDS: [&str; 23] = [
    "qmp_capabilities",
    "query-version",
    "query-commands",
    "query-status",
    "query-name",
    "query-kvm",
    "query-cpus-fast",
    "stop",
    "cont",
    "quit",
    "system_reset",
    "system_powerdown",
    "send-key",
    "input-send-event",
    "screendump",
    "pmemsave",
    "snapshot-save",
    "snapshot-load",
    "human-monitor-command",
    "eject",
    "blockdev-change-medium",
    "query-target",
    "query-events",
];

/// The version that the greeting and query-version give.
pub(crate) fn version() -> Value {
    let number = |text: &str| text.parse::<u32>().unwrap_or(0);
    json!({
        "qemu": {
            "major": number(env!("CARGO_PKG_VERSION_MAJOR")),
            "minor": number(env!("CARGO_PKG_VERSION_MINOR")),
            "micro": number(env!("CARGO_PKG_VERSION_PATCH")),
        },
        "package": concat!("Ringer ", env!("CARGO_PKG_VERSION")),
    })
}

/// Carries a command out; its return value. What is refused has done nothing.
pub(crate) fn execute(name: &str, mut a: Arguments, c: &mut dyn Control) -> Result<Value, QmpError> {
    if name == "human-monitor-command" {
        let line = a.text("command-line")?;
        a.end()?;
        return human(&line, c).map(Value::from);
    }
    match query(name, c) {
        Some(value) => a.end().map(|()| value),
        None => act(name, a, c).map(|()| json!({})),
    }
}

/// Commands that have no arguments and change nothing.
fn query(name: &str, c: &dyn Control) -> Option<Value> {
    Some(match name {
        "query-version" => version(),
        "query-commands" => COMMANDS.iter().map(|n| json!({ "name": n })).collect(),
        "query-status" => status(c),
        "query-name" => json!({ "name": "ringer" }),
        "query-kvm" => json!({ "enabled": false, "present": false }),
        "query-target" => json!({ "arch": "i386" }),
        "query-events" => {
            let names = ["POWERDOWN", "RESET", "RESUME", "SHUTDOWN", "STOP"];
            names.iter().map(|n| json!({ "name": n })).collect()
        }
        "query-cpus-fast" => {
            json!([{ "cpu-index": 0, "qom-path": "/machine/cpu[0]", "thread-id": 0, "target": "i386" }])
        }
        _ => return None,
    })
}

fn status(c: &dyn Control) -> Value {
    let on = c.running();
    json!({ "status": if on { "running" } else { "paused" }, "singlestep": false, "running": on })
}

/// Commands that return nothing.
fn act(name: &str, a: Arguments, c: &mut dyn Control) -> Done {
    match name {
        "send-key" => return send_key(a, c),
        "input-send-event" => return send_events(a, c),
        "screendump" => return screendump(a, c),
        "pmemsave" => return save_memory(a, c),
        "eject" => return eject(a, c),
        "blockdev-change-medium" => return change_medium(a, c),
        "snapshot-save" => return c.save(Path::new(&only_file(a)?)),
        "snapshot-load" => return c.load(Path::new(&only_file(a)?)),
        "stop" | "cont" | "quit" | "system_reset" | "system_powerdown" => a.end()?,
        _ => return Err(QmpError::command_not_found(name)),
    }
    match name {
        "stop" => c.set_running(false),
        "cont" => c.set_running(true),
        "quit" => c.quit(),
        "system_powerdown" => c.power_button(),
        _ => return c.reset(),
    }
    Ok(())
}

/// The one argument of a command that takes a file.
fn only_file(mut a: Arguments) -> Result<String, QmpError> {
    let name = a.text("filename")?;
    a.end()?;
    Ok(name)
}

/// A KeyValue: a QKeyCode, or a number.
fn key(a: &mut Arguments) -> Result<Key, QmpError> {
    match a.text("type")?.as_str() {
        "qcode" => {
            let name = a.text("data")?;
            let unknown = || QmpError::generic(format!("Parameter 'data' does not accept value '{name}'"));
            Key::from_qcode(&name).ok_or_else(unknown)
        }
        "number" => {
            let n = a.number("data")?;
            let unknown = || QmpError::generic(format!("there is no key with the number {n}"));
            u32::try_from(n).ok().and_then(Key::from_number).ok_or_else(unknown)
        }
        other => Err(QmpError::generic(format!("Parameter 'type' does not accept value '{other}'"))),
    }
}

fn send_key(mut a: Arguments, c: &mut dyn Control) -> Done {
    let list = a.list("keys")?;
    let keys = list.iter().map(|v| key(&mut Arguments::new(Some(v))?)).collect::<Result<Vec<_>, _>>()?;
    let hold = a.optional_number("hold-time")?.unwrap_or(HOLD);
    a.end()?;
    if !(0..=MOST_HOLD).contains(&hold) {
        return Err(QmpError::generic("Parameter 'hold-time' expects a value between 0 and 60000"));
    }
    c.send_keys(&keys, hold as u64);
    Ok(())
}

fn send_events(mut a: Arguments, c: &mut dyn Control) -> Done {
    drop(a.optional_text("device")?);
    a.optional_number("head")?;
    let list = a.list("events")?;
    a.end()?;
    let events = list.iter().map(|v| event(&mut Arguments::new(Some(v))?)).collect::<Result<Vec<_>, _>>()?;
    events.into_iter().for_each(|e| c.input(e));
    Ok(())
}

fn event(a: &mut Arguments) -> Result<Input, QmpError> {
    let kind = a.text("type")?;
    let mut data = a.object("data")?;
    match kind.as_str() {
        "key" => {
            let down = data.truth("down")?;
            Ok(Input::Key(key(&mut data.object("key")?)?, down))
        }
        "btn" => button(&data.text("button")?, data.truth("down")?),
        "rel" => {
            let value = data.number("value")?.clamp(-32_768, 32_767) as i32;
            match data.text("axis")?.as_str() {
                "x" => Ok(Input::Move(value, 0)),
                "y" => Ok(Input::Move(0, value)),
                other => Err(QmpError::generic(format!("Parameter 'axis' does not accept value '{other}'"))),
            }
        }
        "abs" => Err(QmpError::generic("the machine has no device with absolute coordinates")),
        other => Err(QmpError::generic(format!("Parameter 'type' does not accept value '{other}'"))),
    }
}

fn button(name: &str, down: bool) -> Result<Input, QmpError> {
    Ok(match name {
        "left" => Input::Button(1, down),
        "right" => Input::Button(2, down),
        "middle" => Input::Button(4, down),
        "side" => Input::Button(8, down),
        "extra" => Input::Button(16, down),
        "wheel-up" => Input::Wheel(if down { -1 } else { 0 }),
        "wheel-down" => Input::Wheel(i32::from(down)),
        other => {
            return Err(QmpError::generic(format!("Parameter 'button' does not accept value '{other}'")));
        }
    })
}

fn screendump(mut a: Arguments, c: &mut dyn Control) -> Done {
    let to = a.text("filename")?;
    let how = match a.optional_text("format")?.as_deref() {
        None | Some("ppm") => Picture::Ppm,
        Some("png") => Picture::Png,
        Some(other) => {
            return Err(QmpError::generic(format!("Parameter 'format' does not accept value '{other}'")));
        }
    };
    a.end()?;
    c.screendump(Path::new(&to), how)
}

fn save_memory(mut a: Arguments, c: &mut dyn Control) -> Done {
    let (at, size, to) = (a.number("val")?, a.number("size")?, a.text("filename")?);
    a.end()?;
    let (Ok(at), Ok(size)) = (u64::try_from(at), u64::try_from(size)) else {
        return Err(QmpError::generic("'val' and 'size' are not negative"));
    };
    c.save_memory(at, size, Path::new(&to))
}

fn eject(mut a: Arguments, c: &mut dyn Control) -> Done {
    let device = a.text("device")?;
    // there is no lock here that force would have to break
    a.optional_truth("force")?;
    a.end()?;
    c.change_medium(&device, None)
}

fn change_medium(mut a: Arguments, c: &mut dyn Control) -> Done {
    let (device, to) = (a.text("device")?, a.text("filename")?);
    if let Some(format) = a.optional_text("format")?.filter(|f| f != "raw") {
        return Err(QmpError::generic(format!("Unknown driver '{format}'")));
    }
    a.end()?;
    c.change_medium(&device, Some(Path::new(&to)))
}

/// The human monitor: `info`, and changing media.
fn human(line: &str, c: &mut dyn Control) -> Result<String, QmpError> {
    let words: Vec<&str> = line.split_whitespace().collect();
    Ok(match words[..] {
        ["info", name] => c.info(name).unwrap_or_else(|| format!("unknown command: 'info {name}'\r\n")),
        ["info"] => "info mem -- show the active virtual memory mappings\r\ninfo pic -- show PIC state\r\n\
                     info registers -- show the cpu registers\r\ninfo status -- show the current VM status\r\n"
            .to_owned(),
        ["eject", device] => told(c.change_medium(device, None)),
        ["change", device, file] => told(c.change_medium(device, Some(Path::new(file)))),
        [] => String::new(),
        _ => format!("unknown command: '{}'\r\n", words[0]),
    })
}

/// What the human monitor prints of a command that may fail.
fn told(done: Done) -> String {
    done.map_or_else(|e| format!("Error: {e}\r\n"), |()| String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes down what is asked of it.
    #[derive(Default)]
    struct Fake {
        paused: bool,
        log: Vec<String>,
    }

    impl Control for Fake {
        fn running(&self) -> bool {
            !self.paused
        }
        fn set_running(&mut self, on: bool) {
            self.paused = !on;
        }
        fn quit(&mut self) {
            self.log.push("quit".to_owned());
        }
        fn reset(&mut self) -> Done {
            Err(QmpError::generic("no"))
        }
        fn power_button(&mut self) {
            self.log.push("power".to_owned());
        }
        fn send_keys(&mut self, keys: &[Key], hold: u64) {
            let names: Vec<&str> = keys.iter().map(|k| k.name()).collect();
            self.log.push(format!("{} {hold}", names.join("-")));
        }
        fn input(&mut self, event: Input) {
            self.log.push(format!("{event:?}"));
        }
        fn screendump(&mut self, to: &Path, how: Picture) -> Done {
            self.log.push(format!("{} {how:?}", to.display()));
            Ok(())
        }
        fn save_memory(&mut self, at: u64, size: u64, _: &Path) -> Done {
            self.log.push(format!("{at} {size}"));
            Ok(())
        }
        fn save(&mut self, _: &Path) -> Done {
            Ok(())
        }
        fn load(&mut self, _: &Path) -> Done {
            Ok(())
        }
        fn change_medium(&mut self, device: &str, to: Option<&Path>) -> Done {
            self.log.push(format!("{device} {to:?}"));
            if device == "floppy0" { Ok(()) } else { Err(QmpError::device_not_found(device)) }
        }
        fn info(&mut self, name: &str) -> Option<String> {
            (name == "pic").then(|| "pic0".to_owned())
        }
    }

    fn run(c: &mut Fake, name: &str, arguments: Value) -> Result<Value, String> {
        let a = Arguments::new(Some(&arguments)).map_err(|e| e.to_string())?;
        execute(name, a, c).map_err(|e| e.to_string())
    }

    #[test]
    fn commands_reach_the_machine() {
        let mut c = Fake::default();
        let keys =
            json!({ "keys": [{ "type": "qcode", "data": "ctrl" }, { "type": "number", "data": 0x1e }] });
        assert_eq!(run(&mut c, "send-key", keys), Ok(json!({})));
        assert_eq!(run(&mut c, "stop", json!({})), Ok(json!({})));
        assert_eq!(run(&mut c, "query-status", json!({})).expect("status")["status"], "paused");
        let dump = json!({ "filename": "/x", "format": "png" });
        assert_eq!(run(&mut c, "screendump", dump), Ok(json!({})));
        let events = json!({ "events": [{ "type": "rel", "data": { "axis": "y", "value": -3 } }] });
        assert_eq!(run(&mut c, "input-send-event", events), Ok(json!({})));
        assert_eq!(
            run(&mut c, "human-monitor-command", json!({ "command-line": "info pic" })),
            Ok(json!("pic0"))
        );
        let change = json!({ "device": "floppy0", "filename": "/b" });
        assert_eq!(run(&mut c, "blockdev-change-medium", change), Ok(json!({})));
        let line = json!({ "command-line": "change floppy9 /c" });
        assert_eq!(
            run(&mut c, "human-monitor-command", line),
            Ok(json!("Error: Device 'floppy9' not found\r\n"))
        );
        let log = ["ctrl-a 100", "/x Png", "Move(0, -3)", "floppy0 Some(\"/b\")", "floppy9 Some(\"/c\")"];
        assert_eq!(c.log, log);
    }

    #[test]
    fn errors_are_worded_as_qemus() {
        let mut c = Fake::default();
        let cases = [
            ("nonsense", json!({}), "The command nonsense has not been found"),
            ("screendump", json!({}), "Parameter 'filename' is missing"),
            (
                "screendump",
                json!({ "filename": 3 }),
                "Invalid parameter type for 'filename', expected: string",
            ),
            ("stop", json!({ "x": 1 }), "Parameter 'x' is unexpected"),
            (
                "send-key",
                json!({ "keys": [{ "type": "qcode", "data": "what" }] }),
                "Parameter 'data' does not accept value 'what'",
            ),
            ("system_reset", json!({}), "no"),
            ("quit", json!({ "now": true }), "Parameter 'now' is unexpected"),
            ("screendump", json!({ "filename": "/x", "head": 1 }), "Parameter 'head' is unexpected"),
        ];
        for (name, arguments, error) in cases {
            assert_eq!(run(&mut c, name, arguments), Err(error.to_owned()));
        }
        assert!(!c.paused && c.log.is_empty(), "what is refused is not done");
        let all = run(&mut c, "query-commands", json!({})).expect("a list");
        for name in all.as_array().expect("a list").iter().filter_map(|v| v["name"].as_str()) {
            let known = run(&mut c, name, json!({ "none": 0 }))
                != Err(format!("The command {name} has not been found"));
            assert!(known || name == "qmp_capabilities", "{name}");
        }
    }
}
