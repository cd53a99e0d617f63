//! Intervals in training: over the inputs at every probe, and between the seeds of a grid.

use crate::binary::Folder;

const SPEC: &str = r#"name = "intervals"
[model]
kind = "mlp"
depth = 2
width = 8
activation = "relu"
init = { kind = "gaussian", scale = 1.0 }
[data]
kind = "csv"
path = "table.csv"
target = ["y", "z"]
[solver]
kind = "gd"
lr = 0.05
steps = 40
[probe]
at = { steps = [20] }
interval = "inputs"
[grid]
seed = [0, 1, 2, 3]
"#;

/// 60 rows of four inputs and two targets.
fn table() -> (String, String) {
    let x = |i: usize, j: usize| ((i * 4 + j) as f64 * 1.7).sin() * (1.0 + j as f64);
    let row = |i: usize| (0..4).map(|j| x(i, j).to_string()).collect::<Vec<_>>().join(",");
    let rows: Vec<String> = (0..60).map(row).collect();
    let with = |i: usize| format!("{},{},{}", rows[i], x(i, 0) * x(i, 1), x(i, 2));
    let table: Vec<String> = (0..60).map(with).collect();
    (format!("a,b,c,d,y,z\n{}\n", table.join("\n")), rows.join("\n") + "\n")
}

#[test]
fn probes_have_the_intervals_of_measure_and_seeds_their_own() {
    let (table, inputs) = table();
    let folder = Folder::with(SPEC);
    folder.write("table.csv", table);
    folder.write("x.csv", inputs);
    let ended = folder.run(&["run", "spec.toml", "--out", "out", "--json"]).expect(0).lines();
    let runs: Vec<&str> = ended
        .iter()
        .filter(|line| line["schema"] == "nfa.run/1")
        .map(|line| line["directory"].as_str().unwrap())
        .collect();
    assert_eq!(runs.len(), 4);
    let mut alphas = Vec::new();
    for run in runs {
        let record = nfa_train::record::Record::from_csv(&folder.text(&format!("{run}/metrics.csv"))).unwrap();
        let number = |column: &str| record.number(-1, column).unwrap();
        let weights = format!("{run}/model.safetensors");
        let call = ["measure", "--weights", &weights, "--inputs", "x.csv", "--activation", "relu", "--json"];
        let measured = folder.run(&call).expect(0).lines();
        let nfa = &measured[0]["layers"][0]["laws"]["nfa"];
        assert_eq!(nfa["interval_source"], "inputs");
        for (column, key) in [("alpha_interval", "alpha_interval"), ("misfit_interval", "misfit_interval")] {
            for (end, at) in [("low", 0), ("high", 1)] {
                let (got, expected) = (number(&format!("nfa.{column}.{end}.layer0")), nfa[key][at].as_f64().unwrap());
                assert!((got - expected).abs() <= 1e-9 * expected.abs(), "{run} {column}.{end}: {got} {expected}");
            }
        }
        assert!(number("nfa.alpha_interval.low.layer0") < number("nfa.alpha_interval.high.layer0"));
        // Behind the last layer the AGOP is the same for every input.
        assert_eq!(number("nfa.alpha_interval.low.layer1"), number("nfa.alpha_interval.high.layer1"));
        alphas.push(number("nfa.alpha.layer0"));
    }
    let seeds = folder.text("out/intervals/seeds.csv");
    let row = seeds.lines().find(|line| line.starts_with("nfa.alpha.layer0,")).unwrap();
    let cells: Vec<f64> = row.split(',').skip(1).map(|cell| cell.parse().unwrap()).collect();
    let mean = alphas.iter().sum::<f64>() / 4.0;
    let deviation = (alphas.iter().map(|a| (a - mean).powi(2)).sum::<f64>() / 3.0).sqrt();
    // t(3) = 3.1824.
    let half = 3.1824 * deviation / 2.0;
    for (got, expected) in cells.iter().zip([4.0, mean, deviation, mean - half, mean + half]) {
        assert!((got - expected).abs() <= 2e-3 * deviation + 1e-12, "{row}: {expected}");
    }
    assert!(folder.text("out/intervals/report.html").contains("Between seeds"));
}
