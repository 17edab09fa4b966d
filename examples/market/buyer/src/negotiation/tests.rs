//! The negotiation's rules. Every step goes through the stored form, as it does in the server.
#![allow(clippy::expect_used, clippy::indexing_slicing)]

use super::*;

const DEADLINE_US: i64 = 1_000_000;

fn begin(sellers: &[&str]) -> Negotiation {
    let mut asked = Message::new(Performative::Request)
        .protocol("fipa-request")
        .conversation("c1")
        .reply_with("r1");
    asked.sender = Some(AgentId::new("ann@t"));
    let purchase = Purchase {
        order: Order {
            quantity: 10,
            item: "widgets".to_owned(),
        },
        sellers: sellers.iter().map(|name| (*name).to_owned()).collect(),
    };
    let answer = asked.reply(Performative::Inform);
    Negotiation::new(
        "buy-1".to_owned(),
        purchase,
        answer,
        DEADLINE_US,
        &AgentId::new("buyer@t"),
    )
}

fn from(sender: &str, performative: Performative, content: &str) -> Message {
    let mut message = Message::new(performative)
        .protocol(CONTRACT_NET)
        .conversation("buy-1")
        .reply_with(format!("word of {sender}"))
        .content(content);
    message.sender = Some(AgentId::new(sender));
    message
}

fn propose(sender: &str, price: u64) -> Message {
    from(
        sender,
        Performative::Propose,
        &format!("10 widgets for {price}"),
    )
}

/// Hears a message after the negotiation was stored and loaded.
fn hear_at(negotiation: &mut Negotiation, message: &Message, now_us: i64) -> Step {
    *negotiation = Negotiation::from_bytes(&negotiation.to_bytes()).expect("it reads back");
    negotiation.hear(message, now_us)
}

fn hear(negotiation: &mut Negotiation, message: &Message) -> Step {
    hear_at(negotiation, message, 0)
}

/// What was sent, to whom, as answer to which word.
fn sent(step: &Step) -> Vec<(&str, &str, Option<&str>)> {
    step.messages
        .iter()
        .map(|message| {
            let to = message.receivers[0].name.as_str();
            (
                message.performative.as_str(),
                to,
                message.in_reply_to.as_deref(),
            )
        })
        .collect()
}

#[test]
fn each_seller_is_called_by_its_own_word() {
    let negotiation = begin(&["a", "b@t", "b", "c@u"]);
    let calls: Vec<Message> = negotiation.calls().collect();
    let names: Vec<&str> = calls
        .iter()
        .map(|call| call.receivers[0].name.as_str())
        .collect();
    assert_eq!(
        names,
        ["a@t", "b@t", "c@u"],
        "one call each, names qualified"
    );
    for call in &calls {
        assert_eq!(call.performative, Performative::Cfp);
        assert_eq!(call.receivers.len(), 1);
        assert_eq!(call.conversation_id.as_deref(), Some("buy-1"));
        assert_eq!(call.protocol.as_deref(), Some("fipa-contract-net"));
        assert_eq!(call.reply_by_us, Some(DEADLINE_US));
        assert_eq!(call.text(), Some("10 widgets"));
        let same = calls
            .iter()
            .filter(|other| other.reply_with == call.reply_with)
            .count();
        assert_eq!(same, 1);
    }
}

#[test]
fn the_lowest_price_wins_and_every_proposer_is_answered() {
    let mut negotiation = begin(&["a", "b", "c", "d"]);
    assert!(
        hear(
            &mut negotiation,
            &from("a@t", Performative::Refuse, "no more than 8")
        )
        .messages
        .is_empty()
    );
    assert!(
        hear(&mut negotiation, &propose("b@t", 120))
            .messages
            .is_empty()
    );
    assert!(
        hear(
            &mut negotiation,
            &from("d@t", Performative::NotUnderstood, "what?")
        )
        .messages
        .is_empty()
    );
    let step = hear(&mut negotiation, &propose("c@t", 110));
    assert_eq!(step.next, Next::AwaitDelivery);
    assert_eq!(
        sent(&step),
        [
            ("reject-proposal", "b@t", Some("word of b@t")),
            ("accept-proposal", "c@t", Some("word of c@t")),
        ]
    );
    assert_eq!(step.messages[1].text(), Some("10 widgets for 110"));

    let step = hear(&mut negotiation, &from("c@t", Performative::Inform, "sold"));
    assert_eq!(step.next, Next::End);
    assert_eq!(sent(&step), [("inform", "ann@t", Some("r1"))]);
    let answer = &step.messages[0];
    assert_eq!(answer.conversation_id.as_deref(), Some("c1"));
    assert_eq!(answer.protocol.as_deref(), Some("fipa-request"));
    assert_eq!(
        answer.text(),
        Some("bought 10 widgets for 110 from c (a: no more than 8; b asked 120; d: what?)")
    );
}

#[test]
fn among_equal_prices_the_first_asked_wins() {
    let mut negotiation = begin(&["a", "b"]);
    hear(&mut negotiation, &propose("b@t", 5));
    let step = hear(&mut negotiation, &propose("a@t", 5));
    assert_eq!(sent(&step)[0].0, "accept-proposal");
    assert_eq!(sent(&step)[1].0, "reject-proposal");
}

