//! The market on a whole server: FIPA's Contract Net (SC00029) between real agents, message by
//! message, and what becomes of it when a seller is missing, mute, late or of another trade.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use caxton_api::v1::{
    AgentId, DeleteAgentRequest, GetConversationRequest, Message, SendMessageRequest,
};
use caxton_testkit::server::{Example, Said, TestServer, draft, text_of};
use std::collections::BTreeSet;

const SELLERS: [&str; 3] = ["seller-a", "seller-b", "seller-c"];

async fn market() -> TestServer {
    let server = TestServer::start().await;
    for folder in SELLERS {
        server
            .deploy(&Example::load(&format!("market/{folder}")))
            .await;
    }
    server.deploy(&Example::load("market/buyer")).await;
    server
}

/// Asks the buyer; gives its answer and the negotiation's messages.
async fn buy(server: &TestServer, order: &str) -> (Said, Vec<Message>) {
    let request = SendMessageRequest {
        message: Some(draft("request", "buyer", order)),
        wait: "30s".to_owned(),
    };
    let sent = server.client().send_message(&request).await.unwrap();
    let reply = sent.reply.expect("the buyer answers");
    let said = Said::new(&reply.performative, &text_of(&reply));
    (said, server.conversation(&format!("buy-{}", sent.id)).await)
}

/// The local name of a message's sender.
fn from(message: &Message) -> &str {
    local(message.sender.as_ref().expect("a sender"))
}

fn to(message: &Message) -> &str {
    assert_eq!(message.receiver.len(), 1, "{message:?}");
    local(&message.receiver[0])
}

fn local(id: &AgentId) -> &str {
    id.name.strip_suffix("@default").expect("of this tenant")
}

/// The one message of this act between these two.
fn one<'a>(said: &'a [Message], act: &str, sender: &str, receiver: &str) -> &'a Message {
    let mut found = said
        .iter()
        .filter(|it| it.performative == act && from(it) == sender && to(it) == receiver);
    let first = found
        .next()
        .unwrap_or_else(|| panic!("no {act} from {sender} to {receiver}: {}", told(said)));
    assert!(
        found.next().is_none(),
        "a second {act} from {sender} to {receiver}"
    );
    first
}

fn told(said: &[Message]) -> String {
    let line = |it: &Message| {
        format!(
            "{} {} -> {:?}: {}\n",
            it.performative,
            from(it),
            it.receiver,
            text_of(it)
        )
    };
    said.iter().map(line).collect()
}

fn acts(said: &[Message], act: &str) -> usize {
    said.iter().filter(|it| it.performative == act).count()
}

async fn stock(server: &TestServer, seller: &str) -> String {
    server
        .say("query-ref", seller, "stock widgets")
        .await
        .content
}

#[tokio::test]
async fn a_negotiation_is_fipas_contract_net() {
    let server = market().await;
    let (outcome, said) = buy(&server, "buy 10 widgets").await;
    let expected = "bought 10 widgets for 110 from seller-c \
                    (seller-a: no more than 8 widgets at once; seller-b asked 120)";
    assert_eq!(outcome, Said::new("inform", expected));

    // One conversation, unique, in one protocol.
    let conversation = said[0].conversation_id.clone().expect("a conversation id");
    for message in said
        .iter()
        .filter(|it| it.ontology.as_deref() != Some("caxton.timer"))
    {
        assert_eq!(message.conversation_id.as_ref(), Some(&conversation));
        assert_eq!(
            message.protocol.as_deref(),
            Some("fipa-contract-net"),
            "{message:?}"
        );
    }
    // A call for proposals to each, with a deadline, a word of its own for each.
    let calls = SELLERS.map(|seller| one(&said, "cfp", "buyer", seller));
    let words: BTreeSet<_> = calls
        .iter()
        .map(|it| it.reply_with.clone().expect("a word"))
        .collect();
    assert_eq!(words.len(), 3, "each seller has its own reply-with");
    for call in calls {
        assert_eq!(text_of(call), "10 widgets");
        let (by, at) = (
            call.reply_by.as_ref().unwrap(),
            call.create_time.as_ref().unwrap(),
        );
        assert!(
            (by.seconds, by.nanos) > (at.seconds, at.nanos),
            "a deadline ahead: {call:?}"
        );
    }
    // Each answers its own call.
    let answers = [
        one(&said, "refuse", "seller-a", "buyer"),
        one(&said, "propose", "seller-b", "buyer"),
        one(&said, "propose", "seller-c", "buyer"),
    ];
    for (call, answer) in calls.iter().zip(answers) {
        assert_eq!(answer.in_reply_to, call.reply_with);
    }
    assert_eq!(text_of(answers[1]), "10 widgets for 120");
    assert_eq!(text_of(answers[2]), "10 widgets for 110");
    // Each proposer is answered, the loser too; who refused is not.
    let accepted = one(&said, "accept-proposal", "buyer", "seller-c");
    assert_eq!(accepted.in_reply_to, answers[2].reply_with);
    assert!(
        accepted.in_reply_to.is_some(),
        "the proposal can be referred to"
    );
    let rejected = one(&said, "reject-proposal", "buyer", "seller-b");
    assert_eq!(rejected.in_reply_to, answers[1].reply_with);
    assert_eq!(
        (
            acts(&said, "accept-proposal"),
            acts(&said, "reject-proposal")
        ),
        (1, 1)
    );
    // The accepted one ends it.
    let done = one(&said, "inform", "seller-c", "buyer");
    assert_eq!(done.in_reply_to, accepted.reply_with);
    assert_eq!(text_of(done), "sold 10 widgets for 110");
    // A proposal binds: what was sold is gone, what was only offered is back.
    assert_eq!(stock(&server, "seller-a").await, "100");
    assert_eq!(stock(&server, "seller-b").await, "100");
    assert_eq!(stock(&server, "seller-c").await, "90");

    let request = GetConversationRequest { conversation };
    let known = server.client().get_conversation(&request).await.unwrap();
    assert_eq!(known.protocol.as_deref(), Some("fipa-contract-net"));
    assert_eq!(known.initiator, "buyer@default");
    for seller in SELLERS {
        let name = format!("{seller}@default");
        assert!(
            known.participants.contains(&name),
            "{:?}",
            known.participants
        );
    }
    assert_eq!(server.dead_letters("").await, []);
}

