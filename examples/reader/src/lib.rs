//! An agent that calls a tool. It shows the three ends of a call: an answer, a failure in the tool's own
//! terms, and an error of the server's, which has a code.

use caxton_agent::{Agent, Message, Performative, tools};
use serde_json::json;

/// What counts, where a request names nothing else.
const COUNT: &str = "wordcount.count";
/// How a request begins that names a function: its arguments are the lines after the first. With a number
/// before the name it is called so often, and the last answer is the answer.
const CALL: &str = "call ";

struct Reader;

impl Agent for Reader {
    fn handle(message: Message) -> Result<(), String> {
        let told = match message.performative {
            Performative::Request => read(&message),
            Performative::QueryRef => offered(),
            _ => return Ok(message.answer_not_understood("a reader takes request and query-ref")?),
        };
        let reply = match told {
            Ok(text) => message.reply(Performative::Inform).content(text),
            Err(why) => message.reply(Performative::Failure).content(why),
        };
        Ok(reply.send().map(drop)?)
    }
}

caxton_agent::export!(Reader);

fn read(message: &Message) -> Result<String, String> {
    let text = message.text().ok_or("the content is no text")?;
    let (times, name, arguments) = wanted(text);
    let mut answer = tools::call(&name, &arguments)?;
    for _ in 1..times {
        answer = tools::call(&name, &arguments)?;
    }
    answer.into_text()
}

/// How often a request calls which function, and its arguments.
fn wanted(text: &str) -> (u32, String, String) {
    if let Some(rest) = text.strip_prefix(CALL) {
        let (name, arguments) = rest.split_once('\n').unwrap_or((rest, "{}"));
        let numbered = name.split_once(' ');
        let numbered = numbered.and_then(|(times, name)| Some((times.parse().ok()?, name)));
        let (times, name) = numbered.unwrap_or((1, name));
        return (times, name.trim().to_owned(), arguments.to_owned());
    }
    (1, COUNT.to_owned(), json!({ "text": text }).to_string())
}

/// A line for each function this agent may call.
fn offered() -> Result<String, String> {
    let functions = tools::list()?;
    let lines = functions
        .iter()
        .map(|function| format!("{}: {}", function.name, function.description));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_counted_unless_it_names_a_function() {
        let wanted = |text| wanted(text);
        assert_eq!(
            wanted("a \"b\""),
            (1, COUNT.to_owned(), r#"{"text":"a \"b\""}"#.to_owned())
        );
        assert_eq!(
            wanted("call unruly.flood\n{\"bytes\": 3}"),
            (1, "unruly.flood".to_owned(), "{\"bytes\": 3}".to_owned())
        );
        assert_eq!(wanted("call 3 unruly.look").0, 3);
        assert_eq!(wanted("call three unruly.look").1, "three unruly.look");
        assert_eq!(wanted("call unruly.spin").2, "{}");
        assert_eq!(wanted("calling").1, COUNT);
    }
}
