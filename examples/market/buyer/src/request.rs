//! What one may ask a buyer: "buy QUANTITY ITEM [from SELLER ...]".

use caxton_example_terms::Order;

/// What is said to whoever asks for something else.
pub const USAGE: &str =
    "a buyer takes request \"buy QUANTITY ITEM [from SELLER ...]\", such as \"buy 10 widgets\"";

/// Sellers one purchase asks at most.
pub const SELLERS_MAX: usize = 16;

const SELLERS: [&str; 3] = ["seller-a", "seller-b", "seller-c"];

/// What to buy, and whom to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purchase {
    /// What is wanted.
    pub order: Order,
    /// 1 to [`SELLERS_MAX`] different names, as they were written.
    pub sellers: Vec<String>,
}

impl Purchase {
    /// Reads a purchase.
    ///
    /// # Errors
    /// What is wrong with it, for the sender to read.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let (Some("buy"), Some(quantity), Some(item)) = (words.next(), words.next(), words.next())
        else {
            return Err(USAGE.to_owned());
        };
        let order = Order::of(quantity, item)?;
        let mut sellers: Vec<String> = Vec::new();
        match words.next() {
            None => sellers.extend(SELLERS.map(str::to_owned)),
            Some("from") => {
                for name in words {
                    if !sellers.iter().any(|seller| seller == name) {
                        sellers.push(name.to_owned());
                    }
                }
            }
            Some(_) => return Err(USAGE.to_owned()),
        }
        if sellers.is_empty() || sellers.len() > SELLERS_MAX {
            return Err(format!("name 1 to {SELLERS_MAX} sellers after \"from\""));
        }
        Ok(Self { order, sellers })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]
    use super::*;

    #[test]
    fn purchases_are_read() {
        let purchase = Purchase::parse("buy 10 widgets").expect("a purchase");
        assert_eq!(
            (purchase.order.quantity, purchase.order.item.as_str()),
            (10, "widgets")
        );
        assert_eq!(purchase.sellers, SELLERS);
        let purchase = Purchase::parse(" buy 1 gadgets from x y@t x ").expect("a purchase");
        assert_eq!(purchase.sellers, ["x", "y@t"]);
    }

    #[test]
    fn what_makes_no_sense_says_why() {
        let crowd = format!(
            "buy 1 widgets from {}",
            (0..17).map(|i| format!("s{i} ")).collect::<String>()
        );
        for (text, reason) in [
            ("", "a buyer takes"),
            ("sell 10 widgets", "a buyer takes"),
            ("buy widgets", "a buyer takes"),
            ("buy many widgets", "whole number"),
            ("buy 0 widgets", "whole number"),
            ("buy 10 widgets please", "a buyer takes"),
            ("buy 10 widgets from", "1 to 16 sellers"),
            (crowd.as_str(), "1 to 16 sellers"),
        ] {
            let error = Purchase::parse(text).expect_err(text);
            assert!(error.contains(reason), "{text:?}: {error}");
        }
    }
}
