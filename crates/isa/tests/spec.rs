use isa::spec::*;
#[test]
fn loads() {
    let specs = Specs::embedded();
    for name in specs.names() {
        let isa = specs.isa(name).unwrap_or_else(|e| panic!("{e}"));
        for t in Theorem::ALL { for v in prove_levels(&isa, &Configuration::default_of(&isa), t) {
        println!("{name} {} T{} {:?} {:?}", v.levels, t.number(), v.holds, v.violations.iter().map(|x| (&x.name)).collect::<Vec<_>>());
        }}
    }
}
