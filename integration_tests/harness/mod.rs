//! What tests are made of: an account on a socket ([`World`]), words of the protocol ([`words`]), a process under the eyes of
//! a watchdog ([`process`]), what came of it ([`Run`]), an account as ChartMogul would export it ([`Export`]),
//! and a sync of everything ([`company`]).

pub(crate) mod company;
mod export;
mod laws;
mod process;
mod quiet;
mod run;
mod secrets;
mod side_by_side;
pub(crate) mod words;
mod world;

pub(crate) use export::{COUNTRIES, Export, FIRST_CONNECTOR, STATES};
pub(crate) use process::{ByHand, Command, WATCHDOG};
pub(crate) use run::Run;
pub(crate) use side_by_side::side_by_side;
pub(crate) use words::{Stream, complete, namespaced, record, state, status, stream};
pub(crate) use world::{Sync, World, on_the_side, options};
