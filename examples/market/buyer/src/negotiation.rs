//! One negotiation: who was asked, who said what, and what follows. Pure: it makes messages and
//! decides what to wait for, and sends nothing.
//!
//! SC00029's rules that are easily broken: each seller gets its own `reply-with`; *each* proposer is
//! answered, losers too; a proposal after `reply-by` is rejected; a `not-understood` ends that
//! seller's branch only.

mod stored;

use crate::request::Purchase;
use caxton_agent::{AgentId, Message, Performative};
use caxton_example_terms::{CONTRACT_NET, Offer, Order};

/// What a proposal that comes too late is told.
pub const TOO_LATE: &str = "too late";

/// Bytes a negotiation's id has at most: the prefix and a message's id.
pub const ID_BYTES_MAX: usize = 128;

/// Bytes kept of a seller's reason.
const REASON_BYTES_MAX: usize = 200;

/// What to do after something was heard.
#[derive(Debug)]
pub struct Step {
    /// To send, in this order.
    pub messages: Vec<Message>,
    /// What to wait for.
    pub next: Next,
}

/// What a negotiation waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// As before.
    Wait,
    /// The chosen seller's delivery, from now on.
    AwaitDelivery,
    /// Nothing: it is over.
    End,
}

/// One negotiation. Its id is also its conversation's.
#[derive(Debug)]
pub struct Negotiation {
    id: String,
    order: Order,
    /// Goes to whoever asked, with the outcome.
    answer: Message,
    deadline_us: i64,
    bids: Vec<Bid>,
    /// The index of the bid that was accepted.
    awarded: Option<usize>,
}

#[derive(Debug)]
struct Bid {
    seller: AgentId,
    said: Said,
}

#[derive(Debug)]
enum Said {
    Nothing,
    /// A proposal, with the answer to it begun.
    Price(u64, Box<Message>),
    No(String),
}

impl Negotiation {
    /// Begins a negotiation; `answer` is the begun answer to whoever asked for it.
    pub fn new(
        id: String,
        purchase: Purchase,
        answer: Message,
        deadline_us: i64,
        me: &AgentId,
    ) -> Self {
        let mut bids: Vec<Bid> = Vec::new();
        for seller in purchase.sellers.iter().map(|name| qualify(name, me)) {
            if bids.iter().all(|bid| bid.seller != seller) {
                bids.push(Bid {
                    seller,
                    said: Said::Nothing,
                });
            }
        }
        Self {
            id,
            order: purchase.order,
            answer,
            deadline_us,
            bids,
            awarded: None,
        }
    }

    /// The id, which is the conversation's.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether a proposal was accepted and its delivery is awaited.
    pub fn is_awarded(&self) -> bool {
        self.awarded.is_some()
    }

    /// The calls for proposals, one for each seller.
    pub fn calls(&self) -> impl Iterator<Item = Message> {
        self.bids.iter().enumerate().map(|(index, bid)| {
            Message::new(Performative::Cfp)
                .to(&bid.seller)
                .protocol(CONTRACT_NET)
                .conversation(self.id.as_str())
                .reply_with(self.call_word(index))
                .reply_by_us(self.deadline_us)
                .content(self.order.to_string())
        })
    }

    /// Takes in a message of this conversation that came at `now_us`.
    pub fn hear(&mut self, message: &Message, now_us: i64) -> Step {
        match self.awarded {
            Some(winner) => self.hear_after_award(message, winner),
            None => self.hear_bid(message, now_us),
        }
    }

    fn hear_bid(&mut self, message: &Message, now_us: i64) -> Step {
        let late = now_us > self.deadline_us;
        let order = self.order.clone();
        let Some(bid) = self
            .bid_of(message)
            .filter(|bid| matches!(bid.said, Said::Nothing))
        else {
            return Step::wait(rejection(
                message,
                "one proposal each, from those who were asked",
            ));
        };
        let rejected = match message.performative {
            Performative::Propose if late => {
                bid.said = Said::No("answered too late".to_owned());
                rejection(message, TOO_LATE)
            }
            Performative::Propose => match offered(message, &order) {
                Ok(price) => {
                    let answer = message.reply(Performative::AcceptProposal);
                    bid.said = Said::Price(price, Box::new(answer));
                    None
                }
                Err(reason) => {
                    bid.said = Said::No("offered something else".to_owned());
                    rejection(message, &reason)
                }
            },
            Performative::Refuse | Performative::NotUnderstood | Performative::Failure => {
                bid.said = Said::No(reason(message));
                None
            }
            _ => None,
        };
        let mut step = Step::wait(rejected);
        if self
            .bids
            .iter()
            .all(|bid| !matches!(bid.said, Said::Nothing))
        {
            let close = self.close();
            step.messages.extend(close.messages);
            step.next = close.next;
        }
        step
    }

    fn hear_after_award(&mut self, message: &Message, winner: usize) -> Step {
        let from_winner = self
            .bids
            .get(winner)
            .is_some_and(|bid| sent_by(message, &bid.seller));
        let undeliverable =
            from_ams(message) && message.in_reply_to.as_deref() == Some(self.award_word().as_str());
        match message.performative {
            Performative::Inform if from_winner => self.end(Performative::Inform, "bought"),
            Performative::Failure | Performative::Refuse | Performative::NotUnderstood
                if from_winner || undeliverable =>
            {
                let text = format!("the sale failed ({}):", reason(message));
                self.end(Performative::Failure, &text)
            }
            _ => Step::wait(rejection(message, TOO_LATE)),
        }
    }