#[tokio::test]
async fn negotiations_at_one_time_share_the_stock_and_nothing_else() {
    let server = market().await;
    let deals: Vec<_> = (0..8).map(|_| buy(&server, "buy 5 widgets")).collect();
    let deals = futures::future::join_all(deals).await;
    let mut conversations = BTreeSet::new();
    for (outcome, said) in &deals {
        // 45 from the cheapest, who has enough for all of them.
        assert!(
            outcome
                .content
                .starts_with("bought 5 widgets for 45 from seller-a"),
            "{outcome:?}"
        );
        assert_eq!(acts(said, "cfp"), 3);
        assert_eq!(
            (acts(said, "accept-proposal"), acts(said, "reject-proposal")),
            (1, 2)
        );
        conversations.insert(said[0].conversation_id.clone());
    }
    assert_eq!(conversations.len(), deals.len());
    assert_eq!(stock(&server, "seller-a").await, "60");
    assert_eq!(stock(&server, "seller-b").await, "100");
}

#[tokio::test]
async fn a_seller_that_is_gone_is_told_by_ams_and_the_others_go_on() {
    let server = market().await;
    let gone = DeleteAgentRequest {
        agent: "seller-c".to_owned(),
    };
    server.client().delete_agent(&gone).await.unwrap();
    let (outcome, said) = buy(&server, "buy 10 widgets").await;
    assert_eq!(outcome.performative, "inform");
    assert!(
        outcome
            .content
            .starts_with("bought 10 widgets for 120 from seller-b"),
        "{outcome:?}"
    );
    let call = one(&said, "cfp", "buyer", "seller-c");
    let failure = one(&said, "failure", "ams", "buyer");
    assert_eq!(failure.in_reply_to, call.reply_with);
    assert!(text_of(failure).contains("CX-3001"), "{failure:?}");
    // What could not be delivered is kept.
    let letters = server.dead_letters("seller-c").await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].code, "CX-3001");
    assert_eq!(letters[0].message.as_ref().unwrap().id, call.id);
}

#[tokio::test]
async fn a_market_without_sellers_fails_at_once() {
    let server = TestServer::start().await;
    server.deploy(&Example::load("market/buyer")).await;
    let (outcome, said) = buy(&server, "buy 1 widgets").await;
    assert_eq!(outcome.performative, "failure");
    assert!(
        outcome.content.starts_with("nobody sells 1 widgets"),
        "{outcome:?}"
    );
    assert_eq!((acts(&said, "cfp"), acts(&said, "failure")), (3, 3));
}

#[tokio::test]
async fn who_does_not_understand_ends_its_own_branch_only() {
    let server = market().await;
    server.deploy(&Example::load("echo")).await;
    let (outcome, said) = buy(&server, "buy 10 widgets from echo seller-b").await;
    assert!(
        outcome
            .content
            .starts_with("bought 10 widgets for 120 from seller-b"),
        "{outcome:?}"
    );
    let call = one(&said, "cfp", "buyer", "echo");
    assert_eq!(
        one(&said, "not-understood", "echo", "buyer").in_reply_to,
        call.reply_with
    );
    assert_eq!(
        acts(&said, "reject-proposal"),
        0,
        "echo proposed nothing: {}",
        told(&said)
    );
}

#[tokio::test]
async fn a_proposal_after_the_deadline_is_rejected_as_late() {
    let server = market().await;
    // It takes its call for proposals only after another call of its own, which outlasts the bidding.
    server
        .deploy(&Example::load("misbehave").named("mute"))
        .await;
    server
        .deploy(&Example::load("misbehave").named("nobody"))
        .await;
    server
        .tell("mute", "sleep-call nobody 60000")
        .await
        .unwrap();
    let (outcome, said) = buy(&server, "buy 10 widgets from mute seller-b").await;
    let expected = "bought 10 widgets for 120 from seller-b (mute did not answer)";
    assert_eq!(outcome, Said::new("inform", expected));

    let call = one(&said, "cfp", "buyer", "mute");
    let mut late = draft("propose", "buyer", "10 widgets for 1");
    late.sender = Some(AgentId {
        name: "mute@default".to_owned(),
        ..AgentId::default()
    });
    late.protocol.clone_from(&call.protocol);
    late.conversation_id.clone_from(&call.conversation_id);
    late.in_reply_to.clone_from(&call.reply_with);
    late.reply_with = Some("late-1".to_owned());
    server.send(late).await.unwrap();
    let conversation = call.conversation_id.clone().unwrap();
    let rejected = server
        .eventually("the late proposal is rejected", async |server| {
            let said = server.conversation(&conversation).await;
            said.into_iter()
                .find(|it| it.performative == "reject-proposal")
        })
        .await;
    assert_eq!((from(&rejected), to(&rejected)), ("buyer", "mute"));
    assert_eq!(rejected.in_reply_to.as_deref(), Some("late-1"));
    assert_eq!(text_of(&rejected), "too late");
}
