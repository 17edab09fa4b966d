//! What a quota limits, and what of it was used in the day and month that run.

use crate::documents::Document;
use crate::port::store::RecordKind;
use caxton_core::Timestamp;
use caxton_core::error::{Code, Error};
use serde::{Deserialize, Serialize};

/// How long a quota counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// From midnight to midnight, UTC.
    Day,
    /// A calendar month, UTC.
    Month,
}

impl Period {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    pub fn parse(text: &str) -> Result<Self, Error> {
        match text {
            "day" => Ok(Self::Day),
            "" | "month" => Ok(Self::Month),
            _ => Err(Error::new(
                Code::LimitMalformed,
                "`period` is neither day nor month",
            )),
        }
    }

    /// When the period that `now` is in began, and when it ends.
    pub fn around(self, now: Timestamp) -> (Timestamp, Timestamp) {
        now.calendar(matches!(self, Self::Month))
    }
}

/// What happens past a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overage {
    #[default]
    Refuse,
    /// It goes on and is counted.
    Allow,
}

/// A limit of one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaLimit {
    pub limit: u64,
    pub period: Period,
    pub overage: Overage,
}

/// A quota, as kept: what is absent is not limited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Messages accepted at the doors.
    pub messages: Option<QuotaLimit>,
    /// Tokens of models, in and out.
    pub tokens: Option<QuotaLimit>,
    /// Money, in millionths of the unit that prices are in.
    pub cost_micros: Option<QuotaLimit>,
}

impl Document for Quota {
    const KIND: RecordKind = RecordKind("quota");
}

/// What a quota counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Unit {
    Messages,
    Tokens,
    CostMicros,
}

impl Unit {
    pub(super) const ALL: [Self; 3] = [Self::Messages, Self::Tokens, Self::CostMicros];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Tokens => "tokens",
            Self::CostMicros => "cost",
        }
    }

    pub(super) fn of(self, quota: &Quota) -> Option<QuotaLimit> {
        match self {
            Self::Messages => quota.messages,
            Self::Tokens => quota.tokens,
            Self::CostMicros => quota.cost_micros,
        }
    }
}

/// What was used in a day and in a month.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    pub day: u64,
    pub month: u64,
}

/// What a tenant or key has used, as kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// The beginnings of the day and month that are counted.
    pub day: Timestamp,
    pub month: Timestamp,
    pub messages: Used,
    pub tokens: Used,
    pub cost_micros: Used,
}

impl Document for Usage {
    const KIND: RecordKind = RecordKind("usage");
}

impl Usage {
    pub(super) fn used(&mut self, unit: Unit) -> &mut Used {
        match unit {
            Unit::Messages => &mut self.messages,
            Unit::Tokens => &mut self.tokens,
            Unit::CostMicros => &mut self.cost_micros,
        }
    }

    /// Begins a new day or month where one has begun. A clock that goes back by a little does not begin
    /// an old one again; one that goes back by more than a period was wrong before, and nobody waits
    /// for the time it showed.
    pub(super) fn turn(&mut self, now: Timestamp) {
        let is_other = |counted: Timestamp, period: Period| {
            let (begin, end) = period.around(now);
            begin > counted || counted > end
        };
        let new_day = is_other(self.day, Period::Day);
        let new_month = is_other(self.month, Period::Month);
        for unit in Unit::ALL {
            let used = self.used(unit);
            used.day = if new_day { 0 } else { used.day };
            used.month = if new_month { 0 } else { used.month };
        }
        if new_day {
            self.day = Period::Day.around(now).0;
        }
        if new_month {
            self.month = Period::Month.around(now).0;
        }
    }
}
