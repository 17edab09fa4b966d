//! What the shape of a request depends on besides the request: the model, and the server's ways.

use crate::quirks::{Quirk, Quirks};
use caxton_core::model::Thinking;
use serde::Deserialize;

/// How hard a model may be told to think, in `OpenAI`'s and Anthropic's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
}

impl Effort {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    const fn of(level: Thinking) -> Self {
        match level {
            Thinking::Off => Self::None,
            Thinking::Minimal => Self::Minimal,
            Thinking::Low => Self::Low,
            Thinking::Medium => Self::Medium,
            Thinking::High => Self::High,
        }
    }
}

/// What a translation is told of the model it writes for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// The levels it knows, in order; `None` where nobody knows.
    pub efforts: Option<Vec<Effort>>,
    /// Thinks by effort, not by budget (Anthropic's newer models).
    pub adaptive: bool,
    /// Takes `temperature` and `top_p` at any time.
    pub sampling: bool,
    /// The server is the protocol's author, not one compatible with it.
    pub official: bool,
    pub quirks: Quirks,
}

impl Traits {
    /// The word for a level, if one is to be sent: the nearest that the model knows, less rather than
    /// more. `Off` is the least a model can do where it always thinks; where nothing is known of it,
    /// the model's own default.
    pub fn effort(&self, level: Thinking) -> Option<&'static str> {
        if self.quirks.has(Quirk::NoThinking) {
            return None;
        }
        let wanted = Effort::of(level);
        let Some(known) = &self.efforts else {
            return match wanted {
                Effort::None => None,
                // Most servers know three levels only.
                wanted => Some(wanted.max(Effort::Low).as_str()),
            };
        };
        let below = known
            .iter()
            .rev()
            .find(|it| **it <= wanted && (**it > Effort::None || wanted == Effort::None));
        let above = || known.iter().find(|it| **it > wanted && **it > Effort::None);
        below.or_else(above).map(|it| it.as_str())
    }

    pub fn may_sample(&self) -> bool {
        self.sampling && !self.quirks.has(Quirk::NoSampling)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_the_nearest_the_model_knows() {
        let check = |efforts: Option<&[Effort]>, expected: [Option<&str>; 5]| {
            let traits = Traits {
                efforts: efforts.map(<[Effort]>::to_vec),
                ..Traits::default()
            };
            let found = Thinking::ALL.map(|level| traits.effort(level));
            assert_eq!(found, expected, "{efforts:?}");
        };
        use Effort::{High, Low, Medium, Minimal, None as No};
        check(
            None,
            [None, Some("low"), Some("low"), Some("medium"), Some("high")],
        );
        check(Some(&[]), [None; 5]);
        check(
            Some(&[No, Low, Medium, High]),
            [
                Some("none"),
                Some("low"),
                Some("low"),
                Some("medium"),
                Some("high"),
            ],
        );
        check(
            Some(&[Minimal, Low, Medium, High]),
            [
                Some("minimal"),
                Some("minimal"),
                Some("low"),
                Some("medium"),
                Some("high"),
            ],
        );
        check(
            Some(&[Low, Medium, High]),
            [
                Some("low"),
                Some("low"),
                Some("low"),
                Some("medium"),
                Some("high"),
            ],
        );
        check(Some(&[High]), [Some("high"); 5]);
    }
}
