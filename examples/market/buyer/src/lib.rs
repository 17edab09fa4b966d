//! A buyer: the initiator of FIPA's Contract Net (SC00029), on behalf of whoever asks it to buy.
//!
//! `request.rs` reads what one asks for, `negotiation.rs` decides what to say and is pure, and this
//! file joins them to the server. Nothing is kept in memory: each negotiation is one state value
//! under its conversation's id, and a timer of that name keeps its deadlines.

mod negotiation;
mod request;

use caxton_agent::{Agent, Message, Performative, clock, current, identity, log, state, timers};
use negotiation::{Negotiation, Next, Step};
use request::Purchase;

/// How long sellers may think about an offer.
const BIDS_MS: u32 = 2_000;
/// How long the chosen one may take to deliver.
const DELIVERY_MS: u32 = 5_000;

struct Buyer;

impl Agent for Buyer {
    fn handle(message: Message) -> Result<(), String> {
        if let Some(id) = timers::fired(&message) {
            return on_timer(id, &message.content);
        }
        if message.performative == Performative::Request {
            return on_request(&message);
        }
        match message
            .conversation_id
            .as_deref()
            .map(load)
            .transpose()?
            .flatten()
        {
            Some(mut negotiation) => {
                let step = negotiation.hear(&message, clock::now_us());
                act(&negotiation, step)
            }
            None => on_stray(&message),
        }
    }
}

caxton_agent::export!(Buyer);

fn on_request(message: &Message) -> Result<(), String> {
    let me = identity::me();
    let purchase = match message
        .text()
        .ok_or("not text".to_owned())
        .and_then(Purchase::parse)
    {
        Ok(purchase) => purchase,
        Err(reason) => return Ok(message.answer_not_understood(&reason)?),
    };
    // The message's id is unique in the server and the same in every try, so a request that is
    // tried again opens the same conversation.
    let delivery = current().ok_or("no message is being handled")?;
    let id = format!("buy-{}", delivery.message_id);
    let deadline_us = clock::now_us().saturating_add(i64::from(BIDS_MS) * 1_000);
    let answer = message.reply(Performative::Inform);
    let negotiation = Negotiation::new(id, purchase, answer, deadline_us, &me);
    for call in negotiation.calls() {
        call.send()?;
    }
    timers::set(negotiation.id(), BIDS_MS.into(), BIDS)?;
    store(&negotiation)
}

/// What a timer carries, so that one that fired just before it was replaced is recognised.
const BIDS: &str = "bids";
const DELIVERY: &str = "delivery";

fn on_timer(id: &str, content: &[u8]) -> Result<(), String> {
    let Some(mut negotiation) = load(id)? else {
        return Ok(());
    };
    let step = match content {
        b"bids" if !negotiation.is_awarded() => negotiation.close(),
        b"delivery" if negotiation.is_awarded() => negotiation.give_up(),
        _ => return Ok(()),
    };
    act(&negotiation, step)
}

/// A message of no negotiation that is still open. FIPA wants a proposal that comes too late
/// rejected; the rest needs no answer, or is not for a buyer.
fn on_stray(message: &Message) -> Result<(), String> {
    if message.performative == Performative::Propose {
        let reply = message
            .reply(Performative::RejectProposal)
            .content(negotiation::TOO_LATE);
        reply.send()?;
        return Ok(());
    }
    Ok(message.answer_not_understood(request::USAGE)?)
}

fn act(negotiation: &Negotiation, step: Step) -> Result<(), String> {
    for message in &step.messages {
        message.send()?;
    }
    match step.next {
        Next::Wait => store(negotiation),
        Next::AwaitDelivery => {
            timers::set(negotiation.id(), DELIVERY_MS.into(), DELIVERY)?;
            store(negotiation)
        }
        Next::End => {
            log::info!("{} ended", negotiation.id());
            timers::cancel(negotiation.id())?;
            Ok(state::delete(&key(negotiation.id()))?)
        }
    }
}

fn load(id: &str) -> Result<Option<Negotiation>, String> {
    // Foreign conversations may be called anything; only the own ones are looked up.
    if !id.starts_with("buy-") || id.len() > negotiation::ID_BYTES_MAX {
        return Ok(None);
    }
    match state::get(&key(id))? {
        None => Ok(None),
        Some(bytes) => match Negotiation::from_bytes(&bytes) {
            Some(negotiation) => Ok(Some(negotiation)),
            None => Err(format!("the stored negotiation {id} does not read")),
        },
    }
}

fn store(negotiation: &Negotiation) -> Result<(), String> {
    Ok(state::set(&key(negotiation.id()), negotiation.to_bytes())?)
}

fn key(id: &str) -> String {
    format!("negotiation/{id}")
}
