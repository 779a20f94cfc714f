//! Patterns: which names match, case by case and against a matcher that only compares tokens.

use proptest::prelude::*;
use ringway_protocol::{Code, Pattern, limits};

use crate::values::further;

/// A pattern, names that match it, and names that do not.
const CASES: &[(&str, &str, &str)] = &[
    ("orders", "orders", "order orderss orders.eu a.orders Orders"),
    ("orders.*", "orders.eu orders.x", "orders orders. orders.eu.north orders/eu xorders.eu"),
    ("*.eu", "orders.eu a.eu", "eu .eu orders.us orders/eu a.b.eu"),
    ("*", "orders a", "a.b a/b . / a."),
    ("a.*.c", "a.b.c", "a.c a..c a.b.c.d a.b/c a.b"),
    ("a/*.c", "a/b.c", "a.b.c a/b/c"),
    ("*.*", "a.b", "a a.b.c a/b .b a."),
    (">", "a a.b a/b/c .", ""),
    ("orders.>", "orders.eu orders.eu.north orders.eu/1 orders..", "orders orders. orders/eu"),
    ("a/*.>", "a/b.c a/b.c.d/e", "a/b a/b. a/b/c a.b.c"),
    ("a..b", "a..b", "a.b a.x.b"),
    (".", ".", "/ a. .a"),
];

#[test]
fn names_match_or_do_not() {
    for (pattern, matching, others) in CASES {
        let pattern = Pattern::new(pattern).expect("a valid pattern");
        for name in matching.split_whitespace() {
            assert!(pattern.matches(name), "{pattern} and {name}");
        }
        for name in others.split_whitespace().chain([""]) {
            assert!(!pattern.matches(name), "{pattern} and {name}");
        }
    }
}

#[test]
fn what_is_no_pattern_is_refused() {
    let longest = "a".repeat(limits::NAME_BYTES_MAX);
    assert!(Pattern::new(&longest).is_ok());
    let too_long = longest + "a";
    for text in
        ["", "a*", "*a", "**", "a.>.b", ">.", ">>", "a>", "a b", "a.\u{e9}", "a:b", &too_long]
    {
        assert_eq!(Pattern::new(text).map_err(|why| why.code), Err(Code::InvalidName), "{text}");
    }
}

#[test]
fn a_pattern_without_wildcards_says_so() {
    for (pattern, prefix) in [("a.b", "a.b"), ("a.*", "a."), (">", ""), ("a/*.b/>", "a/")] {
        let checked = Pattern::new(pattern).expect("a valid pattern");
        assert_eq!(checked.is_literal(), prefix == pattern, "{pattern}");
        assert_eq!(checked.literal_prefix(), prefix, "{pattern}");
    }
}

/// The tokens of a name or pattern with the separators in front of them.
fn tokens(text: &str) -> Vec<(Option<char>, String)> {
    let mut tokens = vec![(None, String::new())];
    for letter in text.chars() {
        match letter {
            '.' | '/' => tokens.push((Some(letter), String::new())),
            letter => tokens.last_mut().expect("never empty").1.push(letter),
        }
    }
    tokens
}

/// The same question answered token by token.
fn matches_by_tokens(pattern: &str, name: &str) -> bool {
    let (wanted, given) = (tokens(pattern), tokens(name));
    for (index, (separator, token)) in wanted.iter().enumerate() {
        let Some((found, word)) = given.get(index) else { return false };
        if found != separator {
            return false;
        }
        match token.as_str() {
            ">" => return !word.is_empty() || given.len() > index + 1,
            "*" if !word.is_empty() => {}
            literal if literal == word => {}
            _ => return false,
        }
    }
    wanted.len() == given.len()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// Few letters, so that names match often.
    #[test]
    fn matching_is_comparing_tokens(
        pattern in r"([ab]?|\*)([./]([ab]?|\*)){0,3}([./]>)?",
        name in "[ab]{0,2}([./][ab]{0,2}){0,4}",
    ) {
        if let Ok(checked) = Pattern::new(&pattern) {
            prop_assert_eq!(checked.matches(&name), matches_by_tokens(&pattern, &name));
        }
    }

    /// A name that is made from a pattern by putting tokens in matches it.
    #[test]
    fn a_name_made_from_a_pattern_matches(pattern in further::patterns(), rest in "[a-c./]{1,9}") {
        let name = pattern.as_str().replace('*', "token").replace('>', &rest);
        prop_assert!(pattern.matches(&name), "{} and {}", pattern, name);
        prop_assert_eq!(pattern.is_literal(), name == pattern.as_str());
        prop_assert!(name.starts_with(pattern.literal_prefix()));
    }

    #[test]
    fn any_bytes_are_a_pattern_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(pattern) = Pattern::check(&bytes) {
            prop_assert_eq!(pattern.as_str().as_bytes(), &bytes);
        }
    }
}
