//! What a seller asks, and when it refuses: by its own name, so that one component makes several
//! sellers.

use caxton_example_terms::Order;

/// Pieces of each item a seller begins with.
pub const STOCK_AT_FIRST: u32 = 100;

const ITEMS: [&str; 2] = ["widgets", "gadgets"];

/// How a seller deals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// What one piece costs.
    unit_price: u64,
    /// More than so many at once are refused.
    order_max: u32,
    /// From so many pieces on there is a discount.
    discount_from: u32,
    /// Hundredths taken off the price then.
    discount_percent: u64,
}

impl Policy {
    /// The policy of the seller with this local name. The three shipped ones differ on purpose: the
    /// first is cheap and small, the second even, the third dear but generous with large orders.
    /// Any other name gets an even policy with a price of its own.
    pub fn of(name: &str) -> Self {
        let even = Self {
            unit_price: 12,
            order_max: STOCK_AT_FIRST,
            discount_from: u32::MAX,
            discount_percent: 0,
        };
        match name {
            "seller-a" => Self {
                unit_price: 9,
                order_max: 8,
                ..even
            },
            "seller-b" => even,
            "seller-c" => Self {
                unit_price: 13,
                discount_from: 10,
                discount_percent: 15,
                ..even
            },
            other => {
                let letters: u64 = other.bytes().map(u64::from).sum();
                Self {
                    unit_price: 10 + letters % 10,
                    ..even
                }
            }
        }
    }

    /// The price of an order with so much of the item left, or why it is refused.
    pub fn price(&self, order: &Order, stock: u32) -> Result<u64, String> {
        if !sells(&order.item) {
            return Err(format!("no {} sold here", order.item));
        }
        if order.quantity > self.order_max {
            return Err(format!(
                "no more than {} {} at once",
                self.order_max, order.item
            ));
        }
        if order.quantity > stock {
            return Err(format!("only {stock} {} left", order.item));
        }
        let percent = if order.quantity >= self.discount_from {
            100 - self.discount_percent
        } else {
            100
        };
        Ok(u64::from(order.quantity) * self.unit_price * percent / 100)
    }
}

/// Whether this is an item the sellers trade in.
pub fn sells(item: &str) -> bool {
    ITEMS.contains(&item)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(seller: &str, quantity: u32, item: &str, stock: u32) -> Result<u64, String> {
        Policy::of(seller).price(
            &Order {
                quantity,
                item: item.to_owned(),
            },
            stock,
        )
    }

    #[test]
    fn the_three_sellers_differ() {
        assert_eq!(price("seller-a", 8, "widgets", 100), Ok(72));
        assert_eq!(
            price("seller-a", 9, "widgets", 100),
            Err("no more than 8 widgets at once".to_owned())
        );
        assert_eq!(price("seller-b", 10, "widgets", 100), Ok(120));
        assert_eq!(price("seller-c", 9, "widgets", 100), Ok(117));
        assert_eq!(price("seller-c", 10, "widgets", 100), Ok(110));
    }

    #[test]
    fn what_is_not_there_is_refused() {
        assert_eq!(
            price("seller-b", 6, "widgets", 5),
            Err("only 5 widgets left".to_owned())
        );
        assert_eq!(
            price("seller-b", 1, "doodads", 5),
            Err("no doodads sold here".to_owned())
        );
        assert_eq!(price("seller-b", 5, "gadgets", 5), Ok(60));
    }

    #[test]
    fn any_other_name_is_a_seller_too() {
        assert!(price("corner-shop", 1, "widgets", 1).is_ok_and(|price| (10..20).contains(&price)));
    }
}