#[test]
fn a_late_proposal_is_rejected_before_and_after_the_decision() {
    let mut negotiation = begin(&["a", "b", "c"]);
    hear_at(&mut negotiation, &propose("a@t", 9), DEADLINE_US);
    let step = hear_at(&mut negotiation, &propose("b@t", 1), DEADLINE_US + 1);
    assert_eq!(
        sent(&step),
        [("reject-proposal", "b@t", Some("word of b@t"))]
    );
    assert_eq!(step.next, Next::Wait);

    let step = negotiation.close();
    assert_eq!(
        sent(&step),
        [("accept-proposal", "a@t", Some("word of a@t"))]
    );
    let step = hear_at(&mut negotiation, &propose("c@t", 1), DEADLINE_US + 2);
    assert_eq!(
        sent(&step),
        [("reject-proposal", "c@t", Some("word of c@t"))]
    );
    assert_eq!(step.messages[0].text(), Some(TOO_LATE));
    assert_eq!(step.next, Next::Wait);
}

#[test]
fn without_a_proposal_whoever_asked_is_told_who_said_what() {
    let mut negotiation = begin(&["a", "b"]);
    hear(&mut negotiation, &from("a@t", Performative::Refuse, ""));
    let step = negotiation.close();
    assert_eq!(
        (step.next, sent(&step)),
        (Next::End, vec![("failure", "ann@t", Some("r1"))])
    );
    assert_eq!(
        step.messages[0].text(),
        Some("nobody sells 10 widgets (a: refuse; b did not answer)")
    );
}

#[test]
fn a_seller_that_does_not_exist_is_a_no() {
    let mut negotiation = begin(&["a", "b"]);
    hear(&mut negotiation, &propose("b@t", 7));
    let word = negotiation.call_word(0);
    let mut failure = from("ams@t", Performative::Failure, "no such agent");
    failure.in_reply_to = Some(word);
    let step = hear(&mut negotiation, &failure);
    assert_eq!(
        sent(&step),
        [("accept-proposal", "b@t", Some("word of b@t"))]
    );
}

#[test]
fn strangers_and_second_thoughts_change_nothing() {
    let mut negotiation = begin(&["a", "b"]);
    hear(&mut negotiation, &propose("a@t", 7));
    for message in [
        propose("a@t", 1),
        propose("mallory@t", 1),
        propose("b@other", 1),
    ] {
        let step = hear(&mut negotiation, &message);
        assert_eq!(step.next, Next::Wait);
        assert_eq!(sent(&step)[0].0, "reject-proposal");
    }
    for act in [
        Performative::Inform,
        Performative::Failure,
        Performative::Refuse,
    ] {
        assert!(
            hear(&mut negotiation, &from("mallory@t", act, "x"))
                .messages
                .is_empty()
        );
    }
    let step = hear(&mut negotiation, &propose("b@t", 8));
    assert_eq!(
        sent(&step)[0],
        ("accept-proposal", "a@t", Some("word of a@t"))
    );
    // After the award only the winner can end it.
    let step = hear(&mut negotiation, &from("b@t", Performative::Inform, "sold"));
    assert!(step.messages.is_empty() && step.next == Next::Wait);
}

#[test]
fn an_offer_of_something_else_is_rejected() {
    let mut negotiation = begin(&["a", "b"]);
    for content in ["9 widgets for 1", "10 gadgets for 1", "cheap", ""] {
        let mut fresh = begin(&["a", "b"]);
        let step = hear(&mut fresh, &from("a@t", Performative::Propose, content));
        assert_eq!(
            sent(&step),
            [("reject-proposal", "a@t", Some("word of a@t"))],
            "{content:?}"
        );
    }
    let step = hear(&mut negotiation, &propose("a@t", 3));
    assert!(step.messages.is_empty());
}

#[test]
fn a_sale_that_fails_or_never_comes_is_a_failure() {
    let award = || {
        let mut negotiation = begin(&["a"]);
        let step = hear(&mut negotiation, &propose("a@t", 3));
        assert_eq!(step.next, Next::AwaitDelivery);
        negotiation
    };
    let mut negotiation = award();
    let step = hear(
        &mut negotiation,
        &from("a@t", Performative::Failure, "it broke"),
    );
    assert_eq!((step.next, sent(&step)[0].0), (Next::End, "failure"));
    assert_eq!(
        step.messages[0].text(),
        Some("the sale failed (it broke): 10 widgets for 3 from a")
    );
    let step = award().give_up();
    assert_eq!((step.next, sent(&step)[0].0), (Next::End, "failure"));

    let mut negotiation = award();
    let mut failure = from("ams@t", Performative::Failure, "no such agent");
    failure.in_reply_to = Some(negotiation.award_word());
    assert_eq!(hear(&mut negotiation, &failure).next, Next::End);
}

#[test]
fn a_long_reason_is_cut_between_characters() {
    let mut negotiation = begin(&["a", "b"]);
    hear(
        &mut negotiation,
        &from("a@t", Performative::Refuse, &"ä".repeat(1_000)),
    );
    let step = negotiation.close();
    let text = step.messages[0].text().expect("text");
    assert_eq!(text.matches('ä').count(), REASON_BYTES_MAX / 2);
}

#[test]
fn bytes_that_are_no_negotiation_are_none() {
    let mut negotiation = begin(&["a", "b"]);
    hear(&mut negotiation, &propose("a@t", 7));
    let bytes = negotiation.to_bytes();
    assert!(Negotiation::from_bytes(&[]).is_none());
    assert!(Negotiation::from_bytes(&bytes[..bytes.len() - 1]).is_none());
}
