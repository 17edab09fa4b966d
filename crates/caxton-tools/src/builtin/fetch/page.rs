//! HTML to text. A page may be made to be hard: nested without end, or so that putting it right takes
//! a thousand times its size. Such a page is seen before it is parsed, and stripped of its tags only.

use dom_smoothie::{Config, Readability, TextMode};
use std::collections::HashMap;

/// Elements that are open at one time.
const OPEN_MAX: usize = 400;
/// Elements in all.
const ELEMENTS_MAX: usize = 50_000;
/// Elements that the parser may open again, times the places where it may have to.
const REOPENED_MAX: usize = 1_000_000;
/// Bytes of text without any tag: more is no prose, and some of what reads it takes its square.
const RUN_BYTES_MAX: usize = 64 << 10;
/// Elements that have no end.
const VOID: &[&str] = &[
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track",
    "wbr", "param",
];
/// Elements that a parser opens again after each paragraph in which they were left open.
const FORMATTING: &[&str] = &[
    "a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u",
];
/// Elements whose content is not shown.
const HIDDEN: &[&str] = &["script", "style", "noscript", "template", "svg"];

/// The main text of a page as Markdown with links, and its title; none where there is none, or where
/// the page is made to be hard.
pub fn readable(html: &str, url: &str) -> Option<String> {
    if !is_tame(html) {
        return None;
    }
    let config = Config {
        text_mode: TextMode::Markdown,
        max_elements_to_parse: ELEMENTS_MAX,
        disable_json_ld: true,
        ..Config::default()
    };
    let article = Readability::new(html, Some(url), Some(config))
        .ok()?
        .parse();
    let article = article.ok()?;
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

/// The tag that begins at this `<`, if one does.
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

/// Whether a parser, and what walks over what it makes, can be trusted with a page.
fn is_tame(html: &str) -> bool {
    let mut open: HashMap<String, usize> = HashMap::new();
    let (mut elements, mut deep, mut formatting, mut formatting_most) = (0, 0_usize, 0_usize, 0);
    let mut at = 0;
    while let Some(found) = html.get(at..).and_then(|rest| rest.find('<')) {
        at += found;
        if found > RUN_BYTES_MAX {
            return false;
        }
        let Some(tag) = tag(html, at) else {
            match unread(html, at) {
                Some(next) => at = next,
                None => break,
            }
            continue;
        };
        at = tag.end;
        let is_formatting = FORMATTING.contains(&tag.name.as_str());
        if tag.closes {
            let count = open.entry(tag.name).or_default();
            if *count > 0 {
                *count -= 1;
                deep -= 1;
                formatting -= usize::from(is_formatting);
            }
            continue;
        }
        elements += 1;
        if VOID.contains(&tag.name.as_str()) {
            continue;
        }
        if ["script", "style"].contains(&tag.name.as_str()) {
            at = end_of(&tag.name, html, at).unwrap_or(html.len());
        }
        *open.entry(tag.name).or_default() += 1;
        deep += 1;
        formatting += usize::from(is_formatting);
        formatting_most = formatting_most.max(formatting);
        if deep > OPEN_MAX || elements > ELEMENTS_MAX {
            return false;
        }
    }
    let rest = html.len() - at.min(html.len());
    rest <= RUN_BYTES_MAX && formatting_most * elements <= REOPENED_MAX
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
