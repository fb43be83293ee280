//! Memory of this process.

/// Bytes of physical memory that this process holds; `None` where the system does not tell.
///
/// Linux sums this up page by page; the cheaper counts lag behind by megabytes.
pub(super) fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_held() {
        const LENGTH: usize = 64 << 20;
        let before = resident();
        let held = std::hint::black_box(vec![1_u8; LENGTH]);
        if let (Some(before), Some(after)) = (before, resident()) {
            assert!(after >= before + held.len() as u64 / 2, "{before} {after}");
        }
    }
}
