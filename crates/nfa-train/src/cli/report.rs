//! `report`: what is made from the records of an experiment.

use std::path::{Path, PathBuf};

use crate::cli::session::Session;
use crate::cli::voice::out;
use crate::error::Result;
use crate::study::Study;

/// Rebuilds the reports of folders.
pub(crate) fn rebuild(session: &Session<'_>, folders: &[PathBuf]) -> Result<()> {
    for folder in folders {
        let study = crate::study::read(session.store, folder, session.registries)?;
        write(session, folder, &study)?;
        out(&folder.join("report.html").display().to_string());
    }
    Ok(())
}

/// Writes tables, figures and the page of a study.
pub(crate) fn write(session: &Session<'_>, folder: &Path, study: &Study) -> Result<()> {
    session.write(&folder.join("summary.csv"), &study.summary())?;
    if let Some(seeds) = crate::study::seeds::csv(study) {
        session.write(&folder.join("seeds.csv"), &seeds)?;
    }
    let checked = serde_json::to_string_pretty(&study.expectations).unwrap_or_default();
    session.write(&folder.join("expectations.json"), &(checked + "\n"))?;
    let plots = folder.join("plots");
    session.create(&plots)?;
    for (name, svg) in crate::report::figures(study) {
        session.write(&plots.join(name), &svg)?;
    }
    session.write(&folder.join("report.html"), &crate::report::html(study))
}
