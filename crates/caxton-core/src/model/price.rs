//! What tokens cost. The table of prices is data; this is the arithmetic.

use super::Tokens;
use serde::{Deserialize, Serialize};

/// Prices of a model: millionths of the unit of money for a million tokens, so that a price of
/// 3.00 for a million tokens is 3,000,000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Price {
    pub input: u64,
    pub output: u64,
    /// Tokens read from the provider's cache; absent: as `input`.
    pub cache_read: Option<u64>,
    /// Tokens written into the provider's cache; absent: as `input`.
    pub cache_write: Option<u64>,
}

/// Tokens that a price is for.
const PER_TOKENS: u128 = 1_000_000;

impl Price {
    /// What a call cost, in millionths, rounded up.
    pub fn cost_micros(&self, tokens: &Tokens) -> u64 {
        let plain = tokens
            .input
            .saturating_sub(tokens.cache_read)
            .saturating_sub(tokens.cache_write);
        let of = |tokens: u64, price: u64| u128::from(tokens) * u128::from(price);
        let sum = of(plain, self.input)
            + of(tokens.cache_read, self.cache_read.unwrap_or(self.input))
            + of(tokens.cache_write, self.cache_write.unwrap_or(self.input))
            + of(tokens.output, self.output);
        u64::try_from(sum.div_ceil(PER_TOKENS)).unwrap_or(u64::MAX)
    }

    /// The most that a call may cost: so much in, and so much out.
    pub fn most_micros(&self, input: u64, output: u64) -> u64 {
        let dearest = self
            .input
            .max(self.cache_write.unwrap_or(0))
            .max(self.cache_read.unwrap_or(0));
        let tokens = Tokens {
            input,
            output,
            ..Tokens::default()
        };
        let price = Self {
            input: dearest,
            output: self.output,
            ..Self::default()
        };
        price.cost_micros(&tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_token_has_its_price_and_sums_round_up() {
        let price = Price {
            input: 3_000_000,
            output: 15_000_000,
            cache_read: Some(300_000),
            cache_write: None,
        };
        let check = |input, output, cache_read, cost| {
            let tokens = Tokens {
                input,
                output,
                cache_read,
                ..Tokens::default()
            };
            assert_eq!(price.cost_micros(&tokens), cost);
        };
        check(1_000_000, 0, 0, 3_000_000);
        check(1_000_000, 0, 1_000_000, 300_000);
        check(0, 1, 0, 15);
        check(1, 0, 1, 1);
        check(u64::MAX, u64::MAX, 0, u64::MAX);
        assert_eq!(price.most_micros(1_000_000, 1), 3_000_015);
    }
}
