//! What docs/differences-from-docker.md says is different on purpose is so: every row of that chapter and of the next is shown
//! by a test of its own, or asked for on a host.

use super::{asked, shown::SHOWN};
use crate::named::assert_is_test;

/// The points of both chapters, each on one line.
fn points(document: &str) -> Vec<String> {
    let (_, chapters) = document.split_once("\n## Different on purpose\n").expect("the chapter");
    assert_eq!(chapters.matches("\n## ").count(), 1, "a chapter has come that nobody goes through");
    assert!(chapters.contains("\n## The command line\n"));
    let points = chapters.split("\n- ").skip(1).map(|point| point.split("\n\n").next().unwrap_or(point));
    points.map(|point| point.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn every_point_is_shown_by_somebody() {
    let points = points(include_str!("../../../../docs/differences-from-docker.md"));
    assert!(points.len() > 50, "the chapter has changed its form: {points:?}");
    let words = SHOWN.iter().map(|(words, _)| *words).chain(asked::words()).collect::<Vec<_>>();
    for words in &words {
        let found = points.iter().filter(|point| point.contains(*words)).count();
        assert_eq!(found, 1, "in so many points the document says {words:?}");
    }
    for point in &points {
        assert!(words.iter().any(|words| point.contains(*words)), "nobody shows that this is true: {point}");
    }
    for test in SHOWN.iter().flat_map(|(_, tests)| *tests) {
        assert_is_test(test);
    }
}
