//! [`KernelSupport`]: what it prints.

use memfile::{Feature, KernelSupport};

/// One line for a log: what is there by name, what is not with the reason.
#[test]
fn debug_says_all() {
    let support = KernelSupport::probe();
    let debug = format!("{support:?}");
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let start = format!("KernelSupport {{ release: Some({:?}), features: {{MemfdCreate: Ok(()), ", release.trim_end());
    assert!(debug.starts_with(&start), "{debug}");
    for feature in [Feature::Sealing, Feature::ExecFlags, Feature::Populate, Feature::HugeTlb] {
        assert!(debug.contains(&format!("{feature:?}: {:?}", support.get(feature))), "{debug}");
    }
    let sizes = support.huge_tlb_sizes().collect::<Vec<_>>();
    let end = format!(
        "noexec_policy: {:?}, exec_seal_hole: {:?}, huge_tlb_sizes: {sizes:?}, transparent_huge_pages: {:?} }}",
        support.noexec_policy(),
        support.exec_seal_hole(),
        support.transparent_huge_pages()
    );
    assert!(debug.ends_with(&end), "{debug}");
}
