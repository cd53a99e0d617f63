//! A user's own data as training data: the same rows in every format give the same record.

use crate::binary::Folder;

/// `[n, 3]` inputs and a class in 0..3, with commas.
fn rows() -> Vec<([f64; 3], u8)> {
    (0..60u8)
        .map(|i| {
            let t = f64::from(i);
            ([(t * 0.7).sin(), (t * 1.3).cos() * 2.0, t / 30.0], i % 3)
        })
        .collect()
}

fn npy(descr: &str, shape: &str, body: Vec<u8>) -> Vec<u8> {
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    bytes.extend(header.into_bytes());
    bytes.extend(body);
    bytes
}

fn experiment(data: &str) -> String {
    format!(
        "name = \"own\"\n[model]\nkind = \"mlp\"\nwidths = [6]\nactivation = \"gelu\"\n[data]\n{data}\ntest = 0.25\nstandardize = true\n\
         [solver]\nkind = \"adam\"\nlr = 0.01\nsteps = 20\n[probe]\nat = {{ every = 10 }}\n"
    )
}

#[test]
fn csv_and_npy_give_the_same_record() {
    let rows = rows();
    let mut csv = String::from("a,b,c,kind\n");
    for (x, k) in &rows {
        csv.push_str(&format!("{},{},{},{k}\n", x[0], x[1], x[2]));
    }
    let table = Folder::with(&experiment("kind = \"csv\"\npath = \"rows.csv\"\ntarget = \"kind\""));
    table.write("rows.csv", csv);
    table.run(&["run", "spec.toml"]).expect(0);
    let arrays = Folder::with(&experiment("kind = \"npy\"\ninputs = \"x.npy\"\ntargets = \"y.npy\""));
    let x = rows.iter().flat_map(|(x, _)| x.iter().flat_map(|v| v.to_le_bytes())).collect();
    arrays.write("x.npy", npy("<f8", "(60, 3)", x));
    arrays.write("y.npy", npy("|u1", "(60,)", rows.iter().map(|(_, k)| *k).collect()));
    arrays.run(&["run", "spec.toml"]).expect(0);
    let record = |folder: &Folder| folder.text(&format!("{}/metrics.csv", folder.runs("out/own")[0]));
    assert_eq!(record(&table), record(&arrays));
    assert!(record(&table).contains("accuracy.test"));
    // config.toml reproduces the run from elsewhere.
    let config = format!("{}/config.toml", table.runs("out/own")[0]);
    table.run(&["run", &config, "--out", "again"]).expect(0);
}

#[test]
fn idx_and_the_bundled_wines_train() {
    let folder =
        Folder::with(&experiment("kind = \"idx\"\nimages = \"i\"\nlabels = \"l\"\nscale = 0.00392156862745098"));
    let mut images = vec![0, 0, 8, 3, 0, 0, 0, 40, 0, 0, 0, 2, 0, 0, 0, 2];
    images.extend((0..160u32).map(|i| (i * 37 % 256) as u8));
    let mut labels = vec![0, 0, 8, 1, 0, 0, 0, 40];
    labels.extend((0..40u8).map(|i| i % 4));
    folder.write("i", images);
    folder.write("l", labels);
    folder.run(&["run", "spec.toml"]).expect(0);
    let wine = Folder::with(&experiment("kind = \"red_wine\""));
    wine.run(&["run", "spec.toml"]).expect(0);
    let record = wine.text(&format!("{}/metrics.csv", wine.runs("out/own")[0]));
    assert!(record.contains("loss.test") && !record.contains("accuracy"), "wine is a regression");
}

/// n images of 2 x 2, and their classes.
fn idx(n: u8, shift: u32) -> [Vec<u8>; 2] {
    let mut images = vec![0, 0, 8, 3, 0, 0, 0, n, 0, 0, 0, 2, 0, 0, 0, 2];
    images.extend((0..4 * u32::from(n)).map(|i| ((i + shift) * 37 % 256) as u8));
    let mut labels = vec![0, 0, 8, 1, 0, 0, 0, n];
    labels.extend((0..n).map(|i| i % 4));
    [images, labels]
}

