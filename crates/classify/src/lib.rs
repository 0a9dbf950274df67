//! The third reading: what class an instruction is of, derived from what it does.
//!
//! A form ([`forms`]) runs through the monitor's own interpreter over complete states of a small model
//! ([`world`]), which answers its questions and writes down which they were ([`model`]). New paths lead to
//! further states, until every question was answered both ways or cannot be ([`explore`]). Popek and Goldberg's
//! definitions are predicates over pairs of such runs ([`predicates`]); what is existential comes with the pair
//! ([`witness`]). Innocuous bodies are read by an implementation of [`sem::Emit`] that notes the words they
//! use ([`innocuous`]).
#![forbid(unsafe_code)]

pub mod axes;
pub mod catalogue;
pub mod config;
pub mod derive;
pub mod explore;
pub mod forms;
pub mod innocuous;
mod layout;
pub mod ledger;
pub mod model;
pub mod predicates;
pub mod relocation;
mod tables;
pub mod witness;
pub mod world;
pub mod xed;

pub use config::Configuration;
pub use derive::{Class, Derivation, derive};
pub use forms::{CodeMode, Form};
pub use witness::Witness;
