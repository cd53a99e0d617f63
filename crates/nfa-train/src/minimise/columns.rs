//! An iteration as columns of a record.

use crate::minimise::iteration::Iteration;

/// Name, unit and meaning of each column.
pub const COLUMNS: [(&str, &str, &str); 13] = [
    ("value", "loss", "The loss and its penalty before the iteration."),
    ("gradient", "|g|", "The norm of the gradient along the iteration's directions; of arc the whole."),
    ("l", "1", "How many directions it looked along."),
    ("rank", "1", "The numerical rank of the loss's Hessian along the random ones, without decay."),
    ("curvature", "H", "The least eigenvalue of the Hessian along the directions, with decay."),
    ("sigma", "1", "sigma of its model."),
    ("length", "|W|", "The length of the step."),
    ("ratio", "1", "The decrease over what the model promised; empty where the trial lies outside the domain."),
    ("accepted", "1", "1 where the step was taken, else 0."),
    ("residual", "1", "The residual of the reduced problem, relative to its terms."),
    ("worst", "1", "The largest residual of all iterations so far."),
    (
        "work",
        "gradients",
        "Work so far: a gradient is 1, a value 1/3, a direction of a block 1, a product with the Hessian 2.",
    ),
    ("hessians", "1", "Full Hessians seen so far: the sum of (l/D)^2."),
];

/// The values of [`COLUMNS`], in their order.
pub fn values(iteration: &Iteration) -> [f64; 13] {
    [
        iteration.value,
        iteration.gradient,
        iteration.rows as f64,
        iteration.rank as f64,
        iteration.curvature,
        iteration.sigma,
        iteration.length,
        iteration.ratio,
        f64::from(u8::from(iteration.accepted)),
        iteration.residual,
        iteration.worst,
        iteration.work,
        iteration.hessians,
    ]
}
