//! Patterns over names: nothing is allocated, and a name is matched as its tokens say.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ringway_fuzz::bounded;
use ringway_protocol::{Pattern, QueueName};

/// The same question answered token by token.
fn matches_by_tokens(pattern: &str, name: &str) -> bool {
    // The separators are tokens too: what stands for any token does not stand for them.
    let cut = |text| -> Vec<String> {
        let apart = |letter| match letter {
            '.' | '/' => format!("\0{letter}\0"),
            letter => String::from(letter),
        };
        let text: String = str::chars(text).map(apart).collect();
        text.split('\0').map(str::to_owned).collect()
    };
    let (wanted, given) = (cut(pattern), cut(name));
    for (index, token) in wanted.iter().enumerate() {
        let Some(word) = given.get(index) else { return false };
        let alike = match token.as_str() {
            ">" => return !word.is_empty() || given.len() > index + 1,
            "*" => !word.is_empty(),
            literal => literal == word,
        };
        if !alike {
            return false;
        }
    }
    wanted.len() == given.len()
}

// A pattern and a name, with a line break between them.
fuzz_target!(|input: &[u8]| {
    let mut parts = input.splitn(2, |byte| *byte == b'\n');
    let (Some(pattern), Some(name)) = (parts.next(), parts.next()) else { return };
    let Ok(pattern) = bounded(0, || Pattern::check(pattern)) else { return };
    let Ok(name) = QueueName::check(name) else { return };
    let matches = bounded(0, || pattern.matches(name));
    assert_eq!(matches, matches_by_tokens(pattern.as_str(), name), "{pattern} and {name}");
});
