//! What the market's agents write to each other: orders ("10 widgets") and offers ("10 widgets for
//! 110").
//!
//! Plain text, so that the conversation reads well; pure functions, so that both sides are tested
//! natively. No message is made here.

use std::fmt;

/// The protocol's name in FIPA's list (SC00029).
pub const CONTRACT_NET: &str = "fipa-contract-net";

/// Pieces one order may name; far above any stock, far below where prices overflow.
pub const QUANTITY_MAX: u32 = 1_000_000;

/// Bytes an item's name may have.
pub const ITEM_BYTES_MAX: usize = 64;

/// So many pieces of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// 1 to [`QUANTITY_MAX`].
    pub quantity: u32,
    /// Lower-case letters, digits and hyphens.
    pub item: String,
}

/// An order and its whole price, in the market's only coin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// What is sold.
    pub order: Order,
    /// What all of it costs.
    pub price: u64,
}

impl Order {
    /// Reads "QUANTITY ITEM".
    ///
    /// # Errors
    /// What is wrong with it, for the sender to read.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let (Some(quantity), Some(item), None) = (words.next(), words.next(), words.next()) else {
            return Err("expected QUANTITY ITEM, such as \"10 widgets\"".to_owned());
        };
        Self::of(quantity, item)
    }

    /// Reads the two words of an order.
    ///
    /// # Errors
    /// As [`Order::parse`].
    pub fn of(quantity: &str, item: &str) -> Result<Self, String> {
        let quantity = quantity
            .parse()
            .ok()
            .filter(|quantity| (1..=QUANTITY_MAX).contains(quantity))
            .ok_or_else(|| format!("the quantity is a whole number from 1 to {QUANTITY_MAX}"))?;
        let letter = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if item.len() > ITEM_BYTES_MAX || !item.bytes().all(letter) {
            return Err(format!(
                "an item is a word of at most {ITEM_BYTES_MAX} lower-case letters, digits and hyphens"
            ));
        }
        Ok(Self {
            quantity,
            item: item.to_owned(),
        })
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.quantity, self.item)
    }
}

impl Offer {
    /// Reads "QUANTITY ITEM for PRICE".
    ///
    /// # Errors
    /// What is wrong with it, for the sender to read.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (order, price) = text
            .split_once(" for ")
            .ok_or("expected QUANTITY ITEM for PRICE, such as \"10 widgets for 110\"")?;
        let price = price
            .trim()
            .parse()
            .map_err(|_| "the price is a whole number".to_owned())?;
        Ok(Self {
            order: Order::parse(order)?,
            price,
        })
    }
}

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for {}", self.order, self.price)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let order = Order {
            quantity: 10,
            item: "widgets".to_owned(),
        };
        assert_eq!(Order::parse(" 10   widgets "), Ok(order.clone()));
        let offer = Offer { order, price: 110 };
        assert_eq!(offer.to_string(), "10 widgets for 110");
        assert_eq!(Offer::parse(&offer.to_string()), Ok(offer));
    }

    #[test]
    fn what_makes_no_sense_says_why() {
        for (text, reason) in [
            ("", "expected QUANTITY ITEM"),
            ("widgets", "expected QUANTITY ITEM"),
            ("10 blue widgets", "expected QUANTITY ITEM"),
            ("ten widgets", "whole number from 1"),
            ("0 widgets", "whole number from 1"),
            ("-1 widgets", "whole number from 1"),
            ("1000001 widgets", "whole number from 1"),
            ("10 Widgets", "lower-case"),
            ("10 wid/gets", "lower-case"),
        ] {
            let error = Order::parse(text).expect_err(text);
            assert!(error.contains(reason), "{text:?}: {error}");
        }
        for text in [
            "10 widgets",
            "10 widgets for",
            "10 widgets for -1",
            "0 widgets for 1",
        ] {
            assert!(Offer::parse(text).is_err(), "{text:?}");
        }
        assert!(Order::of("1", &"a".repeat(ITEM_BYTES_MAX + 1)).is_err());
    }
}
