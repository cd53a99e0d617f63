//! The order in which matrices change between row-major and column-major.

/// Tiles of so many rows and columns stay in the first cache in either layout, also where rows lie a power of
/// two apart and share its lines.
const TILE: usize = 8;

/// Visits every place of a matrix, tile by tile: whichever way a layout runs, it is not read across.
pub(crate) fn tiles(rows: usize, cols: usize, mut visit: impl FnMut(usize, usize)) {
    for top in (0..rows).step_by(TILE) {
        for left in (0..cols).step_by(TILE) {
            for j in left..(left + TILE).min(cols) {
                for i in top..(top + TILE).min(rows) {
                    visit(i, j);
                }
            }
        }
    }
}