    /// Ends the bidding: the lowest price wins, the first asked among equals; every other proposer
    /// is told so. With no proposal at all the negotiation is over.
    pub fn close(&mut self) -> Step {
        let prices = self
            .bids
            .iter()
            .enumerate()
            .filter_map(|(index, bid)| match &bid.said {
                Said::Price(price, _) => Some((*price, index)),
                _ => None,
            });
        let Some((_, winner)) = prices.min() else {
            return self.end(Performative::Failure, "nobody sells");
        };
        self.awarded = Some(winner);
        let mut messages = Vec::new();
        for (index, bid) in self.bids.iter().enumerate() {
            let Said::Price(price, answer) = &bid.said else {
                continue;
            };
            let mut answer = answer.as_ref().clone();
            if index == winner {
                let offer = Offer {
                    order: self.order.clone(),
                    price: *price,
                };
                answer = answer
                    .reply_with(self.award_word())
                    .content(offer.to_string());
            } else {
                answer.performative = Performative::RejectProposal;
                answer = answer.content("another offer was better");
            }
            messages.push(answer);
        }
        Step {
            messages,
            next: Next::AwaitDelivery,
        }
    }

    /// Ends the waiting for a delivery that did not come.
    pub fn give_up(&self) -> Step {
        self.end(
            Performative::Failure,
            "the chosen seller did not deliver in time:",
        )
    }

    fn end(&self, performative: Performative, outcome: &str) -> Step {
        let mut answer = self.answer.clone();
        answer.performative = performative;
        let deal = match self.awarded.and_then(|winner| self.bids.get(winner)) {
            Some(Bid {
                seller,
                said: Said::Price(price, _),
            }) => {
                format!(" for {price} from {}", seller.local())
            }
            _ => String::new(),
        };
        let others: Vec<String> = self
            .bids
            .iter()
            .enumerate()
            .filter(|(index, _)| Some(*index) != self.awarded)
            .map(|(_, bid)| bid.to_string())
            .collect();
        let mut text = format!("{outcome} {}{deal}", self.order);
        if !others.is_empty() {
            text.push_str(&format!(" ({})", others.join("; ")));
        }
        Step {
            messages: vec![answer.content(text)],
            next: Next::End,
        }
    }

    /// The bid a message is about: its sender's, or, where the server could not deliver the call,
    /// the one the call's word names.
    fn bid_of(&mut self, message: &Message) -> Option<&mut Bid> {
        let index = (0..self.bids.len()).find(|index| {
            let named = message.in_reply_to.as_deref() == Some(self.call_word(*index).as_str());
            let sender = self
                .bids
                .get(*index)
                .is_some_and(|bid| sent_by(message, &bid.seller));
            sender || (named && from_ams(message) && message.performative == Performative::Failure)
        })?;
        self.bids.get_mut(index)
    }

    fn call_word(&self, index: usize) -> String {
        format!("{}/call-{index}", self.id)
    }

    fn award_word(&self) -> String {
        format!("{}/award", self.id)
    }
}

impl Step {
    fn wait(message: Option<Message>) -> Self {
        Self {
            messages: message.into_iter().collect(),
            next: Next::Wait,
        }
    }
}

impl std::fmt::Display for Bid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seller = self.seller.local();
        match &self.said {
            Said::Nothing => write!(f, "{seller} did not answer"),
            Said::Price(price, _) => write!(f, "{seller} asked {price}"),
            Said::No(reason) => write!(f, "{seller}: {reason}"),
        }
    }
}

/// A name with the own tenant where it has none, as the server writes senders.
fn qualify(name: &str, me: &AgentId) -> AgentId {
    match (name.contains('@'), me.tenant()) {
        (false, Some(tenant)) => AgentId::new(format!("{name}@{tenant}")),
        _ => AgentId::new(name),
    }
}

fn sent_by(message: &Message, seller: &AgentId) -> bool {
    message.sender.as_ref() == Some(seller)
}

fn from_ams(message: &Message) -> bool {
    message
        .sender
        .as_ref()
        .is_some_and(|sender| sender.local() == "ams")
}

/// The price of a proposal for exactly what was asked.
fn offered(message: &Message, order: &Order) -> Result<u64, String> {
    let offer = Offer::parse(message.text().unwrap_or_default())?;
    if offer.order == *order {
        Ok(offer.price)
    } else {
        Err(format!("{order} were asked for"))
    }
}

/// A rejection of what is a proposal; nothing for any other act.
fn rejection(message: &Message, reason: &str) -> Option<Message> {
    (message.performative == Performative::Propose)
        .then(|| message.reply(Performative::RejectProposal).content(reason))
}

fn reason(message: &Message) -> String {
    let text = message.text().unwrap_or_default();
    let mut end = text.len().min(REASON_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    match text.get(..end) {
        Some("") | None => message.performative.as_str().to_owned(),
        Some(reason) => reason.to_owned(),
    }
}

#[cfg(test)]
mod tests;
