//! What does not fit into the model's window: summed up, left out, or shortened.

use super::*;

/// Exchanges of about so many tokens each.
fn history(exchanges: usize, tokens: usize) -> Vec<ChatMessage> {
    let exchange = |n: usize| {
        let question = format!("q{n} {}", "x".repeat(tokens * 2));
        [
            ChatMessage::user(question),
            ChatMessage::assistant("y".repeat(tokens * 2)),
        ]
    };
    (0..exchanges).flat_map(exchange).collect()
}

#[test]
fn a_long_history_is_summed_up_and_the_newest_stay() {
    let mut turn = turn_with(settings(), context(&history(8, 1_000)));
    let effects = check(&mut turn, Event::Begin, &["ask for a summary"]);
    let asked = request(&effects);
    assert!(asked.tools.is_empty() && asked.messages.len() == 1);
    assert!(asked.tokens_estimate() + u64::from(asked.output_tokens_max) <= 8_000);
    assert!(asked.messages[0].text().contains("User: q0"));
    let effects = check(
        &mut turn,
        answered(&[text("They spoke of x.")]),
        &["notice older messages of the session were summed up", "ask"],
    );
    let asked = request(&effects);
    assert_eq!(
        asked.system,
        format!("Be kind.\n\nWhat was said before, summed up:\nThey spoke of x.")
    );
    assert!(asked.tokens_estimate() <= 7_500 * 8 / 10);
    assert_eq!(asked.messages.last().unwrap().text(), "how are you?");
    assert!(
        asked.messages[0].text().starts_with("q6"),
        "{:?}",
        asked.messages[0].text().get(..3)
    );
    assert_eq!(turn.clone().into_context().seen_from, 10 + 12);
    check(&mut turn, answered(&[text("well")]), &["completed End"]);
}

#[test]
fn a_summary_stands_for_the_one_before_it_too() {
    let mut context = context(&history(8, 1_000));
    context.summary = Some("Long ago: Oslo.".into());
    let mut turn = turn_with(settings(), context);
    let effects = check(&mut turn, Event::Begin, &["ask for a summary"]);
    assert!(
        request(&effects).messages[0]
            .text()
            .contains("Long ago: Oslo.")
    );
    check(
        &mut turn,
        answered(&[text("Oslo, and x.")]),
        &["notice older messages of the session were summed up", "ask"],
    );
    assert_eq!(
        turn.clone().into_context().summary.as_deref(),
        Some("Oslo, and x.")
    );
}

#[test]
fn where_no_summary_comes_the_oldest_are_left_out_honestly() {
    let left_out =
        "notice older messages of the session do not fit into the model's window and were left out";
    for event in [
        broke(Code::ModelUnavailable, &[]),
        answered(&[text(&"as long as all of it ".repeat(2_000))]),
        answered(&[text("  ")]),
    ] {
        // As long as the window alone makes a summary longer than what it stands for.
        let mut context = context(&history(80, 100));
        context.seen.truncate(160);
        let mut turn = turn_with(settings(), context);
        check(&mut turn, Event::Begin, &["ask for a summary"]);
        let long = matches!(&event, Event::Answered { reply, .. } if reply.text().len() > 1_000);
        let effects = turn.on(event, NOW);
        if long {
            // Cut to what a summary may have, it is one.
            assert_eq!(
                words(&effects).first().unwrap(),
                "notice older messages of the session were summed up"
            );
        } else {
            assert_eq!(words(&effects), [left_out, "ask"]);
            assert!(request(&effects).tokens_estimate() <= 7_500);
        }
    }
    // What fits is left as it is where the summary is of no use.
    let mut turn = turn_with(settings(), context(&history(65, 100)));
    check(&mut turn, Event::Begin, &["ask for a summary"]);
    check(&mut turn, broke(Code::ModelUnavailable, &[]), &["ask"]);
    // What ends the turn ends it here as well.
    let mut turn = turn_with(settings(), context(&history(8, 1_000)));
    check(&mut turn, Event::Begin, &["ask for a summary"]);
    check(
        &mut turn,
        broke(Code::TurnCancelled, &[]),
        &["failed CX-7023"],
    );
}

#[test]
fn what_alone_is_larger_than_the_window_is_refused_and_not_kept() {
    let mut context = context(&history(2, 100));
    context.turn = vec![ChatMessage::user("z".repeat(40_000))];
    let mut turn = turn_with(settings(), context);
    check(&mut turn, Event::Begin, &["ask for a summary"]);
    let effects = check(
        &mut turn,
        answered(&[text("x")]),
        &[
            "notice older messages of the session were summed up",
            "notice older messages of the session do not fit into the model's window and were left out",
            "failed CX-7006",
        ],
    );
    assert_eq!(end(&effects).said, []);
    // A client that keeps its own history is told at once, and nothing of it is left out.
    let mut settings = settings();
    settings.passing = true;
    let mut turn = turn_with(settings, super::tests::context(&history(20, 1_000)));
    check(&mut turn, Event::Begin, &["failed CX-7006"]);
}

#[test]
fn long_results_of_tools_give_way_the_oldest_first() {
    let mut turn = turn();
    check(&mut turn, Event::Begin, &["ask"]);
    let long = |c: &str| {
        vec![Answered {
            parts: vec![text(&c.repeat(16_000))],
            is_error: false,
        }]
    };
    check(
        &mut turn,
        answered(&[ask_counter(1)]),
        &["called c1", "run c1"],
    );
    check(&mut turn, came(long("a")), &["result c1", "ask"]);
    check(
        &mut turn,
        answered(&[ask_counter(2)]),
        &["called c2", "run c2"],
    );
    let effects = check(
        &mut turn,
        came(long("b")),
        &[
            "result c2",
            "notice results of tools do not fit into the model's window and were shortened",
            "ask",
        ],
    );
    let asked = serde_json::to_string(&request(&effects).messages).unwrap();
    assert!(!asked.contains("aaaa") && asked.contains(&"b".repeat(16_000)));
    // A single one that is larger than the window is cut, and still there; the history has all of it.
    check(
        &mut turn,
        answered(&[ask_counter(3)]),
        &["called c3", "run c3"],
    );
    let larger = Answered {
        parts: vec![text(&"c".repeat(60_000))],
        is_error: false,
    };
    let effects = check(&mut turn, came(vec![larger]), &["result c3", "ask"]);
    let asked = serde_json::to_string(&request(&effects).messages).unwrap();
    assert!(asked.contains(&"c".repeat(15_000)) && !asked.contains(&"c".repeat(17_000)));
    let effects = check(&mut turn, answered(&[text("so")]), &["completed End"]);
    let kept = serde_json::to_string(&end(&effects).said).unwrap();
    assert!(kept.contains(&"a".repeat(16_000)) && kept.contains(&"c".repeat(60_000)));
}
