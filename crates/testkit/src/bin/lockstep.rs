//! `cargo xtask lockstep`: a guest on two engines, compared as it goes.
#![forbid(unsafe_code)]

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use testkit::lockstep::guests::{Chosen, Start};
use testkit::lockstep::{Failure, Lockstep, MakeEngine, Notice, Options, Party, Report, maker};

const USAGE: &str = "\
usage: cargo xtask lockstep [OPTIONS]
  --guest NAME       debian (the default), freedos, memtest, embedded, random, or a file: a kernel or a medium
  --kernel FILE      a kernel instead, with --initrd FILE and --append TEXT
  --seed N           of the random guest: 0 if not given; its mode and CPU are by the seed as well
  --memory MIB       memory
  --sent TEXT        compare from where the guest has sent this by its first serial port; up to there the engine
                     runs alone
  --instructions N   how far to compare: 1000000000 if not given
  --every N          instructions from one comparison to the next: 10000 if not given
  --keep N           instructions after which a state to go back to is kept, at the earliest: 20000000 if not given
  --engine NAME      what runs beside the interpreter: jit (the default), jit-tagged (with tagged tables for
                     the shadow), or interpreter
exit codes: 0 no difference, 1 the states differ or the guest cannot be run, 2 bad use";

/// What the command line says.
struct Request {
    guest: Option<String>,
    kernel: Option<PathBuf>,
    initrd: Option<PathBuf>,
    append: Option<String>,
    seed: Option<u64>,
    memory: Option<u64>,
    sent: Option<String>,
    instructions: u64,
    engine: String,
    options: Options,
}

impl Default for Request {
    fn default() -> Request {
        Request {
            guest: None,
            kernel: None,
            initrd: None,
            append: None,
            seed: None,
            memory: None,
            sent: None,
            instructions: 1_000_000_000,
            engine: "jit".to_owned(),
            options: Options::default(),
        }
    }
}

fn number(option: &str, text: &str) -> Result<u64, String> {
    let digits = text.replace('_', "");
    digits.parse().map_err(|_| format!("{option} takes a number, and {text:?} is none"))
}

fn positive(option: &str, text: &str) -> Result<u64, String> {
    match number(option, text)? {
        0 => Err(format!("{option} takes a number above 0")),
        n => Ok(n),
    }
}

impl Request {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Request, String> {
        let mut request = Request::default();
        while let Some(option) = words.next() {
            let value = words.next();
            request.set(&option, value)?;
        }
        request.check()
    }

    fn set(&mut self, option: &str, value: Option<String>) -> Result<(), String> {
        let value = |()| value.ok_or_else(|| format!("{option} takes a value"));
        match option {
            "--guest" => self.guest = Some(value(())?),
            "--kernel" => self.kernel = Some(value(())?.into()),
            "--initrd" => self.initrd = Some(value(())?.into()),
            "--append" => self.append = Some(value(())?),
            "--sent" => self.sent = Some(value(())?),
            "--engine" => self.engine = value(())?,
            "--seed" => self.seed = Some(number(option, &value(())?)?),
            "--memory" => self.memory = Some(positive(option, &value(())?)?),
            "--instructions" => self.instructions = positive(option, &value(())?)?,
            "--every" => self.options.every = positive(option, &value(())?)?,
            "--keep" => self.options.keep = positive(option, &value(())?)?,
            _ => return Err(format!("there is no option {option:?}; --help names those that there are")),
        }
        Ok(())
    }

    fn check(self) -> Result<Request, String> {
        if self.kernel.is_some() && self.guest.is_some() {
            return Err("--guest and --kernel exclude each other".to_owned());
        }
        if self.kernel.is_none() && (self.initrd.is_some() || self.append.is_some()) {
            return Err("--initrd and --append go with --kernel".to_owned());
        }
        if self.seed.is_some() && self.guest.as_deref() != Some("random") {
            return Err("--seed goes with --guest random".to_owned());
        }
        let most = machine::Config::MOST_MEMORY >> 20;
        if self.memory.is_some_and(|m| m > most) {
            return Err(format!("--memory takes 1 to {most} MiB"));
        }
        Ok(self)
    }

