//! A seller: the participant of FIPA's Contract Net (SC00029).
//!
//! A proposal binds its sender, so what is proposed is taken off the stock at once and put back when
//! the proposal is rejected, cancelled, or answered by nobody in time. Stock and holds are state:
//! nothing is kept in memory.

mod price;

use caxton_agent::record::{Reader, Writer};
use caxton_agent::{Agent, Message, Performative, clock, identity, log, metrics, state, timers};
use caxton_example_terms::{CONTRACT_NET, Offer, Order};
use price::{Policy, STOCK_AT_FIRST, sells};

/// How long a proposal stays open after the buyer's deadline: it decides then, and its answer
/// travels.
const HOLD_MS: u64 = 60_000;

/// Bytes a conversation's id may have to be part of a state key.
const CONVERSATION_BYTES_MAX: usize = 256;

struct Seller;

impl Agent for Seller {
    fn handle(message: Message) -> Result<(), String> {
        if let Some(name) = timers::fired(&message) {
            return expire(name);
        }
        match message.performative {
            Performative::Cfp => consider(&message),
            Performative::AcceptProposal => deliver(&message),
            Performative::RejectProposal | Performative::NotUnderstood => {
                release(&message).map(drop)
            }
            Performative::Cancel => cancel(&message),
            Performative::QueryRef => tell_stock(&message),
            _ => {
                Ok(message
                    .answer_not_understood("a seller takes cfp and query-ref \"stock ITEM\"")?)
            }
        }
    }
}

caxton_agent::export!(Seller);

/// Answers a call for proposals with a binding offer or a refusal.
fn consider(message: &Message) -> Result<(), String> {
    let Some(conversation) = conversation(message) else {
        return Ok(
            message.answer_not_understood("a cfp needs a conversation-id of at most 256 bytes")?
        );
    };
    if message
        .protocol
        .as_deref()
        .is_some_and(|name| !name.eq_ignore_ascii_case(CONTRACT_NET))
    {
        return Ok(message.answer_not_understood("a seller's protocol is fipa-contract-net")?);
    }
    let order = match message
        .text()
        .ok_or("not text".to_owned())
        .and_then(Order::parse)
    {
        Ok(order) => order,
        Err(reason) => return Ok(message.answer_not_understood(&reason)?),
    };
    let now_us = clock::now_us();
    let open_us = message.reply_by_us.unwrap_or(now_us).saturating_sub(now_us);
    let Ok(open_us) = u64::try_from(open_us) else {
        return refuse(message, "the deadline has passed");
    };
    // A second call in the same conversation replaces the first; somebody else's is not touched.
    if Hold::load(conversation)?.is_some() && !release(message)? {
        return refuse(message, "this conversation is another buyer's");
    }
    let stock = stock(&order.item)?;
    match Policy::of(identity::me().local()).price(&order, stock) {
        Err(reason) => refuse(message, &reason),
        Ok(price) => {
            set_stock(&order.item, stock.saturating_sub(order.quantity))?;
            let offer = Offer { order, price };
            let text = offer.to_string();
            Hold {
                buyer: message.sender_name().to_owned(),
                offer,
            }
            .store(conversation)?;
            timers::set(
                &hold_key(conversation),
                (open_us / 1_000).saturating_add(HOLD_MS),
                [],
            )?;
            let word = format!("{conversation}/{}", identity::me().local());
            message
                .reply(Performative::Propose)
                .reply_with(word)
                .content(text)
                .send()?;
            Ok(())
        }
    }
}

/// Sells what was held, or says why that is impossible.
fn deliver(message: &Message) -> Result<(), String> {
    let Some(offer) = take_hold(message)? else {
        message
            .reply(Performative::Failure)
            .content("no such offer is open: it expired, or was never made")
            .send()?;
        return Ok(());
    };
    metrics::count("pieces_sold", offer.order.quantity.into());
    log::info!("sold {offer} to {}", message.sender_name());
    message
        .reply(Performative::Inform)
        .content(format!("sold {offer}"))
        .send()?;
    Ok(())
}

