//! One Rust file, seen as the rules need it: which text is code, and which lines are tests.
//!
//! A small scanner rather than a parser: rules look for names, and what misleads a plain search is
//! only comments, literals and test modules. Compiling a real parser would cost every command of
//! xtask seconds. What the scanner cannot know: what a macro expands to.

/// A Rust file split into lines.
pub struct Source {
    lines: Vec<Line>,
}

/// One line of a Rust file.
pub struct Line {
    /// As written.
    pub text: String,
    /// With comments and the contents of literals blanked.
    pub code: String,
    /// In a test file, or in an item under `#[cfg(test)]`.
    pub test: bool,
}

impl Source {
    pub fn parse(path: &str, text: &str) -> Source {
        let blanked = blank(text);
        let tests = test_lines(&blanked);
        let whole_file = is_test_path(path);
        let lines = text
            .lines()
            .zip(blanked.lines())
            .enumerate()
            .map(|(index, (text, code))| Line {
                text: text.to_string(),
                code: code.to_string(),
                test: whole_file || tests.iter().any(|&(from, to)| from <= index && index <= to),
            })
            .collect();
        Source { lines }
    }

    /// The lines with their numbers, from 1.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &Line)> {
        self.lines
            .iter()
            .enumerate()
            .map(|(index, line)| (index + 1, line))
    }

    /// The lines that are not tests, with their numbers.
    pub fn shipped(&self) -> impl Iterator<Item = (usize, &Line)> {
        self.lines().filter(|(_, line)| !line.test)
    }

    pub fn shipped_count(&self) -> usize {
        self.shipped().count()
    }
}

/// Files that are tests as a whole: integration tests, benches, a module's sibling `tests.rs`, and
/// the crate that exists for tests.
fn is_test_path(path: &str) -> bool {
    path.ends_with("/tests.rs")
        || path.contains("/tests/")
        || path.contains("/benches/")
        || path.starts_with("crates/caxton-testkit/")
}

/// Replaces comments and the contents of string and char literals by spaces; keeps every newline,
/// so that line numbers hold.
fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let mut out = String::with_capacity(text.len());
    let mut index = 0;
    while index < chars.len() {
        let end = match at(index) {
            '/' if at(index + 1) == '/' => line_end(&chars, index),
            '/' if at(index + 1) == '*' => block_comment_end(&chars, index),
            '"' => string_end(&chars, index),
            '\'' => char_end(&chars, index),
            'r' | 'b' | 'c' if index == 0 || !is_word(at(index - 1)) => raw_end(&chars, index),
            _ => index,
        };
        if end == index {
            out.push(at(index));
            index += 1;
            continue;
        }
        for &c in chars.get(index..end.min(chars.len())).unwrap_or_default() {
            out.push(if c == '\n' { '\n' } else { ' ' });
        }
        index = end;
    }
    out
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn line_end(chars: &[char], start: usize) -> usize {
    let rest = chars.get(start..).unwrap_or_default();
    start + rest.iter().position(|&c| c == '\n').unwrap_or(rest.len())
}

/// Block comments nest in Rust.
fn block_comment_end(chars: &[char], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut index = start;
    while index < chars.len() {
        match (chars.get(index), chars.get(index + 1)) {
            (Some('/'), Some('*')) => {
                depth += 1;
                index += 2;
            }
            (Some('*'), Some('/')) => {
                depth -= 1;
                index += 2;
                if depth == 0 {
                    return index;
                }
            }
            _ => index += 1,
        }
    }
    chars.len()
}

fn string_end(chars: &[char], start: usize) -> usize {
    let mut index = start + 1;
    while let Some(&c) = chars.get(index) {
        match c {
            '\\' => index += 2,
            '"' => return index + 1,
            _ => index += 1,
        }
    }
    chars.len()
}