    /// What is called what in the last line.
    fn name(&self) -> String {
        let kernel = self.kernel.as_ref().map(|k| k.display().to_string());
        kernel.or(self.guest.clone()).unwrap_or_else(|| "debian".to_owned())
    }

    fn guest(&self) -> Result<Chosen, String> {
        let memory = self.memory.map(|m| m << 20);
        if let Some(kernel) = &self.kernel {
            let append = self.append.as_deref().unwrap_or("console=ttyS0");
            return Chosen::kernel(kernel, self.initrd.as_deref(), append, memory.unwrap_or(64 << 20));
        }
        match self.name().as_str() {
            "random" => Ok(Chosen { start: Start::Random(self.seed.unwrap_or(0)), memory: 0 }),
            name => Chosen::by_name(name, memory),
        }
    }
}

/// Tells how far it is, on a terminal.
struct Progress {
    terminal: bool,
    start: Instant,
    last: Instant,
}

impl Progress {
    fn tell(&mut self, notice: Notice) {
        match notice {
            Notice::Doing(what) => {
                self.clear();
                eprintln!("lockstep: {what}");
            }
            Notice::Retired(count) if self.terminal && self.last.elapsed() > Duration::from_millis(200) => {
                self.last = Instant::now();
                let seconds = self.start.elapsed().as_secs_f64();
                eprint!("\r\x1b[K{} million instructions, {seconds:.0} s", count / 1_000_000);
                // a terminal that has gone does not matter
                let _ = std::io::stderr().flush();
            }
            Notice::Retired(_) => {}
        }
    }

    fn clear(&self) {
        if self.terminal {
            eprint!("\r\x1b[K");
        }
    }
}

fn summary(name: &str, report: &Report, time: Duration) -> String {
    let each = report.comparing.as_secs_f64() * 1e6 / report.comparisons.max(1) as f64;
    let end = report.ended.map_or_else(String::new, |e| format!(", ended with {e:?}"));
    format!(
        "lockstep: {name}, {} instructions{end}, {} comparisons of {each:.1} us, no difference, {:.0} s",
        report.retired,
        report.comparisons,
        time.as_secs_f64()
    )
}

fn run(request: &Request, guest: &Chosen, [first, second]: [MakeEngine; 2]) -> ExitCode {
    let now = Instant::now();
    let terminal = std::io::stderr().is_terminal();
    let mut progress = Progress { terminal, start: now, last: now };
    let first = Party { name: "interpreter".to_owned(), engine: first };
    let second = Party { name: request.engine.clone(), engine: second };
    let mut lockstep = Lockstep::new(guest, first, second, request.options);
    if let Some(text) = &request.sent {
        lockstep.start_when_sent(text.clone());
    }
    lockstep.on_notice(move |n| progress.tell(n));
    let result = lockstep.run(request.instructions);
    if terminal {
        eprint!("\r\x1b[K");
    }
    match result {
        Ok(report) => {
            println!("{}", summary(&request.name(), &report, now.elapsed()));
            return ExitCode::SUCCESS;
        }
        Err(Failure::Diverged(d)) => print!("lockstep: {}: {d}", request.name()),
        Err(Failure::Cannot(why)) => eprintln!("lockstep: {why}"),
    }
    ExitCode::FAILURE
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|w| w == "--help" || w == "-h") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let wanted = Request::parse(words.into_iter())
        .and_then(|r| Ok((r.guest()?, [maker("interpreter")?, maker(&r.engine)?], r)));
    match wanted {
        Ok((guest, engines, request)) => run(&request, &guest, engines),
        Err(why) => {
            eprintln!("lockstep: {why}");
            ExitCode::from(2)
        }
    }
}
