//! Reads `docs/protocol.md` as data: its examples in fenced blocks, and the rows of its tables.

/// The page.
pub const PAGE: &str = include_str!("../../../docs/protocol.md");

/// The lines of each fenced block whose opening line starts so, with what follows on that line.
fn blocks(opening: &str) -> Vec<(&'static str, Vec<&'static str>)> {
    let mut blocks = Vec::new();
    let mut lines = PAGE.lines();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix(opening) {
            let body = lines.by_ref().take_while(|line| *line != "```");
            blocks.push((name.trim(), body.collect()));
        }
    }
    blocks
}

/// Every example in hexadecimal: its name and its bytes.
pub fn examples() -> Vec<(&'static str, Vec<u8>)> {
    let byte = |digits: &str| {
        assert_eq!(digits.len(), 2, "a byte has two digits: {digits}");
        u8::from_str_radix(digits, 16).expect("a hexadecimal byte")
    };
    let bytes = |line: &&'static str| -> Vec<u8> {
        line.split(';').next().unwrap_or("").split_whitespace().map(byte).collect()
    };
    let blocks = blocks("```hex").into_iter();
    blocks.map(|(name, lines)| (name, lines.iter().flat_map(bytes).collect())).collect()
}

/// The words of each worked example of routing.
#[allow(dead_code, reason = "some readers want the examples only")]
pub fn routes() -> Vec<Vec<&'static str>> {
    let lines = blocks("```shards").into_iter().flat_map(|(_, lines)| lines);
    lines.map(|line| line.split_whitespace().collect()).collect()
}

/// The cells of every row of every table.
#[allow(dead_code, reason = "some readers want the examples only")]
pub fn rows() -> Vec<Vec<&'static str>> {
    let rows = PAGE.lines().filter(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}
