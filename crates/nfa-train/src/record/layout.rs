//! What stands where in the folder of an experiment.

/// `plan.json`.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct PlanFile {
    /// The runs, in order.
    pub runs: Vec<PlanLine>,
}

/// One run of `plan.json`.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct PlanLine {
    /// Its id.
    pub id: String,
    /// Arm and grid values, in order.
    pub keys: Vec<(String, String)>,
    /// Its number of steps.
    pub steps: u64,
}

/// The schema of `sites.json`.
pub const SITES: &str = "nfa.sites/1";

/// `sites.json`: the layers of a run by name.
#[derive(Debug, serde::Deserialize)]
pub struct SitesFile {
    /// In the order of the columns' layers.
    pub sites: Vec<SiteLine>,
}

/// One site of `sites.json`.
#[derive(Clone, Debug, serde::Deserialize)]
pub struct SiteLine {
    /// Its name in the network.
    pub name: String,
    /// Whether its outputs are the network's.
    pub last: bool,
}
