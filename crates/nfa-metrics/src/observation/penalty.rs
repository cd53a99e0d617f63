//! How weight decay acted on a map's weights.

/// How weight decay acted on a map's weights while they were trained.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Penalty {
    /// Nobody said.
    #[default]
    Unknown,
    /// Not at all.
    None,
    /// As the gradient of (λ/2)|W|²: gd, sgd, momentum, Adam.
    Coupled(f64),
    /// Beside the step: AdamW, Muon.
    Decoupled(f64),
}

impl Penalty {
    /// λ of the penalty whose stationary points are approached.
    ///
    /// # Errors
    /// Why there is none: what laws of stationary points are refused with, in runs and in `measure` alike.
    pub fn lambda(self) -> Result<f64, &'static str> {
        match self {
            Penalty::Coupled(lambda) if lambda > 0.0 => Ok(lambda),
            Penalty::Coupled(_) | Penalty::None => {
                Err("no weight decay: without lambda there is no FACT = -W^T (dL/dW) / lambda")
            }
            Penalty::Decoupled(_) => Err("decoupled weight decay (AdamW, Muon): its fixed points are not those of a \
                                       penalised loss, so lambda W + dL/dW = 0 is not approached; use a coupled one"),
            Penalty::Unknown => Err("how weight decay acted in training is not known"),
        }
    }
}
