//! Figures of an experiment's own, and formulas in the keys of its grid, from file to report.

use crate::binary::{Folder, SMALL};
use crate::command_line::{refused, well_formed};

/// An unbalanced linear network with weight decay, whose imbalance falls on one curve of λt.
const COLLAPSE: &str = r#"name = "collapse"
[model]
kind = "mlp"
depth = 2
width = 6
init = { kind = "gaussian", scale = 0.6 }
[data]
kind = "linear_teacher"
inputs = 5
outputs = 3
samples = 30
spectrum = [1.0, 0.3]
[solver]
kind = "gd"
lr = 0.05
steps = 600
[probe]
at = { log = 30 }
[[arm]]
name = "decay"
grid = { "solver.weight_decay" = [0.01, 0.03, 0.1] }
[[arm]]
name = "step"
"model.init" = { kind = "balanced", spectrum = [0.9, 0.5] }
"solver.time" = 8.0
grid = { "solver.lr" = [0.01, 0.02, 0.04, 0.08], seed = [0, 1] }

[[expect]]
metric = "imbalance_ratio.layer0"
where = { arm = "decay" }
at = "every"
law = "exp(2*t*log(1 - solver.lr*solver.weight_decay))"
within = "2%"

[[plot]]
kind = "curve"
title = "One curve"
x = "lambda_t"
y = "imbalance_ratio.layer0"
lines = "solver.weight_decay"
theory = "exp(-2*x)"
log = "y"
where = { arm = "decay" }

[[plot]]
kind = "curve"
x = "solver.lr"
y = "nfa.one_minus_cosine.layer0"
theory = "c*lr^2"
log = "xy"
where = { arm = "step" }
caption = "The defect is of second order in the step."
"#;

#[test]
fn curves_carry_theory_as_a_line() {
    let folder = Folder::with(COLLAPSE);
    folder.run(&["check", "spec.toml", "--out", "out"]).expect(0);
    let page = folder.text("out/collapse/report.html");
    let finding = page.split("imbalance_ratio.layer0 lies within ").nth(1).expect("the caption is measured");
    let percent: f64 = finding.split_whitespace().next().unwrap().parse().unwrap();
    assert!(percent < 5.0 && finding.contains("at all 84 points of 3 runs"), "{}", &finding[..120]);
    assert!(page.contains("The defect is of second order in the step."));
    let second = page.split("Measured: nfa.one_minus_cosine.layer0 ").nth(1).unwrap();
    assert!(
        second.starts_with("lies within") && second.contains("at all 4 points of 8 runs in the mean over seeds"),
        "{}",
        &second[..120]
    );
    for name in ["one-curve", "plot-2"] {
        let svg = folder.text(&format!("out/collapse/plots/{name}.svg"));
        well_formed(&svg, name);
        assert!(svg.contains("ray mine"), "{name} has no theory");
    }
    // Both are on the page, beside the fan.
    assert!(page.find("id=\"fan\"") < page.find("id=\"one-curve\"") && page.contains("id=\"plot-2\""));
}

/// Two points of unequal frequency and size of target: for p = 1/10 and 9/10, s on both sides of
/// the borders s = 1 and s = sqrt((1 - p)/p) (1/3 and 3).
const PHASES: &str = r#"name = "phases"
[model]
kind = "mlp"
depth = 2
width = 20
activation = "relu"
init = { kind = "gaussian", scale = 1e-4 }
[data]
kind = "two_points"
share = 0.5
ratio = 1
[solver]
kind = "gd"
lr = 0.1
steps = 20000
[probe]
at = { log = 5 }
[grid]
"data.share" = [0.1, 0.9]
"data.ratio" = [0.5, 2, 4]

# Pooled to its mean, diag(s, 1) is |s - 1|/sqrt(2) away, where the AGOP has the other order.
[[expect]]
metric = "nfa.parts.order.layer0"
equals = "abs(data.ratio-1)/sqrt(2*data.ratio^2+2) * max(0, -log(data.ratio)*log(data.share*data.ratio^2/(1-data.share))/abs(log(data.ratio)*log(data.share*data.ratio^2/(1-data.share))))"
within = 0.002

[[plot]]
kind = "map"
title = "Phases"
x = "data.share"
y = "data.ratio"
value = "verdict"
boundary = [1, "sqrt((1-x)/x)"]
log = "y"

