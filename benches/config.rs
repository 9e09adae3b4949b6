//! How long to measure, the same in every bench.

use core::time::Duration;

use criterion::Criterion;

/// Short series, so that `cargo bench` takes minutes.
pub(crate) fn criterion() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args()
}
