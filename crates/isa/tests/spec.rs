//! The specifications of x86: coverage and verdicts.
use isa::spec::{Configuration, Specs, Theorem, prove};

#[test]
fn loads() {
    for name in ["ia32", "ia32-pentium", "x86-64"] {
        let isa = Specs::embedded().isa(name).unwrap_or_else(|e| panic!("{e}"));
        let v = prove(&isa, &Configuration::default_of(&isa), Theorem::Virtualizable);
        println!("{name} {:?} {} {}", v.holds, isa.forms.len(), v.violations.len());
    }
}