/// The end of a char literal, or `start` itself where the quote begins a lifetime.
fn char_end(chars: &[char], start: usize) -> usize {
    if chars.get(start + 1) == Some(&'\\') {
        // The escaped character itself may be a quote; `\u{…}` is the longest form.
        let rest = chars.get(start + 3..).unwrap_or_default();
        return rest
            .iter()
            .position(|&c| c == '\'')
            .map_or(start, |close| start + 4 + close);
    }
    if chars.get(start + 2) == Some(&'\'') {
        start + 3
    } else {
        start
    }
}

/// The end of a raw, byte or C string that starts here, or `start` itself where a name does.
fn raw_end(chars: &[char], start: usize) -> usize {
    let mut index = start;
    while matches!(chars.get(index), Some('r' | 'b' | 'c')) && index < start + 2 {
        index += 1;
    }
    let raw = chars.get(start..index).unwrap_or_default().contains(&'r');
    let hashes_from = index;
    while raw && chars.get(index) == Some(&'#') {
        index += 1;
    }
    let hashes = index - hashes_from;
    match chars.get(index) {
        Some('"') if !raw => string_end(chars, index),
        Some('"') => {
            index += 1;
            while index < chars.len() {
                let closes = chars.get(index) == Some(&'"')
                    && (1..=hashes).all(|n| chars.get(index + n) == Some(&'#'));
                if closes {
                    return index + 1 + hashes;
                }
                index += 1;
            }
            chars.len()
        }
        Some('\'') if !raw => char_end(chars, index).max(start),
        _ => start,
    }
}

/// First and last line (from 0) of every item under `#[cfg(test)]`, in blanked code.
fn test_lines(code: &str) -> Vec<(usize, usize)> {
    let mut spans: Vec<(usize, usize)> = Vec::new();
    for (start, _) in code.match_indices("#[cfg(test)]") {
        let line_of = |offset: usize| code.get(..offset).unwrap_or(code).matches('\n').count();
        let end = item_end(code, start + "#[cfg(test)]".len());
        spans.push((line_of(start), line_of(end)));
    }
    spans
}

/// Where the item that begins at `from` ends: its closing brace, or the semicolon of one without.
fn item_end(code: &str, from: usize) -> usize {
    let mut depth = 0_i32;
    for (offset, c) in code.get(from..).unwrap_or_default().char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' if depth <= 1 => return from + offset,
            '}' | ')' | ']' => depth -= 1,
            ';' if depth == 0 => return from + offset,
            _ => {}
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;

    #[track_caller]
    fn check_blank(text: &str, expected: &str) {
        assert_eq!(blank(text), expected);
    }

    #[test]
    fn blanks_what_is_not_code() {
        check_blank("a // b\nc", "a     \nc");
        check_blank("a /* b /* c */ d */ e", "a                   e");
        check_blank(r#"f("x\"y") g"#, "f(      ) g");
        check_blank(r##"f(r#"a"b"#) g"##, "f(        ) g");
        check_blank("f(b\"x\", br\"y\")", "f(    ,      )");
        check_blank(
            "'x' '\\'' '\\u{41}' 'a: &'static",
            "                  'a: &'static",
        );
        check_blank("r#type = bar", "r#type = bar");
        check_blank("\"open", "     ");
    }

    #[test]
    fn finds_the_lines_of_tests() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() { \"}\"; }\n}\nfn c() {}\n\
                    #[cfg(test)]\nuse x;\nfn d() {}\n";
        let source = Source::parse("crates/x/src/lib.rs", text);
        let tests: Vec<bool> = source.lines().map(|(_, line)| line.test).collect();
        assert_eq!(
            tests,
            [false, true, true, true, true, false, true, true, false]
        );
        assert_eq!(source.shipped_count(), 3);
    }

    #[test]
    fn knows_files_that_are_tests_as_a_whole() {
        for path in [
            "crates/a/tests/b.rs",
            "crates/a/src/b/tests.rs",
            "crates/a/benches/b.rs",
        ] {
            assert_eq!(
                Source::parse(path, "fn a() {}\n").shipped_count(),
                0,
                "{path}"
            );
        }
        assert_eq!(
            Source::parse("crates/a/src/latest.rs", "fn a() {}\n").shipped_count(),
            1
        );
    }
}
