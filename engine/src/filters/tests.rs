//! Tables for parsing and matching of filters.

use super::*;

fn filters(text: &str) -> Filters {
    Filters::parse(Some(text)).expect("filters parse")
}

#[test]
fn both_wire_forms_mean_the_same() {
    let expected = Filters(BTreeMap::from([("label".to_owned(), BTreeSet::from(["a=b".to_owned(), "c".to_owned()]))]));
    assert_eq!(filters(r#"{"label":{"a=b":true,"c":true}}"#), expected);
    assert_eq!(filters(r#"{"label":["c","a=b"]}"#), expected);
    assert_eq!(filters(r#"{"label":["c","a=b"],"name":[]}"#), expected);
    assert_eq!(filters(r#"{"label":{"c":true,"a=b":true,"d":false}}"#), expected);
}

#[test]
fn nothing_given_allows_everything() {
    for parameter in [None, Some(""), Some("{}"), Some("null"), Some(r#"{"driver":null,"id":{}}"#)] {
        let filters = Filters::parse(parameter).expect("filters parse");
        assert!(filters.allows("driver", "bridge"));
        assert!(filters.allows_prefix("id", "abc"));
        assert!(filters.allows_labels(|_| None));
        assert!(filters.allows_absent_labels(|_| Some("")));
        assert!(filters.patterns("name").expect("no patterns").allow("anything"));
        assert_eq!(filters.flag("dangling").expect("no flag"), None);
    }
}

#[test]
fn refusals_name_what_is_wrong() {
    let refusals = [
        Filters::parse(Some("label=a")).map(drop),
        Filters::parse(Some(r#"{"label":"a"}"#)).map(drop),
        filters(r#"{"colour":["red"]}"#).only(&["label", "name"]).map(drop),
        filters(r#"{"dangling":["maybe"]}"#).flag("dangling").map(drop),
        filters(r#"{"dangling":["true","false"]}"#).flag("dangling").map(drop),
        filters(r#"{"name":["a("]}"#).patterns("name").map(drop),
    ];
    let texts: Vec<String> = refusals.into_iter().map(|refusal| refusal.expect_err("refused").to_string()).collect();
    assert_eq!(
        texts,
        [
            r#"invalid filter: "label=a" is neither {"name":["value"]} nor {"name":{"value":true}}"#,
            r#"invalid filter: "{\"label\":\"a\"}" is neither {"name":["value"]} nor {"name":{"value":true}}"#,
            "invalid filter 'colour'",
            "invalid filter 'dangling=maybe': true or false is expected",
            "invalid filter 'dangling=true': the filter can be given once only",
            "invalid filter 'name=a(': a regular expression is expected",
        ]
    );
}

#[test]
fn labels_must_all_hold() {
    let labels = |key: &str| match key {
        "tier" => Some("web"),
        "empty" => Some(""),
        _ => None,
    };
    for (given, expected) in [
        (r#"["tier"]"#, true),
        (r#"["tier=web"]"#, true),
        (r#"["tier=db"]"#, false),
        (r#"["tier="]"#, false),
        (r#"["empty="]"#, true),
        (r#"["empty","tier=web"]"#, true),
        (r#"["absent","tier=web"]"#, false),
        (r#"["tie"]"#, false),
    ] {
        assert_eq!(filters(&format!(r#"{{"label":{given}}}"#)).allows_labels(labels), expected, "{given}");
    }
    assert!(!filters(r#"{"label!":["absent","tier"]}"#).allows_absent_labels(labels));
    assert!(filters(r#"{"label!":["absent","tier=db"]}"#).allows_absent_labels(labels));
}

#[test]
fn patterns_are_searched_for_anywhere() {
    let names = filters(r#"{"name":["^web","db$","a+b"]}"#).patterns("name").expect("patterns compile");
    for (name, expected) in [("web-1", true), ("my-web", false), ("mydb", true), ("dbs", false), ("a+b", true)] {
        assert_eq!(names.allow(name), expected, "{name}");
    }
}
