//! What the command line changes about a file: keys before arms and grids (`--set` and its kin), and
//! axes (`--grid`). What it replaces is told; what would do nothing is refused.

use toml::{Table, Value};

use crate::error::{Error, Result};
use crate::experiment::arm::{Arm, Grid};
use crate::keys::{RUN_KEYS, Standing, get, override_with, position, same, standing};

/// The changes, and the file that they are made to.
pub(super) struct CommandLine<'a> {
    /// Dotted keys with their values.
    pub(super) sets: &'a [(String, Value)],
    /// Axes.
    pub(super) grid: &'a Grid,
    /// The file's text.
    pub(super) source: &'a str,
    /// Where it was read.
    pub(super) origin: &'a str,
}

impl CommandLine<'_> {
    /// Changes the file's table; what a user should know of it, in sentences.
    ///
    /// # Errors
    /// A change that would do nothing, or that contradicts another one or an arm.
    pub(super) fn apply(&self, table: &mut Table) -> Result<Vec<String>> {
        let mut notes = Vec::new();
        let grid = self.axes(&mut notes)?;
        for (key, value) in self.sets {
            override_with(table, key, value.clone()).map_err(|error| Error::input(format!("--set {error}")))?;
        }
        let arms = arms(table);
        for (key, value) in self.sets {
            self.set(table, &arms, (key, value), &mut notes)?;
        }
        for (key, values) in &grid {
            self.vary(table, &arms, (key, values), &mut notes)?;
        }
        Ok(notes)
    }

    /// The axes of the command line, each once and each value once.
    fn axes(&self, notes: &mut Vec<String>) -> Result<Grid> {
        let mut grid = Grid::new();
        for (key, values) in self.grid {
            for (other, _) in &grid {
                match standing(key, other) {
                    Standing::Apart => {}
                    Standing::Same => {
                        let message = "is given twice; write one list, as in --grid seed=0,1,2";
                        return Err(Error::input(format!("--grid {key}: {message}")));
                    }
                    _ => {
                        let message = format!("and --grid {other} set the same thing; keep one of them");
                        return Err(Error::input(format!("--grid {key} {message}")));
                    }
                }
            }
            if let Some((set, value)) =
                self.sets.iter().find(|(set, _)| !matches!(standing(key, set), Standing::Apart | Standing::Part))
            {
                let message = format!("{set} is set to {value} on the command line too; keep one of them");
                return Err(Error::input(format!("--grid {key}: {message}")));
            }
            let mut once: Vec<Value> = Vec::new();
            for value in values {
                if once.iter().any(|known| same(known, value)) {
                    notes.push(format!("{key}: {value} is given more than once and taken once"));
                } else {
                    once.push(value.clone());
                }
            }
            grid.push((key.clone(), once));
        }
        Ok(grid)
    }

    /// What `--set` means for axes and arms, whose own values come after it.
    fn set(
        &self,
        table: &mut Table,
        arms: &[Arm],
        (key, value): (&str, &Value),
        notes: &mut Vec<String>,
    ) -> Result<()> {
        if !RUN_KEYS.contains(&key.split('.').next().unwrap_or(key)) {
            return Ok(());
        }
        for (whose, axes) in grids(table) {
            let mut gone = Vec::new();
            for (axis, values) in axes.iter_mut() {
                let before = values.clone();
                match standing(key, axis) {
                    Standing::Apart => {}
                    Standing::Same => *values = Value::Array(vec![value.clone()]),
                    Standing::Whole(rest) => {
                        if let Some(part) = value.as_table().and_then(|table| get(table, &rest)) {
                            *values = Value::Array(vec![part.clone()]);
                        }
                    }
                    Standing::Instead => {
                        notes.push(format!("{axis}: {whose} {before} replaced by {key} = {value}"));
                        gone.push(axis.clone());
                    }
                    Standing::Part => {
                        let message =
                            format!("{whose} `{axis}` has whole tables, so this would do nothing; change that one");
                        return Err(Error::input(format!("--set {key}: {}: {message}", self.origin)));
                    }
                }
                if before != *values {
                    notes.push(format!("{axis}: {whose} {before} replaced by {values}"));
                }
            }
            axes.retain(|axis, _| !gone.iter().any(|key| key == axis));
        }
        let is_axis = table.get("grid").and_then(Value::as_table).is_some_and(|grid| grid.contains_key(key));
        // A point of the file's own grid is set after what an arm fixes.
        if is_axis { Ok(()) } else { self.past_arms(arms, (key, value), notes) }
    }

    /// Tells of arms that set a key themselves.
    fn past_arms(&self, arms: &[Arm], (key, value): (&str, &Value), notes: &mut Vec<String>) -> Result<()> {
        let mut unmoved: Vec<&str> = Vec::new();
        for arm in arms {
            let name = arm.name.as_deref().unwrap_or_default();
            for (path, _) in &arm.overrides {
                match standing(key, path) {
                    Standing::Same | Standing::Part | Standing::Instead => {
                        unmoved.push(name);
                        break;
                    }
                    Standing::Whole(rest) if value.as_table().is_some_and(|table| get(table, &rest).is_some()) => {
                        notes.push(format!("{path}: arm `{name}` keeps its own"));
                    }
                    Standing::Whole(_) | Standing::Apart => {}
                }
            }
        }
        if unmoved.is_empty() {
            return Ok(());
        }
        let names = format!("arm{} {}", if unmoved.len() == 1 { "" } else { "s" }, unmoved.join(", "));
        if unmoved.len() == arms.len() {
            let message = format!("every arm of {} sets its own ({names}), so this would change nothing", self.origin);
            return Err(Error::input(format!("--set {key}={value}: {message}; edit the arms")));
        }
        let sets = if unmoved.len() == 1 { "which sets its own" } else { "which set their own" };
        notes.push(format!("{key}: {value} changes nothing in {names}, {sets}"));
        Ok(())
    }

    /// Puts an axis in the place of the file's and of every arm's own.
    fn vary(
        &self,
        table: &mut Table,
        arms: &[Arm],
        (key, values): (&str, &[Value]),
        notes: &mut Vec<String>,
    ) -> Result<()> {
        for arm in arms {
            let fixed = arm.overrides.iter().find(|(path, value)| match standing(key, path) {
                Standing::Same | Standing::Whole(_) | Standing::Instead => true,
                Standing::Part => value.as_table().zip(rest(key, path)).and_then(|(t, rest)| get(t, rest)).is_some(),
                Standing::Apart => false,
            });
            if let Some((path, value)) = fixed {
                let place = position(self.source, &format!("arm.{}.{path}", arm.index));
                let place = place.map_or(String::new(), |(line, column)| format!(":{line}:{column}"));
                let message = format!("arm `{}` fixes {path} = {value}", arm.name.as_deref().unwrap_or_default());
                let next = "leave that out of the arm, or vary something else";
                return Err(Error::input(format!(
                    "{}{place}: {message}, so --grid {key} cannot vary it; {next}",
                    self.origin
                )));
            }
        }
        let list = Value::Array(values.to_vec());
        for (whose, axes) in grids(table) {
            let mut instead = Vec::new();
            for (axis, old) in axes.iter_mut() {
                match standing(key, axis) {
                    Standing::Apart => {}
                    Standing::Same => {
                        let before = std::mem::replace(old, list.clone());
                        if before != *old {
                            notes.push(format!("{key}: {whose} {before} replaced by {list}"));
                        }
                    }
                    Standing::Instead => {
                        notes.push(format!("{axis}: {whose} {old} replaced by {key} = {list}"));
                        instead.push(axis.clone());
                    }
                    Standing::Part | Standing::Whole(_) => {
                        let message = format!("{whose} `{axis}` sets the same thing; change that one");
                        return Err(Error::input(format!("--grid {key}: {}: {message}", self.origin)));
                    }
                }
            }
            axes.retain(|axis, _| !instead.iter().any(|gone| gone == axis));
        }
        let grid = table.entry("grid").or_insert_with(|| Value::Table(Table::new()));
        if let Value::Table(grid) = grid {
            grid.entry(key).or_insert(list);
        }
        Ok(())
    }
}

