//! What comes back of a call: an agent's answer as a result, and as much of a result as an agent gets.

use crate::port::tool::ToolAnswer;
use caxton_core::model::Part;
use caxton_core::{Message, Performative};

/// What an agent's answer is as a result. That it refuses or fails is one too, which whoever asked may
/// make the best of.
pub(super) fn answered(answer: &Message) -> ToolAnswer {
    let act = answer.acl.performative;
    let said = match answer.acl.text() {
        Some(text) => text.to_owned(),
        None => format!("[{} bytes that are no text]", answer.acl.content.len()),
    };
    let is_error = matches!(
        act,
        Performative::Failure | Performative::Refuse | Performative::NotUnderstood
    );
    let text = match act {
        Performative::Inform => said,
        act => format!("{act}: {said}"),
    };
    ToolAnswer {
        is_error,
        ..ToolAnswer::text(text)
    }
}

pub(super) fn bytes(answer: &ToolAnswer) -> u64 {
    answer.parts.iter().map(|part| part.bytes() as u64).sum()
}

/// As much of an answer as an agent gets, and how much that is.
pub(super) fn cut(mut answer: ToolAnswer, bytes_max: usize) -> ToolAnswer {
    let mut left = bytes_max;
    for part in &mut answer.parts {
        let size = part.bytes();
        if size <= left {
            left -= size;
            continue;
        }
        *part = match part {
            Part::Text { text } => {
                let end = text.floor_char_boundary(left);
                let shown = text.get(..end).unwrap_or_default();
                Part::text(format!("{shown}\n[cut off: {size} bytes in all]"))
            }
            _ => Part::text(format!(
                "[{size} bytes are left out: more than may be shown]"
            )),
        };
        left = 0;
    }
    if answer
        .structured
        .as_ref()
        .is_some_and(|it| it.to_string().len() > bytes_max)
    {
        answer.structured = None;
    }
    answer
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::Value;

    #[test]
    fn an_answer_is_cut_between_characters_and_says_so() {
        let answer = ToolAnswer {
            parts: vec![Part::text("ab"), Part::text("ääää"), Part::text("x")],
            structured: Some(Value::String("y".repeat(10))),
            ..ToolAnswer::default()
        };
        assert_eq!(cut(answer.clone(), 100), answer);
        let less = cut(answer, 5);
        let texts: Vec<String> = less
            .parts
            .iter()
            .map(|part| match part {
                Part::Text { text } => text.clone(),
                _ => String::new(),
            })
            .collect();
        assert_eq!(texts[0], "ab");
        assert_eq!(texts[1], "ä\n[cut off: 8 bytes in all]");
        assert!(texts[2].starts_with("\n[cut off"));
        assert_eq!(less.structured, None);
    }
}
