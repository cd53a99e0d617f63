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
