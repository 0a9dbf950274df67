//! Specifications of instruction sets, and Popek and Goldberg's theorems over them.
//!
//! An ISA is a folder of `isa-specs`: `isa.toml` says what it is and under which configurations it is
//! looked at, and the other files hold its instructions, a *form* each, with a *case* for each
//! configuration that makes a difference. `isa-specs/README.md` documents the files and the rules by
//! which instructions are classified.
//!
//! ```
//! use isa::spec::{Configuration, Holds, Specs, Theorem, prove};
//! let m68000 = Specs::embedded().isa("m68000").unwrap();
//! let verdict = prove(&m68000, &Configuration::default_of(&m68000), Theorem::Virtualizable);
//! assert_eq!(verdict.holds, Holds::No);
//! assert_eq!(verdict.violations[0].name, "MOVE from SR");
//! ```

mod config;
mod cover;
mod embedded;
mod error;
mod expr;
mod form;
mod load;
mod manifest;
mod rows;
mod theorem;
mod toml_file;

pub use config::Configuration;
pub use cover::Pair;
pub use error::{LoadError, SpecError, UnknownName};
pub use expr::Expr;
pub use form::{Case, Exit, Form, Kind};
pub use load::{Isa, Specs};
pub use manifest::{Bit, Levels};
pub use theorem::{Holds, Repair, Theorem, Verdict, Violation, prove, prove_levels};
