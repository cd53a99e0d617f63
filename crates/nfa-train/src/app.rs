//! The application: registries in, exit code out.

use std::process::ExitCode;
#[cfg(feature = "burn")]
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser;
use nfa_metrics::{Laws, Metrics};
use nfa_models::{AnyNetwork, Registry};

use crate::cli::session::Session;
use crate::cli::voice::{complain, out};
use crate::cli::{Cli, Command};
use crate::data::source::Source;
#[cfg(not(feature = "burn"))]
use crate::error::Error;
use crate::error::Result;
use crate::machine::disk::{Disk, Store};
use crate::registries::Registries;
use crate::train::loss::Loss;
use crate::train::solver::Solver;

/// Set by Ctrl-C: runs save their state and stop.
#[cfg(feature = "burn")]
static INTERRUPT: AtomicBool = AtomicBool::new(false);

/// The command line over some registries.
///
/// A user's crate adds its own models, laws, metrics, datasets, losses and solvers and calls
/// [`App::main`]: same commands, same reports, no fork. `examples/custom_model` is one to copy.
///
/// # Example
///
/// ```no_run
/// use nfa_train::App;
///
/// fn main() -> std::process::ExitCode {
///     // Specs of one's own in their places.
///     App::standard()
///         .models(|models| models.with::<nfa_models::MlpSpec>())
///         .data(|data| data.with::<nfa_train::data::digits::Digits>())
///         .laws(|laws| laws.with(nfa_metrics::laws::nfa::LAW))
///         .main()
/// }
/// ```
pub struct App {
    registries: Registries,
    store: Box<dyn Store>,
}

impl App {
    /// Everything built in, on the real file system.
    pub fn standard() -> Self {
        App { registries: Registries::standard(), store: Box::new(Disk) }
    }

    /// Changes the models.
    #[must_use]
    pub fn models(mut self, f: impl FnOnce(Registry<dyn AnyNetwork>) -> Registry<dyn AnyNetwork>) -> Self {
        self.registries.models = f(self.registries.models);
        self
    }

    /// Changes the datasets.
    #[must_use]
    pub fn data(mut self, f: impl FnOnce(Registry<dyn Source>) -> Registry<dyn Source>) -> Self {
        self.registries.data = f(self.registries.data);
        self
    }

    /// Changes the solvers.
    #[must_use]
    pub fn solvers(mut self, f: impl FnOnce(Registry<dyn Solver>) -> Registry<dyn Solver>) -> Self {
        self.registries.solvers = f(self.registries.solvers);
        self
    }

    /// Changes the losses.
    #[must_use]
    pub fn losses(mut self, f: impl FnOnce(Registry<dyn Loss>) -> Registry<dyn Loss>) -> Self {
        self.registries.losses = f(self.registries.losses);
        self
    }

    /// Changes the laws.
    #[must_use]
    pub fn laws(mut self, f: impl FnOnce(Laws) -> Laws) -> Self {
        self.registries.laws = f(self.registries.laws);
        self
    }

    /// Changes the metrics.
    #[must_use]
    pub fn metrics(mut self, f: impl FnOnce(Metrics) -> Metrics) -> Self {
        self.registries.metrics = f(self.registries.metrics);
        self
    }

    /// Works on another file system.
    #[must_use]
    pub fn store(mut self, store: Box<dyn Store>) -> Self {
        self.store = store;
        self
    }

    /// Reads the process's arguments, does what they say, and says how it went.
    pub fn main(self) -> ExitCode {
        crate::machine::allocator::keep_pages();
        let cli = Cli::parse();
        // A second Ctrl-C does not wait for the step to end. Without training nothing takes long.
        #[cfg(feature = "burn")]
        let _ = ctrlc::set_handler(|| {
            if INTERRUPT.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
        });
        match self.dispatch(&cli) {
            Ok(code) => ExitCode::from(code),
            Err(error) => {
                complain(&error, cli.voice);
                ExitCode::from(error.exit_code())
            }
        }
    }

    /// Does what a parsed command line says; returns the exit code.
    ///
    /// # Errors
    /// Wrong input, a machine that does not play along, or an interruption.
    pub fn dispatch(&self, cli: &Cli) -> Result<u8> {
        let (registries, store) = (&self.registries, self.store.as_ref());
        let session = Session {
            registries,
            store,
            voice: cli.voice,
            #[cfg(feature = "burn")]
            interrupt: &INTERRUPT,
        };
        match &cli.command {
            #[cfg(feature = "burn")]
            None => return crate::cli::run::flagship(&session),
            #[cfg(not(feature = "burn"))]
            None | Some(Command::Run { .. }) => return Err(Error::input(crate::cli::WITHOUT_BURN)),
            #[cfg(feature = "burn")]
            Some(Command::Run(args)) => return crate::cli::run::run(&session, args),
            #[cfg(feature = "burn")]
            Some(Command::Check(args)) => return crate::cli::run::check(&session, args),
            Some(Command::Measure(args)) => return session.measure(args),
            #[cfg(feature = "burn")]
            Some(Command::Bench { what }) => session.bench(what)?,
            Some(Command::Report { folders }) => crate::cli::report::rebuild(&session, folders)?,
            Some(Command::Ls { folder }) => crate::cli::ls::ls(&session, folder)?,
            Some(Command::Explain { kind }) => out(crate::cli::explain::explain(kind, registries)?.trim_end()),
            #[cfg(feature = "burn")]
            Some(Command::Init(args)) => out(crate::cli::init::starter(&session, args)?.trim_end()),
            Some(Command::Completions { shell }) => crate::cli::completions(*shell),
            Some(Command::List { what }) => crate::cli::list::list(&session, *what),
        }
        Ok(0)
    }
}
