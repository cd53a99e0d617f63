//! Times of repeated work: the first call apart, then the steady state.

use std::time::Instant;

use crate::error::Result;

/// What the repeats took, per call.
#[derive(Clone, Debug)]
pub struct Times {
    /// The very first call, with whatever it compiles, starts and allocates, in seconds.
    pub first: f64,
    /// Seconds per call of each repeat, ascending.
    pub repeats: Vec<f64>,
    /// Calls per repeat.
    pub calls: u64,
}

impl Times {
    /// The middle (of an even number the mean of the middle two).
    pub fn median(&self) -> f64 {
        let n = self.repeats.len();
        match n {
            0 => f64::NAN,
            _ => 0.5 * (self.repeats[(n - 1) / 2] + self.repeats[n / 2]),
        }
    }

    /// The fastest repeat.
    pub fn min(&self) -> f64 {
        self.repeats.first().copied().unwrap_or(f64::NAN)
    }

    /// The slowest repeat.
    pub fn max(&self) -> f64 {
        self.repeats.last().copied().unwrap_or(f64::NAN)
    }
}

impl Times {
    /// Of each of `n` things that were done together.
    #[must_use]
    pub fn per(mut self, n: u64) -> Self {
        self.first /= n as f64;
        self.repeats.iter_mut().for_each(|seconds| *seconds /= n as f64);
        self
    }
}

/// Work that can be asked for any number of times; it returns when the device is done.
pub type Work<'a> = dyn FnMut(u64) -> Result<()> + 'a;

/// Seconds of so many calls.
///
/// # Errors
/// Those of the work.
pub fn seconds(work: &mut Work<'_>, calls: u64) -> Result<f64> {
    let start = Instant::now();
    work(calls)?;
    Ok(start.elapsed().as_secs_f64())
}

/// The first call's seconds, and how many calls take at least `block` seconds once warm.
///
/// # Errors
/// Those of the work.
pub fn warm_up(work: &mut Work<'_>, block: f64) -> Result<(f64, u64)> {
    let first = seconds(work, 1)?;
    let mut calls = 1u64;
    loop {
        let took = seconds(work, calls)?;
        // A quarter of a block is long enough to tell what a call takes.
        if took >= 0.25 * block {
            let per_call = took / calls as f64;
            return Ok((first, ((block / per_call).ceil() as u64).max(1)));
        }
        calls = calls.saturating_mul(2);
    }
}

/// Times work in repeats of at least `block` seconds each; `pulse` is told before every repeat and
/// may stop it all.
///
/// # Errors
/// Those of the work and of `pulse`.
pub fn time(work: &mut Work<'_>, block: f64, repeats: u64, pulse: &dyn Fn() -> Result<()>) -> Result<Times> {
    pulse()?;
    let (first, calls) = warm_up(work, block)?;
    let mut found = Vec::new();
    for _ in 0..repeats {
        pulse()?;
        found.push(seconds(work, calls)? / calls as f64);
    }
    found.sort_by(f64::total_cmp);
    Ok(Times { first, repeats: found, calls })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn short_work_is_repeated_until_it_can_be_timed() {
        let mut calls = 0;
        let mut work = |n| {
            calls += n;
            std::thread::sleep(std::time::Duration::from_micros(200 * n));
            Ok(())
        };
        let times = time(&mut work, 0.01, 3, &|| Ok(())).unwrap();
        assert_eq!(times.repeats.len(), 3);
        assert!(times.calls > 1 && calls > 3 * times.calls);
        assert!(times.min() >= 200e-6 && times.min() <= times.median() && times.median() <= times.max());
    }

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        let times = Times { first: 0.0, repeats: vec![1.0, 2.0, 4.0, 9.0], calls: 1 };
        assert_eq!((times.min(), times.median(), times.max()), (1.0, 3.0, 9.0));
    }
}
