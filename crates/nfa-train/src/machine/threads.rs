//! Independent work on threads of their own, one core each.

use nfa_metrics::parallel;

thread_local! {
    /// Burn's inner parallelism goes through the pool that it is called in; this one has a single
    /// thread, so that jobs don't take each other's cores.
    static ALONE: Option<rayon::ThreadPool> = rayon::ThreadPoolBuilder::new().num_threads(1).build().ok();
}

/// `work` of every index below `count`, `jobs` at a time; results in order, the same for any number
/// of jobs.
pub fn run<T: Send>(jobs: usize, count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    if jobs <= 1 {
        // In the pool of all threads: what they share is then handed over without waiting at its door.
        return rayon::scope(|_| (0..count).map(&work).collect());
    }
    parallel::map_on(jobs, count, |index| {
        ALONE.with(|pool| match pool {
            Some(pool) => pool.install(|| work(index)),
            None => work(index),
        })
    })
}

/// The indices of the `index`-th (from 1) of `of` parts of a plan: every `of`-th run, so that each
/// part has its share of the slow ones.
pub fn shard(count: usize, index: usize, of: usize) -> impl Iterator<Item = usize> {
    (index - 1..count).step_by(of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_a_partition() {
        for of in 1..5 {
            let mut all: Vec<usize> = (1..=of).flat_map(|index| shard(11, index, of)).collect();
            all.sort_unstable();
            assert_eq!(all, (0..11).collect::<Vec<_>>());
        }
    }

    #[test]
    fn jobs_have_one_thread_each() {
        let threads = run(3, 8, |_| rayon::current_num_threads());
        assert_eq!(threads, vec![1; 8]);
    }
}
