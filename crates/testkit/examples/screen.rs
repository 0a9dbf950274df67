//! screen MEDIA(f:|d:|c:PATH)... [n:pci|isa] [SECONDS | "text typed" | k:CHORD | s:PNG | w:text]...
use machine::*;
use std::path::Path;
fn main() {
    let mut args = std::env::args().skip(1).peekable();
    let mem: u64 = std::env::var("MEM").ok().and_then(|m| m.parse().ok()).unwrap_or(64);
    let config =
        Config { memory: mem << 20, model: cpu::CpuModel::N270, deterministic: true, epoch: 946_684_800 };
    let mut m = Machine::new(config, Box::new(interp::Interpreter::default())).unwrap();
    let open = |p: &str| {
        let r = disk::RawImage::open(Path::new(p), disk::Access::ReadOnly, Default::default()).unwrap();
        Box::new(disk::Overlay::new(Box::new(r))) as Box<dyn dev::Block>
    };
    let mut order = vec![];
    let mut n = 0;
    while let Some(a) = args.peek() {
        if let Some(p) = a.strip_prefix("f:") {
            m.board().insert_floppy(n, open(p));
            n += 1;
            order.push(BootDevice::Floppy);
        } else if let Some(p) = a.strip_prefix("c:") {
            m.board().attach_cdrom(2, Some(open(p)));
            order.push(BootDevice::Cdrom);
        } else if let Some(p) = a.strip_prefix("d:") {
            m.board().attach_disk(0, open(p));
            order.push(BootDevice::Disk);
        } else if let Some(kind) = a.strip_prefix("n:") {
            let kind = if kind == "isa" { NicKind::Isa } else { NicKind::Pci };
            m.board().attach_nic(Nic { kind, mac: Nic::MAC });
        } else {
            break;
        }
        args.next();
    }
    m.boot(&Image::Firmware(testkit::bios::firmware(order).unwrap())).unwrap();
    let mut t = Typist::default();
    let mut serial = vec![];
    let mut debug = vec![];
    let mut go = |m: &mut Machine, t: &mut Typist, secs: f64, stop: &mut dyn FnMut(&mut Machine) -> bool| {
        let until = m.now() + (secs * 1e9) as u64;
        while m.now() < until && !stop(m) {
            t.pump(m);
            let e = m.run(m.cpu().retired + 2_000_000);
            m.serial_output(0, &mut serial);
            m.board().debug_output(&mut debug);
            match e {
                Exit::Limit | Exit::Slice => {}
                Exit::Reset => m.reset(),
                e => {
                    println!("{e:?}");
                    break;
                }
            }
        }
        if std::env::var("DBG").is_ok() {
            println!("{}", String::from_utf8_lossy(&debug));
            debug.clear();
        }
        if !serial.is_empty() {
            println!("-- serial: {}", String::from_utf8_lossy(&serial));
            serial.clear();
        }
    };
    let text = |m: &mut Machine| {
        let Some(s) = m.text() else { return "(graphics)".to_owned() };
        (0..s.rows).map(|r| s.row(r) + "\n").collect::<String>()
    };
    for a in args {
        if let Some(p) = a.strip_prefix("s:") {
            std::fs::write(p, picture::png(&m.frame())).unwrap();
        } else if let Ok(s) = a.parse::<f64>() {
            go(&mut m, &mut t, s, &mut |_| false);
        } else if let Some(chord) = a.strip_prefix("k:") {
            t.chord(&chord.split('-').filter_map(dev::keys::Key::from_qcode).collect::<Vec<_>>());
        } else if let Some(w) = a.strip_prefix("w:") {
            go(&mut m, &mut t, 600.0, &mut |m| text(m).contains(w));
        } else {
            t.text(&a.replace("\\n", "\n"));
            while !t.is_idle() {
                go(&mut m, &mut t, 0.05, &mut |_| false);
            }
        }
        println!(
            "== {:.1}s {} MI {}\n{}",
            m.now() as f64 / 1e9,
            m.cpu().retired / 1_000_000,
            a,
            text(&mut m).trim_end()
        );
    }
}
