//! The rules, in the order in which they are tried.

use super::{name_of, results};
use caxton_core::model::{ChatMessage, ChatRole, ModelRequest};

/// Largest number that is counted to.
const COUNT_MAX: u32 = 100;
/// Most of somebody's words that are repeated, in characters.
const QUOTE_CHARS_MAX: usize = 2_000;

const HELP: &str = "You can say: `my name is Ada`, then `what is my name?`; `count to 5`; \
                    `how many messages?`; `echo something`; `2 + 3`; `what are your instructions?`; \
                    `which tools do you have?`, then `use NAME …`. Other questions are looked up in \
                    my instructions.";

/// What is answered.
pub fn reply(request: &ModelRequest) -> String {
    let results = results(request);
    if !results.is_empty() {
        let told = results.iter().map(|(id, text, is_error)| {
            let name = name_of(request, id);
            let verb = if *is_error { "failed" } else { "answered" };
            format!("{name} {verb}: {}", quote(text))
        });
        return told.collect::<Vec<_>>().join("\n");
    }
    let text = last_text(request);
    let plain = plain(&text);
    let words: Vec<&str> = plain.split_whitespace().collect();
    RULES
        .iter()
        .find_map(|rule| rule(request, text.trim(), &words))
        .unwrap_or_else(|| otherwise(request, text.trim()))
}

type Rule = fn(&ModelRequest, &str, &[&str]) -> Option<String>;

const RULES: &[Rule] = &[
    empty,
    echo,
    asked_for_name,
    told_name,
    instructions,
    tools,
    help,
    count,
    how_many,
    earlier,
    date,
    sum,
    greeting,
    from_instructions,
];

fn last_text(request: &ModelRequest) -> String {
    let last = request
        .messages
        .last()
        .filter(|it| it.role == ChatRole::User);
    last.map(ChatMessage::text).unwrap_or_default()
}

/// Lower case, letters and digits only.
fn plain(text: &str) -> String {
    let plain = |c: char| {
        if c.is_alphanumeric() || c == '\'' {
            c
        } else {
            ' '
        }
    };
    text.to_lowercase().chars().map(plain).collect()
}

fn quote(text: &str) -> String {
    let mut kept: String = text.chars().take(QUOTE_CHARS_MAX).collect();
    if kept.len() < text.len() {
        kept.push('…');
    }
    kept
}

/// Whether these words stand one after the other.
fn says(words: &[&str], phrase: &str) -> bool {
    let phrase: Vec<&str> = phrase.split(' ').collect();
    words.windows(phrase.len()).any(|window| window == phrase)
}

fn says_any(words: &[&str], phrases: &[&str]) -> bool {
    phrases.iter().any(|phrase| says(words, phrase))
}

fn empty(_: &ModelRequest, text: &str, _: &[&str]) -> Option<String> {
    text.is_empty()
        .then(|| "Say something; `help` tells what I understand.".to_owned())
}

fn echo(_: &ModelRequest, text: &str, _: &[&str]) -> Option<String> {
    let (word, rest) = text.split_once(char::is_whitespace)?;
    let word = word.trim_end_matches(':').to_lowercase();
    let asked = ["echo", "say", "repeat"].contains(&&*word);
    asked.then(|| quote(rest.trim()))
}

fn asked_for_name(request: &ModelRequest, _: &str, words: &[&str]) -> Option<String> {
    if says_any(
        words,
        &[
            "your name",
            "who are you",
            "what are you",
            "are you an ai",
            "are you a llm",
        ],
    ) {
        let told = identity(&request.system);
        return Some(match told {
            Some(who) => {
                format!("My instructions say that I am {who}. What answers you is `demo`.")
            }
            None => {
                "I am `demo`, a set of rules. My instructions give me no other name.".to_owned()
            }
        });
    }
    if !says_any(words, &["my name", "who am i", "know me", "remember me"])
        || words.contains(&"is") && told(words).is_some()
    {
        return None;
    }
    let texts = request
        .messages
        .iter()
        .rev()
        .filter(|it| it.role == ChatRole::User);
    let name = texts.map(ChatMessage::text).find_map(|text| name_in(&text));
    Some(match name {
        Some(name) => format!("Your name is {name}: you told me."),
        None => "You have not told me your name.".to_owned(),
    })
}

fn told_name(_: &ModelRequest, text: &str, _: &[&str]) -> Option<String> {
    let name = name_in(text)?;
    Some(format!(
        "Pleased to meet you, {name}. Ask me for your name whenever you like."
    ))
}

/// The word after `my name is` and its like.
fn told<'w>(words: &[&'w str]) -> Option<&'w str> {
    const BEFORE: &[&[&str]] = &[
        &["my", "name", "is"],
        &["call", "me"],
        &["my", "name's"],
        &["i'm", "called"],
    ];
    BEFORE.iter().find_map(|before| {
        let at = words
            .windows(before.len())
            .position(|window| window == *before)?;
        words.get(at + before.len()).copied()
    })
}