[[plot]]
kind = "map"
title = "Order"
x = "data.share"
y = "data.ratio"
value = "nfa.parts.order.layer0"
boundary = "log(y) * log(x*y^2/(1-x))"
log = "y"
"#;

#[test]
fn maps_carry_theory_as_a_border() {
    let folder = Folder::with(PHASES);
    folder.run(&["check", "spec.toml", "--out", "out"]).expect(0);
    let page = folder.text("out/phases/report.html");
    let found =
        "nfa.verdict.layer0: fails in 2 of 2 cells between theory\u{2019}s lines; holds in 4 of 4 cells outside them.";
    assert!(page.contains(found));
    // (s - 1)/sqrt(2 s² + 2) = 0.316 for s = 2, and as much for s = 1/2.
    assert!(
        page.contains("nfa.parts.order.layer0: 0.32 in 2 cells where log(y) · log(x·y²/(1−x)) &lt; 0; 0 in 4 cells")
    );
    for name in ["phases", "order"] {
        let svg = folder.text(&format!("out/phases/plots/{name}.svg"));
        well_formed(&svg, name);
        assert!(svg.contains("class=\"border\""), "{name} has no border");
    }
    // A report is made from the file beside the records: plots may be changed there.
    let changed = folder.text("out/phases/experiment.toml").replace("title = \"Phases\"", "title = \"Changed\"");
    folder.write("out/phases/experiment.toml", changed);
    folder.run(&["report", "out/phases"]).expect(0);
    assert!(folder.has("out/phases/plots/changed.svg"));
}

#[test]
fn plots_and_formulas_are_checked_before_anything_runs() {
    let plot = |text: &str| format!("{SMALL}[[plot]]\nkind = \"curve\"\n{text}\n");
    let step = |text: &str| plot(&format!("x = \"step\"\ny = \"loss\"\n{text}"));
    refused(&plot("x = \"step\"\ny = \"losss\""), &[], &["spec.toml:26:1: plot.0.y", "did you mean `loss`?"]);
    refused(&plot("x = \"solver.rl\"\ny = \"loss\""), &[], &["spec.toml:25:1: plot.0.x", "did you mean `solver.lr`?"]);
    refused(&plot("x = \"model.kind\"\ny = \"loss\""), &[], &["spec.toml:25:1", "where a number is needed"]);
    refused(&step("lines = \"model.dpth\""), &[], &["spec.toml:27:1", "did you mean `model.depth`?"]);
    refused(&step("theory = \"model.widht*x\""), &[], &["spec.toml:27:1", "did you mean `model.width`?"]);
    refused(&step("theory = \"lamda*x\""), &[], &["spec.toml:27:1", "did you mean `lambda`?"]);
    refused(&step("where = { \"solver.lrr\" = 1 }"), &[], &["spec.toml:27:", "did you mean `solver.lr`?"]);
    refused(&step("panel = \"arm\""), &[], &["spec.toml:27:1", "did you mean `panels`?"]);
    let expect = |text: &str| format!("{SMALL}[[expect]]\nmetric = \"loss\"\n{text}\n");
    refused(&expect("law = \"data.noice\""), &[], &["spec.toml:25:1", "did you mean `data.noise`?"]);
    refused(&expect("min = 0\nwhere = { \"model.dept\" = 3 }"), &[], &["spec.toml:26:", "did you mean `model.depth`?"]);
}

#[test]
fn explain_has_what_plots_may_say() {
    let folder = Folder::new();
    let text = folder.run(&["explain", "plot"]).expect(0).stdout;
    let blocks: Vec<&str> = text.split("[[plot]]").skip(1).collect();
    let block = |i: usize| blocks[i].split("\n\n").next().unwrap().to_string();
    // Both examples are read as they stand, on runs that have their keys.
    let curve = format!("{COLLAPSE}\n[[plot]]{}", block(0));
    folder.write("curve.toml", curve);
    folder.run(&["run", "curve.toml", "--dry-run"]).expect(0);
    folder.write("map.toml", format!("{PHASES}\n[[plot]]{}", block(1)));
    folder.run(&["run", "map.toml", "--dry-run"]).expect(0);
}
