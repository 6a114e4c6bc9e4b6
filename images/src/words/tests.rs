use proptest::prelude::*;

use super::*;

#[test]
fn variables_and_quotes() {
    let variable = |name: &str| match name {
        "A" => Some("value".to_owned()),
        "PATH" => Some("/usr/local/bin".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    };
    let expand = |word: &str| Expander { escape: '\\', variable: &variable }.word(word);
    for (word, expected) in [
        ("$A-${A}x$Ax", "value-valuex"),
        ("'$A' \"$A\" \\$A \"\\$A\" \"\\n\"", "$A value $A $A \\n"),
        ("${NONE:-x${A}}${EMPTY:-y}${EMPTY-z}", "xvaluey"),
        ("${A:+set}${NONE+set}${EMPTY:+set}${EMPTY+set}", "setset"),
        ("${PATH#*/}|${PATH##*/}|${PATH%/*}|${PATH%%/*}", "usr/local/bin|bin|/usr/local|"),
        ("${PATH/local/x}|${PATH//\\//-}", "/usr/x/bin|-usr-local-bin"),
        ("${A#v?l}|${A%none}", "ue|value"),
        ("$ a$ $", "$ a$ $"),
        // The shell's own parameters are never set.
        ("$$|$?|$@|$1x|$10x", "|||x|x"),
    ] {
        assert_eq!(expand(word).expect(word), expected, "{word}");
    }
    for wrong in ["'open", "\"open", "${A", "${}", "${A!x}", "${NONE:?needed}", "${NONE?}"] {
        assert!(expand(wrong).is_err(), "{wrong}");
    }
    let text = Expander { escape: '\\', variable: &variable }
        .text("it's $A, \"${A}\" \\$A \\n \\\\ ${NONE:-'x'}")
        .expect("text");
    assert_eq!(text, "it's value, \"value\" $A n \\ 'x'");
}

proptest! {
    #[test]
    fn no_word_makes_expansion_panic(word in "[$a-z{}:+?#%/*'\"\\\\-]{0,24}") {
        let variable = |name: &str| (name.len() == 1).then(|| "value/of/it".to_owned());
        let expander = Expander { escape: '\\', variable: &variable };
        let _ = expander.word(&word);
        let _ = expander.text(&word);
    }

    #[test]
    fn what_is_quoted_comes_out_as_it_is(text in "[ -~]{0,24}") {
        let variable = |_: &str| Some("value".to_owned());
        let word = format!("'{}'", text.replace('\'', ""));
        prop_assert_eq!(Expander { escape: '\\', variable: &variable }.word(&word).expect("a word"), text.replace('\'', ""));
    }
}
