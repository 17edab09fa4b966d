//! The form a negotiation is kept in between two messages.

use super::{Bid, Negotiation, Said};
use caxton_agent::AgentId;
use caxton_agent::record::{Reader, Writer};
use caxton_example_terms::Order;

impl Negotiation {
    /// The bytes to keep.
    pub fn to_bytes(&self) -> Vec<u8> {
        let awarded = self
            .awarded
            .map_or(-1, |index| index.try_into().unwrap_or(-1));
        let mut writer = Writer::new()
            .text(&self.id)
            .text(&self.order.to_string())
            .message(&self.answer)
            .number(self.deadline_us)
            .number(awarded);
        for bid in &self.bids {
            writer = writer.text(&bid.seller.name);
            writer = match &bid.said {
                Said::Nothing => writer.text("nothing"),
                Said::Price(price, answer) => writer
                    .text("price")
                    .text(&price.to_string())
                    .message(answer),
                Said::No(reason) => writer.text("no").text(reason),
            };
        }
        writer.finish()
    }

    /// Reads it back; `None` where the bytes are something else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let id = reader.text()?.to_owned();
        let order = Order::parse(reader.text()?).ok()?;
        let answer = reader.message()?;
        let deadline_us = reader.number()?;
        let awarded = usize::try_from(reader.number()?).ok();
        let mut bids = Vec::new();
        while !reader.is_finished() {
            let seller = AgentId::new(reader.text()?);
            let said = match reader.text()? {
                "nothing" => Said::Nothing,
                "price" => Said::Price(reader.text()?.parse().ok()?, Box::new(reader.message()?)),
                "no" => Said::No(reader.text()?.to_owned()),
                _ => return None,
            };
            bids.push(Bid { seller, said });
        }
        Some(Self {
            id,
            order,
            answer,
            deadline_us,
            bids,
            awarded,
        })
    }
}