fn cancel(message: &Message) -> Result<(), String> {
    let reply = if release(message)? {
        message.reply(Performative::Inform).content("cancelled")
    } else {
        message
            .reply(Performative::Failure)
            .content("nothing is open in this conversation")
    };
    reply.send()?;
    Ok(())
}

fn tell_stock(message: &Message) -> Result<(), String> {
    let item = message
        .text()
        .and_then(|text| text.trim().strip_prefix("stock "))
        .map(str::trim);
    let Some(item) = item.filter(|item| sells(item)) else {
        return Ok(
            message.answer_not_understood("expected \"stock widgets\" or \"stock gadgets\"")?
        );
    };
    let stock = stock(item)?.to_string();
    message.reply(Performative::Inform).content(stock).send()?;
    Ok(())
}

fn refuse(message: &Message, reason: &str) -> Result<(), String> {
    message.reply(Performative::Refuse).content(reason).send()?;
    Ok(())
}

/// Puts back what is held for this message's sender in its conversation; false where nothing is.
fn release(message: &Message) -> Result<bool, String> {
    match take_hold(message)? {
        Some(offer) => put_back(&offer.order).map(|()| true),
        None => Ok(false),
    }
}

/// Puts back what nobody answered for; `name` is the timer's, which is the hold's key.
fn expire(name: &str) -> Result<(), String> {
    let Some(conversation) = name.strip_prefix(HOLDS) else {
        return Ok(());
    };
    if let Some(hold) = Hold::load(conversation)? {
        log::info!("nobody answered the offer of {}", hold.offer);
        state::delete(name)?;
        put_back(&hold.offer.order)?;
    }
    Ok(())
}

/// Ends the hold of this message's conversation, if its sender is whom it is for.
fn take_hold(message: &Message) -> Result<Option<Offer>, String> {
    let Some(conversation) = conversation(message) else {
        return Ok(None);
    };
    match Hold::load(conversation)? {
        Some(hold) if hold.buyer == message.sender_name() => {
            let key = hold_key(conversation);
            state::delete(&key)?;
            timers::cancel(&key)?;
            Ok(Some(hold.offer))
        }
        _ => Ok(None),
    }
}

/// An offer that is open, and to whom.
struct Hold {
    buyer: String,
    offer: Offer,
}

const HOLDS: &str = "hold/";

fn hold_key(conversation: &str) -> String {
    [HOLDS, conversation].concat()
}

impl Hold {
    fn load(conversation: &str) -> Result<Option<Self>, String> {
        let Some(bytes) = state::get(&hold_key(conversation))? else {
            return Ok(None);
        };
        let mut reader = Reader::new(&bytes);
        match (reader.text(), reader.text().map(Offer::parse)) {
            (Some(buyer), Some(Ok(offer))) => Ok(Some(Self {
                buyer: buyer.to_owned(),
                offer,
            })),
            _ => Err("a stored offer does not read".to_owned()),
        }
    }

    fn store(&self, conversation: &str) -> Result<(), String> {
        let record = Writer::new()
            .text(&self.buyer)
            .text(&self.offer.to_string())
            .finish();
        Ok(state::set(&hold_key(conversation), record)?)
    }
}

fn conversation(message: &Message) -> Option<&str> {
    message
        .conversation_id
        .as_deref()
        .filter(|id| id.len() <= CONVERSATION_BYTES_MAX)
}

fn stock(item: &str) -> Result<u32, String> {
    match state::get(&stock_key(item))? {
        None => Ok(STOCK_AT_FIRST),
        Some(bytes) => std::str::from_utf8(&bytes)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| format!("the stored stock of {item} is not a number")),
    }
}

fn set_stock(item: &str, pieces: u32) -> Result<(), String> {
    Ok(state::set(&stock_key(item), pieces.to_string())?)
}

fn put_back(order: &Order) -> Result<(), String> {
    set_stock(
        &order.item,
        stock(&order.item)?.saturating_add(order.quantity),
    )
}

fn stock_key(item: &str) -> String {
    format!("stock/{item}")
}