/// Whose an axis of `[grid]` is.
const FILE: &str = "the file's axis";

/// The grids of a file, the common one and those of arms, with whose their axes are.
fn grids(table: &mut Table) -> Vec<(String, &mut Table)> {
    let mut grids = Vec::new();
    for (key, value) in table.iter_mut() {
        match (key.as_str(), value) {
            ("grid", Value::Table(grid)) => grids.push((FILE.to_string(), grid)),
            ("arm", Value::Array(arms)) => {
                for arm in arms {
                    let name = arm.get("name").and_then(Value::as_str).unwrap_or_default().to_string();
                    if let Some(Value::Table(grid)) = arm.get_mut("grid") {
                        grids.push((format!("arm `{name}`'s axis"), grid));
                    }
                }
            }
            _ => {}
        }
    }
    grids
}

/// The arms of a file, or one without a name; what is wrong with one is told where the file is read.
fn arms(table: &Table) -> Vec<Arm> {
    let blocks = table.get("arm").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let arms: Vec<Arm> = blocks.iter().enumerate().filter_map(|(index, arm)| Arm::parse(index, arm).ok()).collect();
    if arms.is_empty() { vec![Arm::default()] } else { arms }
}

/// What is left of a key within a table.
fn rest<'a>(key: &'a str, table: &str) -> Option<&'a str> {
    key.strip_prefix(table)?.strip_prefix('.')
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::keys::parse_value;

    const FILE: &str = "name = \"x\"\n[solver]\nlr = 0.1\n[grid]\nseed = [0, 1, 2]\n\"solver.time\" = [1, 2]\n\
        [[arm]]\nname = \"a\"\ngrid = { \"solver.lr\" = [0.1, 0.2] }\n\
        [[arm]]\nname = \"b\"\nsolver = { kind = \"adam\", lr = 0.01 }\n";

    /// The file after a command line, and what was told; or the complaint.
    fn changed(sets: &[&str], grid: &[(&str, &str)]) -> std::result::Result<(Table, Vec<String>), String> {
        let split =
            |text: &&str| text.split_once('=').map(|(key, value)| (key.to_string(), parse_value(value))).unwrap();
        let sets: Vec<(String, Value)> = sets.iter().map(split).collect();
        let axis = |(key, list): &(&str, &str)| (key.to_string(), parse_value(list).as_array().unwrap().clone());
        let grid: Grid = grid.iter().map(axis).collect();
        let mut table: Table = FILE.parse().unwrap();
        let line = CommandLine { sets: &sets, grid: &grid, source: FILE, origin: "x.toml" };
        line.apply(&mut table).map(|notes| (table, notes)).map_err(|error| error.to_string())
    }

    #[test]
    fn an_axis_takes_the_place_of_the_file_s() {
        let (table, notes) = changed(&[], &[("seed", "[7, 8]")]).unwrap();
        assert_eq!(table["grid"]["seed"].to_string(), "[7, 8]");
        assert_eq!(table["grid"].as_table().unwrap().keys().next().unwrap(), "seed", "in its place");
        assert_eq!(notes, ["seed: the file's axis [0, 1, 2] replaced by [7, 8]"]);
        let (table, notes) = changed(&[], &[("model.depth", "[2, 3, 2]")]).unwrap();
        assert_eq!(table["grid"]["model.depth"].to_string(), "[2, 3]");
        assert_eq!(notes, ["model.depth: 2 is given more than once and taken once"]);
        let (table, notes) = changed(&[], &[("solver.steps", "[5]")]).unwrap();
        assert!(table["grid"].get("solver.time").is_none());
        assert_eq!(notes, ["solver.time: the file's axis [1, 2] replaced by solver.steps = [5]"]);
    }

    #[test]
    fn arms_have_axes_and_fixed_values_too() {
        let error = changed(&[], &[("solver.lr", "[1]")]).unwrap_err();
        assert!(error.starts_with("x.toml:12:1: arm `b` fixes solver = "), "{error}");
        // What the whole table of an arm leaves open can be varied.
        let (table, notes) = changed(&["solver.momentum=0.9"], &[("solver.batch", "[5, 6]")]).unwrap();
        assert_eq!(table["grid"]["solver.batch"].to_string(), "[5, 6]");
        assert_eq!(notes, ["solver.momentum: 0.9 changes nothing in arm b, which sets its own"]);
        let (table, notes) = changed(&["solver.lr=0.5"], &[]).unwrap();
        assert_eq!(table["arm"][0]["grid"]["solver.lr"].to_string(), "[0.5]");
        assert_eq!(notes.len(), 2, "{notes:?}");
        assert_eq!(notes[0], "solver.lr: arm `a`'s axis [0.1, 0.2] replaced by [0.5]");
        // The same key, as a part of its table.
        let (table, _) = changed(&["solver={kind = \"gd\", lr = 0.5}"], &[]).unwrap();
        assert_eq!(table["arm"][0]["grid"]["solver.lr"].to_string(), "[0.5]");
    }

    #[test]
    fn a_value_takes_the_place_of_an_axis() {
        let (table, notes) = changed(&["seed=4"], &[]).unwrap();
        assert_eq!((table["grid"]["seed"].to_string(), notes.len()), ("[4]".to_string(), 1));
        let (table, _) = changed(&["solver.steps=9"], &[]).unwrap();
        assert!(table["grid"].get("solver.time").is_none() && table["solver"]["steps"].as_integer() == Some(9));
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for (sets, grid, word) in [
            (&[][..], &[("seed", "[1]"), ("seed", "[2]")][..], "given twice"),
            (&[], &[("solver.steps", "[1]"), ("solver.time", "[2]")], "keep one"),
            (&["seed=1"], &[("seed", "[2]")], "keep one"),
            (&[], &[("solver", "[{ kind = \"gd\" }]")], "arm `b` fixes solver"),
            (&["arm=[]"], &[("solver", "[{ kind = \"gd\" }]")], "`solver.time` sets the same thing"),
            (&["arm=[{name = \"c\", \"data.limit\" = 3}]", "data.limit=4"], &[], "every arm of x.toml"),
        ] {
            let error = changed(sets, grid).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
