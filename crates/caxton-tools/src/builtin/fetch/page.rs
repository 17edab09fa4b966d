//! HTML to text. A page may be made to be hard: nested without end, or so that putting it right takes
//! a thousand times its size. Such a page has no tree ([`super::parse`]), and is stripped of its tags only.

use super::parse::parse;
use dom_smoothie::{Config, Readability, TextMode};
use std::thread;
use std::time::Duration;

/// Elements in all.
const ELEMENTS_MAX: usize = 50_000;
/// How long a page is parsed: well below what one that is no trap takes of the slowest machine.
const PARSE_PATIENCE: Duration = Duration::from_secs(4);
/// The stack of what reads a tree, which calls itself for each level: 80 KiB for each of the levels that
/// are taken, where it needs a few. What is not touched costs nothing.
const STACK_BYTES: usize = 32 << 20;
/// Elements within a line: no new one begins before or after them.
const FORMATTING: &[&str] = &[
    "a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u",
];
/// Elements whose content is not shown.
const HIDDEN: &[&str] = &["script", "style", "noscript", "template", "svg"];

/// The main text of a page as Markdown with links, and its title; none where there is none, or where
/// the page is made to be hard.
pub fn readable(html: &str, url: &str) -> Option<String> {
    let reader = thread::Builder::new()
        .name("page reader".to_owned())
        .stack_size(STACK_BYTES);
    thread::scope(|scope| {
        let reading = reader.spawn_scoped(scope, || read(html, url)).ok()?;
        reading.join().ok()?
    })
}

fn read(html: &str, url: &str) -> Option<String> {
    let config = Config {
        text_mode: TextMode::Markdown,
        max_elements_to_parse: ELEMENTS_MAX,
        disable_json_ld: true,
        ..Config::default()
    };
    let tree = parse(html, PARSE_PATIENCE)?;
    let reader = Readability::with_document(tree, Some(url), Some(config));
    let article = reader.ok()?.parse().ok()?;
    let (title, text) = (article.title.trim(), article.text_content.trim());
    if text.is_empty() {
        return None;
    }
    Some(match title {
        "" => text.to_owned(),
        title => format!("# {title}\n\n{text}"),
    })
}

/// A tag: its name in lower case, and whether it closes.
struct Tag {
    name: String,
    closes: bool,
    /// Where in the page it ends.
    end: usize,
}

/// The tag that begins at this `<`, if one does; roughly, since a quote may have a `>`. Nothing that has
/// to hold may be built on it.
fn tag(html: &str, at: usize) -> Option<Tag> {
    let rest = html.get(at + 1..)?;
    let (closes, rest_at) = match rest.strip_prefix('/') {
        Some(_) => (true, at + 2),
        None => (false, at + 1),
    };
    let name: String = html
        .get(rest_at..)?
        .chars()
        .take(32)
        .take_while(|it| it.is_ascii_alphanumeric() || *it == '-')
        .collect();
    if !name.starts_with(|it: char| it.is_ascii_alphabetic()) {
        return None;
    }
    let after = rest_at + name.len();
    let length = html.get(after..)?.find('>')?;
    Some(Tag {
        name: name.to_ascii_lowercase(),
        closes,
        end: after + length + 1,
    })
}

/// The text of a page without its tags, line by line; for what cannot be read better. Linear in the
/// page's size.
pub fn plain(html: &str) -> String {
    let mut text = String::new();
    let mut at = 0;
    while let Some(found) = html.get(at..).and_then(|rest| rest.find('<')) {
        push(&mut text, html.get(at..at + found).unwrap_or_default());
        at += found;
        let rest = html.get(at..).unwrap_or_default();
        if rest.starts_with("<!--") {
            let Some(end) = rest.find("-->") else {
                return text;
            };
            at += end + 3;
            continue;
        }
        let Some(tag) = tag(html, at) else {
            let Some(next) = unread(html, at) else {
                return text;
            };
            if next == at + 1 {
                push(&mut text, "<");
            }
            at = next;
            continue;
        };
        at = tag.end;
        if HIDDEN.contains(&tag.name.as_str()) && !tag.closes {
            let Some(end) = end_of(&tag.name, html, at) else {
                return text;
            };
            at = end;
        }
        if !FORMATTING.contains(&tag.name.as_str()) && tag.name != "span" {
            newline(&mut text);
        }
    }
    push(&mut text, html.get(at..).unwrap_or_default());
    text.trim().to_owned()
}

/// Where to go on after a `<` that begins no tag: after a declaration, or after the sign itself. Nowhere
/// where it begins what is never closed, since then nothing that begins after it is closed either.
fn unread(html: &str, at: usize) -> Option<usize> {
    let rest = html.get(at + 1..)?;
    let is_declared = rest.starts_with(['!', '?']);
    let name = rest.strip_prefix('/').unwrap_or(rest);
    if is_declared || name.starts_with(|it: char| it.is_ascii_alphabetic()) {
        return Some(at + 1 + rest.find('>')? + 1);
    }
    Some(at + 1)
}

/// Where the end tag of this name begins.
fn end_of(name: &str, html: &str, from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at += html.get(at..)?.find("</")?;
        let found = html.get(at + 2..at + 2 + name.len());
        if found.is_some_and(|it| it.eq_ignore_ascii_case(name)) {
            return Some(at);
        }
        at += 2;
    }
}

fn newline(text: &mut String) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
}

/// Text between tags, its spaces made one and its entities read.
fn push(text: &mut String, between: &str) {
    for word in between.split_whitespace() {
        if !text.is_empty() && !text.ends_with(['\n', ' ']) {
            text.push(' ');
        }
        if !word.contains('&') {
            text.push_str(word);
            continue;
        }
        let read = word
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&quot;", "\"")
            .replace("&#39;", "'")
            .replace("&nbsp;", " ")
            .replace("&amp;", "&");
        text.push_str(&read);
    }
}