/// A name somebody gave, in the letters they gave it in.
fn name_in(text: &str) -> Option<String> {
    let low = plain(text);
    let words: Vec<&str> = low.split_whitespace().collect();
    let name = told(&words)?;
    // A question is no introduction.
    if ["what", "who", "not", "unknown"].contains(&name) || words.first() == Some(&"what") {
        return None;
    }
    let parts = text.split(|c: char| !c.is_alphanumeric() && c != '\'' && c != '-');
    let mut own = parts.filter(|part| part.to_lowercase().starts_with(name));
    own.next().map(str::to_owned)
}

/// `You are …` in the instructions.
fn identity(system: &str) -> Option<String> {
    let low = system.to_lowercase();
    let at = low.find("you are ")? + "you are ".len();
    let rest = system.get(at..)?;
    let end = rest.find(['.', '\n', ';', '!']).unwrap_or(rest.len());
    rest.get(..end)
        .map(|who| who.trim().to_owned())
        .filter(|who| !who.is_empty())
}

fn instructions(request: &ModelRequest, _: &str, words: &[&str]) -> Option<String> {
    if !says_any(
        words,
        &[
            "your instructions",
            "your prompt",
            "your rules",
            "system prompt",
            "what do you know",
            "what can you tell me",
        ],
    ) {
        return None;
    }
    let lines = sentences(&request.system);
    if lines.is_empty() {
        return Some("I have no instructions: the agent's `prompt` is empty.".to_owned());
    }
    let lines = lines
        .iter()
        .enumerate()
        .map(|(n, line)| format!("{}. {line}", n + 1));
    Some(format!(
        "My instructions:\n{}",
        lines.collect::<Vec<_>>().join("\n")
    ))
}

fn tools(request: &ModelRequest, _: &str, words: &[&str]) -> Option<String> {
    let asked = words.contains(&"tools") || says_any(words, &["what can you use"]);
    if !asked {
        return None;
    }
    if request.tools.is_empty() {
        return Some("I have no tools here.".to_owned());
    }
    let lines = request
        .tools
        .iter()
        .map(|tool| match tool.description.lines().next() {
            Some(line) if !line.is_empty() => format!("- {}: {line}", tool.name),
            _ => format!("- {}", tool.name),
        });
    let lines: Vec<String> = lines.collect();
    Some(format!(
        "My tools:\n{}\nSay `use NAME …` with what it needs.",
        lines.join("\n")
    ))
}

fn help(_: &ModelRequest, _: &str, words: &[&str]) -> Option<String> {
    let asked = matches!(words, ["help", ..])
        || says_any(words, &["what can you do", "can you help", "help me"]);
    asked.then(|| HELP.to_owned())
}

fn count(_: &ModelRequest, _: &str, words: &[&str]) -> Option<String> {
    if !words.contains(&"count") || !words.contains(&"to") {
        return None;
    }
    let to: u32 = words.iter().find_map(|word| word.parse().ok())?;
    if to > COUNT_MAX {
        return Some(format!("I count to {COUNT_MAX} at most."));
    }
    let numbers: Vec<String> = (1..=to).map(|n| n.to_string()).collect();
    Some(numbers.join(" "))
}

fn how_many(request: &ModelRequest, _: &str, words: &[&str]) -> Option<String> {
    if !says_any(
        words,
        &[
            "how many messages",
            "how many times",
            "how often",
            "message is this",
        ],
    ) {
        return None;
    }
    let own = request
        .messages
        .iter()
        .filter(|it| it.role == ChatRole::User);
    let own = own.filter(|it| !it.text().is_empty()).count();
    let plural = if own == 1 { "" } else { "s" };
    Some(format!(
        "You have sent {own} message{plural} in this conversation."
    ))
}

fn earlier(request: &ModelRequest, _: &str, words: &[&str]) -> Option<String> {
    if !says_any(
        words,
        &["did i say", "have i said", "did i ask", "did i tell"],
    ) {
        return None;
    }
    let texts = request
        .messages
        .iter()
        .filter(|it| it.role == ChatRole::User)
        .map(ChatMessage::text);
    let mut texts: Vec<String> = texts.filter(|text| !text.is_empty()).collect();
    texts.pop();
    let found = if words.contains(&"first") {
        texts.first()
    } else {
        texts.last()
    };
    Some(match found {
        Some(text) => format!("You said: {}", quote(text)),
        None => "Nothing before this.".to_owned(),
    })
}

fn date(_: &ModelRequest, _: &str, words: &[&str]) -> Option<String> {
    let asked = says_any(
        words,
        &[
            "what time",
            "the time",
            "the date",
            "what date",
            "what day",
            "which day",
            "what year",
            "weather",
        ],
    );
    asked.then(|| "I do not know: I see this conversation and nothing else, no clock and no window. A tool could tell me.".to_owned())
}

