//! What a message says, for people. What doors ask of an assistant is a document of our own
//! ([`ASK_LANGUAGE`]), of which people see what the user said.

use caxton_api::v1::{Message, message};
use caxton_core::model::Part;
use caxton_core::session::{ASK_LANGUAGE, Ask, Say};

/// What a message says, for people. JSON and YAML have it as it was sent.
pub fn content(message: &Message) -> String {
    match &message.body {
        None => String::new(),
        Some(message::Body::Content(text)) => match message.language.as_deref() {
            Some(ASK_LANGUAGE) => asked(text).unwrap_or_else(|| text.clone()),
            _ => text.clone(),
        },
        Some(message::Body::ContentBase64(bytes)) => format!("({} bytes)", bytes.len()),
    }
}

/// `None` where a newer server asks what is not known here.
fn asked(text: &str) -> Option<String> {
    Some(match serde_json::from_str(text).ok()? {
        Ask::Say(say) => said(&say),
        Ask::Reset { .. } => "(begin the session anew)".to_owned(),
        Ask::Remove => "(forget the session)".to_owned(),
        Ask::Configure { .. } => "(change the session)".to_owned(),
    })
}

fn said(say: &Say) -> String {
    let handed = say.handed.as_ref();
    let handed = handed.map(|it| format!("(handed over by {}) {}", it.from, it.note));
    let parts = say.parts.iter().filter_map(part);
    let all: Vec<String> = handed.into_iter().chain(parts).collect();
    all.join(" ")
}

fn part(part: &Part) -> Option<String> {
    Some(match part {
        Part::Text { text } => text.clone(),
        Part::Image { .. } => "[image]".to_owned(),
        Part::ToolCall { name, .. } => format!("[calls {name}]"),
        Part::ToolResult { parts, .. } => {
            let parts: Vec<String> = parts.iter().filter_map(self::part).collect();
            format!("[result: {}]", parts.join(" "))
        }
        Part::Thinking { .. } | Part::Extra { .. } => return None,
        Part::Other { .. } => "[other]".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use caxton_core::session::Handed;

    fn check(ask: &Ask, expected: &str) {
        let message = Message {
            language: Some(ASK_LANGUAGE.to_owned()),
            body: Some(message::Body::Content(serde_json::to_string(ask).unwrap())),
            ..Message::default()
        };
        assert_eq!(content(&message), expected);
    }

    #[test]
    fn what_is_asked_of_an_assistant_reads_as_it_was_said() {
        let text = |text: &str| Part::Text {
            text: text.to_owned(),
        };
        let say = |parts| Say {
            parts,
            ..Say::default()
        };
        check(&Ask::Say(Box::new(say(vec![text("good day")]))), "good day");
        let answered = Part::ToolResult {
            id: "1".to_owned(),
            parts: vec![text("12")],
            is_error: false,
        };
        check(
            &Ask::Say(Box::new(say(vec![answered, text("and?")]))),
            "[result: 12] and?",
        );
        let handed = Say {
            handed: Some(Handed {
                from: "clerk".to_owned(),
                note: "a bill".to_owned(),
                hands: 1,
                spent: Default::default(),
            }),
            ..say(vec![text("pay it")])
        };
        check(
            &Ask::Say(Box::new(handed)),
            "(handed over by clerk) a bill pay it",
        );
        check(&Ask::Reset { summarize: true }, "(begin the session anew)");
    }

    #[test]
    fn what_is_not_known_stands_as_it_is() {
        let message = |language: &str, text: &str| Message {
            language: Some(language.to_owned()),
            body: Some(message::Body::Content(text.to_owned())),
            ..Message::default()
        };
        let newer = r#"{"ask":"sing"}"#;
        assert_eq!(content(&message(ASK_LANGUAGE, newer)), newer);
        let other = r#"{"ask":"say","parts":[]}"#;
        assert_eq!(content(&message("json", other)), other);
    }
}
