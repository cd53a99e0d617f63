//! Dots thinned so that they can be told apart.

/// Pixels between the dots of one series.
const SPACING: f64 = 24.0;

/// The indices of every n-th point, n the number of networks of the group and each starting at its own,
/// at least 9 pixels apart.
pub(crate) fn turns(points: &[(f64, f64)], (i, n): (usize, usize)) -> Vec<usize> {
    let mut kept: Vec<usize> = Vec::new();
    for (index, point) in points.iter().enumerate().filter(|(k, _)| k % n.max(1) == i) {
        if kept.last().is_none_or(|&last| apart(points[last], *point)) {
            kept.push(index);
        }
    }
    kept
}

/// The indices of the points nearest to places [`SPACING`] apart, each series with its own offset, so
/// that dots of curves that coincide stand beside each other; and an end that none of them marks.
pub(crate) fn thinned(points: &[(f64, f64)], (from, to): (f64, f64), i: usize, n: usize) -> Vec<usize> {
    #[allow(clippy::cast_precision_loss)]
    let mut place = from + SPACING * i as f64 / n.max(1) as f64;
    let mut kept: Vec<usize> = Vec::new();
    while place <= to + 0.5 {
        let near = |a: &(usize, &(f64, f64))| (a.1.0 - place).abs();
        if let Some((index, point)) = points.iter().enumerate().min_by(|a, b| near(a).total_cmp(&near(b)))
            && (point.0 - place).abs() <= SPACING / 2.0
            && kept.last() != Some(&index)
        {
            kept.push(index);
        }
        place += SPACING;
    }
    if let (Some(&last), Some(end)) = (kept.last(), points.len().checked_sub(1))
        && (points[end].0 - points[last].0).hypot(points[end].1 - points[last].1) >= SPACING
    {
        kept.push(end);
    }
    kept
}

/// The indices of points at least 9 pixels from the last one kept, and the last.
pub(crate) fn spaced(points: &[(f64, f64)]) -> Vec<usize> {
    let mut kept: Vec<usize> = Vec::new();
    for (i, point) in points.iter().enumerate() {
        if i + 1 == points.len() || kept.last().is_none_or(|&last| apart(points[last], *point)) {
            kept.push(i);
        }
    }
    kept
}

/// Whether two points are at least 9 pixels apart.
fn apart(a: (f64, f64), b: (f64, f64)) -> bool {
    (b.0 - a.0).hypot(b.1 - a.1) >= 9.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_points_and_spaces_them() {
        let points: Vec<(f64, f64)> = (0..=100).map(|i| (f64::from(i), 1.0)).collect();
        assert_eq!(thinned(&points, (0.0, 100.0), 0, 2), [0, 24, 48, 72, 96]);
        assert_eq!(thinned(&points, (0.0, 100.0), 1, 2)[0], 12);
        // A fall at the end is marked.
        let falling = [(0.0, 1.0), (20.0, 1.0), (40.0, 90.0)];
        assert_eq!(thinned(&falling, (0.0, 50.0), 1, 2).last(), Some(&2));
    }
}
