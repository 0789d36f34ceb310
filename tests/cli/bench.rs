//! `bench`.

use crate::program::run;

#[test]
fn bench_prints_positive_medians_and_histogram() {
    let shown = run(&["bench"]);
    if shown.stderr.contains("processors: found 1") {
        return;
    }
    let text = String::from_utf8(shown.success()).unwrap();
    let median = |name: &str| -> f64 {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_ascii_whitespace()
            .rev()
            .nth(2)
            .unwrap()
            .parse()
            .unwrap()
    };
    for name in ["floor", "round trip", "one way", "wake"] {
        assert!(median(name) > 0.0, "{text}");
    }
    assert!(text.contains("█"), "{text}");
}
