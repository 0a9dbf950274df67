//! Random 32-bit user code, the host CPU against the engines.
//!
//! `RINGER_SEED` and `RINGER_CASES` choose the tests, `RINGER_LENGTH` the most instructions each.

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
#[test]
#[ignore = "skipped: the oracle is an x86-64 Linux host, and this is none"]
fn integer_code_against_the_host() {}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[test]
fn integer_code_against_the_host() {
    compare(Box::new(interp::Interpreter::default()), 300_000);
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[test]
fn compiled_integer_code_against_the_host() {
    // each case is compiled: half a millisecond
    compare(Box::new(jit::Jit::new(0).expect("the host has a JIT")), 60_000);
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[test]
fn quickly_compiled_integer_code_against_the_host() {
    let quick = jit::Config { hot: 0, warm: Some(0), ..jit::Config::default() };
    compare(Box::new(jit::Jit::with(quick).expect("the host has a JIT")), 150_000);
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn compare(engine: Box<dyn cpu::Engine>, cases: u64) {
    use testkit::differ::{Pair, case, listing};
    use testkit::random::Random;
    let number =
        |name: &str, default: u64| std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default);
    let seed = number("RINGER_SEED", 20_030_219);
    let (cases, longest) = (number("RINGER_CASES", cases), number("RINGER_LENGTH", 6) as u32);
    println!("RINGER_SEED={seed} RINGER_CASES={cases} RINGER_LENGTH={longest}");
    let mut pair = Pair::new(seed, engine).expect("the host runs 32-bit code");
    let mut r = Random::new(seed);
    let mut failures = Vec::new();
    for n in 0..cases {
        let case = case(&mut r, longest);
        if let Some(why) = pair.run(&case) {
            let registers = &case.registers;
            failures.push(format!(
                "#{n} {}: {why}\n    {:02x?} {registers:x?}",
                listing(&case.code),
                case.code
            ));
        }
        if failures.len() >= number("RINGER_FAILURES", 20) as usize {
            break;
        }
    }
    assert!(failures.is_empty(), "seed {seed}:\n{}", failures.join("\n"));
}
