//! The files of the repository, and a reader that knows code from comments and literals.

use std::path::Path;

/// One text file.
pub struct File {
    /// Its path from the root of the repository, with `/`.
    pub path: String,
    /// What it says.
    pub text: String,
}

/// Folders that hold nothing written by hand. Hidden ones are left out too, but for these.
const GENERATED: [&str; 4] = ["target", "corpus", "artifacts", "proptest-regressions"];
const HIDDEN_BUT_OURS: [&str; 2] = [".ci", ".github"];

impl File {
    /// A file that exists only in a test.
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// Whether this is Rust.
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether a shell runs this.
    pub fn is_script(&self) -> bool {
        self.path.ends_with(".sh") || self.path == ".ci/run"
    }

    /// Rust with comments and literals blanked, line by line.
    pub fn code(&self) -> String {
        code_of(&self.text)
    }

    /// The lines that are neither blank nor comments, before the test module at the bottom.
    pub fn code_lines_without_tests(&self) -> usize {
        let code = self.code();
        let lines: Vec<&str> = code.lines().collect();
        let tests = lines.windows(2).position(|pair| {
            pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{')
        });
        let before_tests = &lines[..tests.unwrap_or(lines.len())];
        before_tests.iter().filter(|line| !line.trim().is_empty()).count()
    }
}

/// Every text file of the repository, by path.
pub fn repository() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    collect(root, root, &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<File>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the repository can be listed") {
        let path = entry.expect("a folder's entry can be read").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_symlink() || GENERATED.contains(&name) {
            continue;
        }
        if path.is_dir() {
            if !name.starts_with('.') || HIDDEN_BUT_OURS.contains(&name) {
                collect(root, &path, files);
            }
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            let path = path.strip_prefix(root).expect("the walk stays below the root");
            files.push(File { path: path.to_string_lossy().into_owned(), text });
        }
    }
}

/// Blanks comments, strings and characters, and keeps the lines.
pub fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word_before = code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let length = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => quoted(rest, 1, '"'),
            'r' | 'b' if !word_before => literal_with_prefix(rest),
            '\'' => character(rest),
            _ => 0,
        };
        if length == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            code.extend(rest[..length].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[length..];
        }
    }
    code
}

/// The bytes of a comment that may hold other comments.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// The bytes of a literal that opens with `open` bytes and ends at `end`, with escapes.
fn quoted(text: &str, open: usize, end: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(open) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == end => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The bytes of `r"..."`, `r#"..."#`, `b"..."`, `br"..."` or `b'x'`; 0 if this is a plain word.
fn literal_with_prefix(text: &str) -> usize {
    let prefix = text.bytes().take_while(|byte| b"rb".contains(byte)).count();
    let hashes = text[prefix..].bytes().take_while(|byte| *byte == b'#').count();
    let open = prefix + hashes;
    match text.as_bytes().get(open) {
        Some(b'"') if text[..prefix].contains('r') => {
            let end = format!("\"{}", "#".repeat(hashes));
            text[open + 1..].find(&end).map_or(text.len(), |at| open + 1 + at + end.len())
        }
        Some(b'"') if hashes == 0 => quoted(text, open + 1, '"'),
        Some(b'\'') if hashes == 0 && prefix == 1 => quoted(text, open + 1, '\''),
        _ => 0,
    }
}

/// The bytes of a character; 0 if this is a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), _) => quoted(text, 1, '\''),
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 0,
    }
}