#[test]
fn four_idx_files_train_on_two_and_hold_out_two() {
    let data = "kind = \"idx\"\nimages = \"i\"\nlabels = \"l\"\ntest_images = \"ti\"\ntest_labels = \"tl\"\nlimit = 30";
    let spec = experiment(data).replace("test = 0.25\n", "") + "interval = \"inputs\"\n";
    let folder = Folder::with(&spec);
    let absent = folder.run(&["run", "spec.toml"]).expect(2);
    assert!(absent.stderr.contains("images") && absent.stderr.contains("https://"), "{}", absent.stderr);
    for (names, [images, labels]) in [(["i", "l"], idx(40, 0)), (["ti", "tl"], idx(12, 5))] {
        folder.write(names[0], images);
        folder.write(names[1], labels);
    }
    folder.run(&["run", "spec.toml"]).expect(0);
    let run = folder.runs("out/own")[0].clone();
    assert!(folder.text(&format!("{run}/metrics.csv")).contains("accuracy.test"));
    // Intervals are of the rows held out, and the record says so.
    assert!(folder.text(&format!("{run}/config.toml")).contains("rows = \"test\""));
    assert!(folder.text(&format!("{run}/manifest.json")).contains("\"probed_rows\": 12"));
    assert!(folder.text("out/own/report.html").contains("12 held out"));
    let both = folder.run(&["run", "spec.toml", "--set", "data.test=0.2", "--out", "both"]).expect(2);
    assert!(both.stderr.contains("data.test") && both.stderr.contains("test_images"), "{}", both.stderr);
    folder.write("tl", idx(11, 5)[1].clone());
    let uneven = folder.run(&["run", "spec.toml", "--out", "uneven"]).expect(2);
    assert!(uneven.stderr.contains("data.test_labels") && uneven.stderr.contains("11"), "{}", uneven.stderr);
}

#[test]
fn a_subset_of_the_rows_may_be_probed() {
    let spec = experiment("kind = \"red_wine\"") + "rows = \"test\"\n";
    let folder = Folder::with(&spec);
    let alpha = |out: &str, samples: &str| {
        folder.run(&["run", "spec.toml", "--out", out, "--set", samples]).expect(0);
        let run = folder.runs(&format!("{out}/own"))[0].clone();
        let record = folder.text(&format!("{run}/metrics.csv"));
        let record = nfa_train::record::Record::from_csv(&record).unwrap();
        let cell = |column: &str| record.number(-1, column).unwrap();
        (cell("nfa.alpha.layer0"), cell("loss"), folder.text(&format!("{run}/manifest.json")))
    };
    let (some, many) = (alpha("some", "probe.samples=100"), alpha("many", "probe.samples=100000"));
    assert!(some.2.contains("\"probed_rows\": 100,") && many.2.contains("\"probed_rows\": 400,"), "{}", many.2);
    // Another AGOP of the same training.
    assert!(some.0 != many.0 && some.1 == many.1);
    let none = folder.run(&["run", "spec.toml", "--set", "probe.samples=0"]).expect(2);
    assert!(none.stderr.contains("probe.samples"), "{}", none.stderr);
}

#[test]
fn rows_that_are_not_held_out_cannot_be_probed() {
    let folder = Folder::with(&(experiment("kind = \"red_wine\"").replace("test = 0.25\n", "") + "rows = \"test\"\n"));
    let ended = folder.run(&["run", "spec.toml"]).expect(2);
    assert!(ended.stderr.contains("probe.rows") && ended.stderr.contains("data.test"), "{}", ended.stderr);
}

#[test]
fn a_wrong_file_is_named_with_its_place() {
    let folder = Folder::with(&experiment("kind = \"csv\"\npath = \"rows.csv\"\ntarget = \"kind\""));
    let missing = folder.run(&["run", "spec.toml"]).expect(2);
    assert!(missing.stderr.contains("rows.csv"), "{}", missing.stderr);
    folder.write("rows.csv", "a,kind\n1,0\n2\n");
    let ragged = folder.run(&["run", "spec.toml"]).expect(2);
    assert!(ragged.stderr.contains("rows.csv") && ragged.stderr.contains('3'), "{}", ragged.stderr);
    folder.write("rows.csv", "a,b\n1,0\n");
    let unknown = folder.run(&["run", "spec.toml"]).expect(2);
    assert!(unknown.stderr.contains("kind") && unknown.stderr.contains('b'), "{}", unknown.stderr);
    assert!(!folder.has("out"));
}
