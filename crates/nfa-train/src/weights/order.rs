//! The order of layers: numbers in their names say it, or it is the only one that chains.

use std::ops::ControlFlow;

use crate::weights::names::{are_numbered, parts, unnumbered, words};

/// A layer as far as its order goes.
#[derive(Clone, Debug)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// Outputs and inputs.
    pub size: [usize; 2],
}

/// What a network's last map is called beside maps with numbers.
const LAST: [&str; 9] = ["head", "out", "output", "classifier", "final", "readout", "logits", "last", "decoder"];
const FIRST: [&str; 5] = ["in", "input", "stem", "first", "encoder"];

/// Maps that follow each other in every block that has both.
const FOLLOWING: [[&str; 2]; 4] = [["c_fc", "c_proj"], ["fc_in", "fc_out"], ["up_proj", "down_proj"], ["wi", "wo"]];

/// Whether names say that one comes before the other: links are in the natural order of their names.
fn said(before: &str, after: &str) -> bool {
    let (left, right) = (parts(before), parts(after));
    let at = (0..left.len().min(right.len())).find(|&i| left[i] != right[i]);
    let Some(at) = at else { return false };
    let (a, b) = (left[at].strip_suffix(":0").unwrap_or(left[at]), right[at].strip_suffix(":0").unwrap_or(right[at]));
    // `a`, `b`, `c` count too.
    let letter = |part: &str| part.len() == 1 && ("a"..="h").contains(&part);
    // `dense` before `dense_1`, as Keras counts.
    are_numbered(a, b) || unnumbered(b) == a || FOLLOWING.contains(&[a, b]) || (letter(a) && letter(b) && a < b)
}

/// Whether a name has a number.
fn is_numbered(name: &str) -> bool {
    name.chars().any(|c| c.is_ascii_digit())
}

/// Whether the names are those of a first and a last map around numbered ones.
fn is_at(name: &str, ends: &[&str]) -> bool {
    let parts = parts(name);
    let own = parts.len().checked_sub(2).map_or("", |at| parts[at]);
    !is_numbered(name) && words(own).iter().any(|word| ends.contains(&word.as_str()))
}

/// The orders in which layers chain, as far as names leave it open: at most so many.
pub fn orders(links: &[Link], most: usize) -> Vec<Vec<usize>> {
    let count = links.len();
    let any_number = links.iter().any(|link| is_numbered(&link.name));
    let before = |i: usize, j: usize| {
        let (a, b) = (&links[i].name, &links[j].name);
        let around = any_number && ((is_at(b, &LAST) && !is_at(a, &LAST)) || (is_at(a, &FIRST) && !is_at(b, &FIRST)));
        around || (i < j && said(a, b))
    };
    let earlier: Vec<Vec<usize>> =
        (0..count).map(|j| (0..count).filter(|&i| i != j && before(i, j)).collect()).collect();
    let (mut found, mut path, mut steps) = (Vec::new(), Vec::with_capacity(count), 0);
    let _ = extend(
        links,
        &earlier,
        &mut path,
        &mut |order| {
            found.push(order.to_vec());
            if found.len() >= most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        },
        &mut steps,
    );
    found
}

/// Steps of the search, at most: of many layers without numbers the first orders are enough.
const STEPS: usize = 100_000;

fn extend(
    links: &[Link],
    earlier: &[Vec<usize>],
    path: &mut Vec<usize>,
    visit: &mut dyn FnMut(&[usize]) -> ControlFlow<()>,
    steps: &mut usize,
) -> ControlFlow<()> {
    *steps += 1;
    if *steps > STEPS {
        return ControlFlow::Break(());
    }
    if path.len() == links.len() {
        return visit(path);
    }
    for next in 0..links.len() {
        let fits = path.last().is_none_or(|&last| links[last].size[0] == links[next].size[1]);
        if !fits || path.contains(&next) || !earlier[next].iter().all(|i| path.contains(i)) {
            continue;
        }
        path.push(next);
        extend(links, earlier, path, visit, steps)?;
        path.pop();
    }
    ControlFlow::Continue(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(links: &[(&str, usize, usize)]) -> Vec<Vec<usize>> {
        let link = |&(name, out, into): &(&str, usize, usize)| Link { name: name.into(), size: [out, into] };
        orders(&links.iter().map(link).collect::<Vec<_>>(), 4)
    }

    #[test]
    fn numbers_say_it_words_leave_it_open() {
        assert_eq!(found(&[("0.weight", 4, 4), ("2.weight", 4, 4)]), [[0, 1]]);
        assert_eq!(found(&[("dense.kernel", 4, 4), ("dense_1.kernel", 4, 4)]), [[0, 1]]);
        assert_eq!(found(&[("hidden.weight", 4, 4), ("input.weight", 4, 4), ("output.weight", 4, 4)]).len(), 4);
        assert_eq!(found(&[("hidden.weight", 4, 4), ("input.weight", 4, 3), ("output.weight", 2, 4)]), [[1, 0, 2]]);
        assert_eq!(found(&[("body.0.weight", 4, 4), ("body.2.weight", 4, 4), ("head.weight", 4, 4)]), [[0, 1, 2]]);
        assert_eq!(found(&[("body.0.weight", 4, 4), ("body.2.weight", 4, 4), ("stem.weight", 4, 4)]), [[2, 0, 1]]);
        assert_eq!(found(&[("decoder.weight", 4, 2), ("encoder.weight", 2, 4)]).len(), 2);
        assert_eq!(found(&[("a.weight", 4, 4), ("b.weight", 4, 4)]), [[0, 1]]);
        assert_eq!(found(&[("fc1.weight", 4, 3), ("fc2.weight", 4, 3)]).len(), 0);
        assert_eq!(found(&[("fc1.weight", 4, 4), ("gate.weight", 4, 4)]).len(), 2);
    }
}
