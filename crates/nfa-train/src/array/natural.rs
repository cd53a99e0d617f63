//! The order of names by the numbers in them.

use std::cmp::Ordering;

/// Order of names by the numbers in them: `layers.2` before `layers.10`.
pub fn natural_order(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    loop {
        let (Some(x), Some(y)) = (left.chars().next(), right.chars().next()) else {
            return left.len().cmp(&right.len()).then_with(|| a.cmp(b));
        };
        let order = if x.is_ascii_digit() && y.is_ascii_digit() {
            let (m, n) = (digits(&mut left), digits(&mut right));
            m.len().cmp(&n.len()).then_with(|| m.cmp(n))
        } else {
            left = &left[x.len_utf8()..];
            right = &right[y.len_utf8()..];
            x.cmp(&y)
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// Takes the digits at the front, without leading zeros.
fn digits<'a>(text: &mut &'a str) -> &'a str {
    let length = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(length);
    *text = rest;
    number.trim_start_matches('0')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::array::testing::*;

    #[test]
    fn natural_order_of_names() {
        let sorted = ["0.weight", "2.weight", "10.weight", "a", "a01", "a1", "a1b", "a2", "b", "fc1", "fc11"];
        let mut names = sorted;
        names.reverse();
        names.sort_by(|a, b| natural_order(a, b));
        assert_eq!(names, sorted);
    }

    proptest! {
        #![proptest_config(config(400))]

        #[test]
        fn natural_order_is_an_order(names in prop::collection::vec("[ab019é]{0,4}", 3)) {
            let order = |i: usize, j: usize| natural_order(&names[i], &names[j]);
            prop_assert_eq!(order(0, 1), order(1, 0).reverse());
            prop_assert_eq!(order(0, 1).is_eq(), names[0] == names[1]);
            if order(0, 1).is_le() && order(1, 2).is_le() {
                prop_assert!(order(0, 2).is_le());
            }
        }
    }
}