/// `a op b`, whole numbers.
fn sum(_: &ModelRequest, text: &str, _: &[&str]) -> Option<String> {
    let at = text.find(|c: char| c.is_ascii_digit())?;
    let from = if text.get(..at)?.ends_with('-') {
        at - 1
    } else {
        at
    };
    let term = text
        .get(from..)?
        .trim_end_matches(['?', '.', '!', '=', ' ']);
    let op_at = term.get(1..)?.find(['+', '-', '*', '/', '×'])? + 1;
    let (left, rest) = term.split_at(op_at);
    let op = rest.chars().next()?;
    let left: i64 = left.trim().parse().ok()?;
    let right: i64 = rest.get(op.len_utf8()..)?.trim().parse().ok()?;
    let value = match op {
        '+' => left.checked_add(right),
        '-' => left.checked_sub(right),
        '/' if right == 0 => return Some("Nothing can be divided by 0.".to_owned()),
        '/' if left % right != 0 => {
            return Some(format!("{} and a rest of {}.", left / right, left % right));
        }
        '/' => left.checked_div(right),
        _ => left.checked_mul(right),
    };
    Some(value.map_or_else(
        || "That is more than I can count.".to_owned(),
        |value| value.to_string(),
    ))
}

fn greeting(_: &ModelRequest, _: &str, words: &[&str]) -> Option<String> {
    let answer = match words {
        ["hello" | "hi" | "hey" | "hallo" | "moin", ..]
        | ["good", "morning" | "evening" | "day", ..] => "Hello! `help` tells what I understand.",
        ["thanks" | "thank", ..] => "You are welcome.",
        ["bye" | "goodbye", ..] => "Good bye!",
        ["how", "are", "you", ..] => "As well as rules can be. `help` tells what I understand.",
        ["ping"] => "pong",
        _ => return None,
    };
    Some(answer.to_owned())
}

/// The sentence of the instructions that has most to do with the question.
fn from_instructions(request: &ModelRequest, _: &str, words: &[&str]) -> Option<String> {
    let asked: Vec<String> = words.iter().filter(means).map(|word| stem(word)).collect();
    let score = |line: &String| {
        let low = plain(line);
        let has: Vec<String> = low.split_whitespace().map(stem).collect();
        asked.iter().filter(|word| has.contains(word)).count()
    };
    let lines = sentences(&request.system);
    // The first of the best.
    let best = lines
        .iter()
        .rev()
        .max_by_key(|line| score(line))
        .filter(|line| score(line) > 0)?;
    Some(answer_of(best))
}

/// Of `If asked for X, say Y` the Y; any other sentence as it stands.
fn answer_of(line: &str) -> String {
    const BEFORE: &[&str] = &[
        " say ",
        " answer ",
        " reply ",
        " respond with ",
        " tell them ",
        "A: ",
    ];
    let found = BEFORE.iter().find_map(|before| line.split_once(before));
    match found {
        Some((condition, answer)) if condition.len() < line.len() / 2 + 40 => answer
            .trim_matches(['"', '\u{201c}', '\u{201d}', ':', ' '])
            .to_owned(),
        _ => format!("From my instructions: {line}"),
    }
}

fn sentences(system: &str) -> Vec<String> {
    let lines = system
        .lines()
        .flat_map(|line| line.split_inclusive(['.', '!', '?']));
    let lines = lines.map(|line| {
        line.trim()
            .trim_start_matches(['-', '*', '#', ' '])
            .to_owned()
    });
    lines
        .filter(|line| line.chars().any(char::is_alphabetic))
        .collect()
}

/// Whether a word says what a question is about.
fn means(word: &&&str) -> bool {
    const NOT: &[&str] = &[
        "what", "when", "where", "which", "who", "how", "the", "and", "are", "you", "your", "can",
        "does", "did", "for", "with", "about", "tell", "please", "that", "this", "there", "have",
        "has", "was", "will", "would", "could", "should", "from", "into", "its", "it's", "not",
        "is",
    ];
    word.len() > 2 && !NOT.contains(*word)
}

/// The same for singular and plural, near enough.
fn stem(word: &str) -> String {
    let cut = ["ing", "es", "ed", "s"]
        .iter()
        .find_map(|end| word.strip_suffix(end));
    cut.filter(|cut| cut.len() > 2).unwrap_or(word).to_owned()
}

fn otherwise(request: &ModelRequest, text: &str) -> String {
    let known = if request.system.is_empty() {
        ""
    } else {
        " and nothing in my instructions is about it"
    };
    format!(
        "You said: {}\nI have no rule for that{known}. `help` tells what I understand.",
        quote(text)
    )
}
