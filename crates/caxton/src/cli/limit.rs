//! `caxton limit`: how many requests in how much time, for all tenants or for one.

use super::output::{Column, Output};
use super::{Global, target};
use crate::failure::{Failure, Outcome};
use caxton_api::client::Client;
use caxton_api::v1::{
    GetRatesRequest, GetTenantRatesRequest, Rate, Rates, UpdateRatesRequest,
    UpdateTenantRatesRequest,
};
use caxton_core::manifest::nearest;
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum LimitCommand {
    /// List what is set for one tenant, or for every tenant that has no others.
    #[command(visible_alias = "ls")]
    List(Of),
    /// Set a limit, from now on.
    Set(SetArgs),
    /// Take a limit away, from now on.
    Clear(ClearArgs),
}

#[derive(Debug, Args)]
pub struct Of {
    /// The tenant; default: every tenant that has no limits of its own.
    tenant_id: Option<String>,
}

#[derive(Debug, Args)]
pub struct SetArgs {
    /// `server` (all requests together), `tenant` (all of a tenant), `key` (all of one key or user),
    /// or an operation such as SendMessage (all of a tenant for it).
    what: String,
    /// So many in so much time: 100/s, 1000/min, 5000/10m.
    #[arg(value_parser = rate)]
    rate: (u64, u64),
    /// How many may come at once; default: as many as the rate counts.
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    burst: u64,
    #[command(flatten)]
    of: Of,
}

#[derive(Debug, Args)]
pub struct ClearArgs {
    /// `server`, `tenant`, `key`, an operation, or `all`.
    what: String,
    #[command(flatten)]
    of: Of,
}

pub async fn run(command: LimitCommand, global: &Global, output: &Output) -> Outcome {
    let client = target::client(global)?;
    let (of, rates) = match command {
        LimitCommand::List(of) => {
            let rates = get(&client, &of).await?;
            (of, rates)
        }
        LimitCommand::Set(SetArgs {
            what,
            rate: (count, seconds),
            burst,
            of,
        }) => {
            let what = What::parse(&what)?;
            let rate = Rate {
                count,
                seconds,
                burst,
            };
            let mut rates = get(&client, &of).await?;
            what.put(&mut rates, Some(rate));
            let rates = set(&client, &of, rates).await?;
            (of, rates)
        }
        LimitCommand::Clear(ClearArgs { what, of }) => {
            let mut rates = get(&client, &of).await?;
            match what.as_str() {
                "all" => rates = Rates::default(),
                what => What::parse(what)?.put(&mut rates, None),
            }
            let rates = set(&client, &of, rates).await?;
            (of, rates)
        }
    };
    show(&of, &rates, output)
}

async fn get(client: &Client, of: &Of) -> Outcome<Rates> {
    Ok(match &of.tenant_id {
        None => client.get_rates(&GetRatesRequest {}).await?,
        Some(tenant) => {
            let tenant = tenant.clone();
            let request = GetTenantRatesRequest { tenant };
            client.get_tenant_rates(&request).await?
        }
    })
}

async fn set(client: &Client, of: &Of, rates: Rates) -> Outcome<Rates> {
    let rates = Some(rates);
    Ok(match &of.tenant_id {
        None => client.update_rates(&UpdateRatesRequest { rates }).await?,
        Some(tenant) => {
            let tenant = tenant.clone();
            let request = UpdateTenantRatesRequest { tenant, rates };
            client.update_tenant_rates(&request).await?
        }
    })
}

/// What a limit is of.
enum What {
    Server,
    Tenant,
    Key,
    /// By its full name.
    Operation(String),
}

impl What {
    fn parse(text: &str) -> Outcome<Self> {
        match text {
            "server" => return Ok(Self::Server),
            "tenant" => return Ok(Self::Tenant),
            "key" => return Ok(Self::Key),
            _ => {}
        }
        let known = caxton_gateway::operations();
        let all = || known.iter().copied();
        let short = |it: &&'static str| it.rsplit('/').next() == Some(text);
        if let Some(found) = all().find(|it| *it == text).or_else(|| all().find(short)) {
            return Ok(Self::Operation(found.to_owned()));
        }
        let shorts = all().filter_map(|it| it.rsplit('/').next());
        let kinds = ["server", "tenant", "key"].into_iter();
        let failure = Failure::usage(format!("there is no limit of `{text}`"));
        Err(match nearest(text, kinds.chain(shorts)) {
            Some(near) => failure.with_hint(format!("did you mean `{near}`?")),
            None => {
                failure.with_hint("name server, tenant, key or an operation: docs/reference.md")
            }
        })
    }

    fn put(self, rates: &mut Rates, rate: Option<Rate>) {
        match (self, rate) {
            (Self::Server, rate) => rates.server = rate,
            (Self::Tenant, rate) => rates.tenant = rate,
            (Self::Key, rate) => rates.key = rate,
            (Self::Operation(name), Some(rate)) => {
                rates.operations.insert(name, rate);
            }
            (Self::Operation(name), None) => {
                rates.operations.remove(&name);
            }
        }
    }
}

fn show(of: &Of, rates: &Rates, output: &Output) -> Outcome {
    let mut all = vec![
        ("server".to_owned(), rates.server),
        ("tenant".to_owned(), rates.tenant),
        ("key".to_owned(), rates.key),
    ];
    // One order, whatever the map's is.
    let mut operations: Vec<_> = rates.operations.iter().collect();
    operations.sort_by_key(|(name, _)| name.as_str());
    all.extend(
        operations
            .into_iter()
            .map(|(name, rate)| (name.clone(), Some(*rate))),
    );
    let set: Vec<(String, Rate)> = all
        .into_iter()
        .filter_map(|(name, rate)| Some((name, rate?)))
        .collect();
    if set.is_empty() && output.is_table() {
        let whose = of.tenant_id.as_deref().unwrap_or("every tenant");
        output.note(&format!(
            "no limits are set for {whose}; `caxton limit set key 100/s` sets one"
        ));
        return Ok(());
    }
    let columns = [
        Column::Text("WHAT"),
        Column::Number("RATE"),
        Column::Number("AT ONCE"),
    ];
    let row =
        |(name, rate): &(String, Rate)| vec![name.clone(), written(rate), rate.burst.to_string()];
    let rows = set.iter().map(row).collect();
    let names: Vec<String> = set.iter().map(|(name, _)| name.clone()).collect();
    output.list(rates, &columns, rows, &names)
}

/// A rate as [`rate`] reads it.
fn written(rate: &Rate) -> String {
    let (number, unit) = match rate.seconds {
        seconds if seconds % 86_400 == 0 => (seconds / 86_400, "day"),
        seconds if seconds % 3600 == 0 => (seconds / 3600, "h"),
        seconds if seconds % 60 == 0 => (seconds / 60, "min"),
        seconds => (seconds, "s"),
    };
    match number {
        1 => format!("{}/{unit}", rate.count),
        number => format!("{}/{number}{unit}", rate.count),
    }
}

/// `COUNT/WINDOW`, as a count and seconds.
fn rate(text: &str) -> Result<(u64, u64), String> {
    let fail = || "write a count and a time, such as 100/s, 1000/min or 5000/10m".to_owned();
    let (count, window) = text.split_once('/').ok_or_else(fail)?;
    let count: u64 = count.parse().map_err(|_| fail())?;
    let unit = window.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = window.strip_suffix(unit).unwrap_or_default();
    let number: u64 = match number {
        "" => 1,
        number => number.parse().map_err(|_| fail())?,
    };
    let seconds = match unit {
        "s" | "sec" | "second" => 1,
        "m" | "min" | "minute" => 60,
        "h" | "hour" => 3600,
        "d" | "day" => 86_400,
        _ => return Err(fail()),
    };
    Ok((count, number.checked_mul(seconds).ok_or_else(fail)?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Rate, rate, written};

    #[test]
    fn rates_are_written_as_they_are_read() {
        for (text, wanted) in [
            ("100/s", "100/s"),
            ("1000/m", "1000/min"),
            ("5/600s", "5/10min"),
            ("1/2h", "1/2h"),
            ("1/86400s", "1/day"),
            ("1/90s", "1/90s"),
        ] {
            let (count, seconds) = rate(text).unwrap();
            let written = written(&Rate {
                count,
                seconds,
                burst: count,
            });
            assert_eq!(written, wanted);
            assert_eq!(rate(&written), Ok((count, seconds)));
        }
    }

    #[test]
    fn rates_are_read_as_people_write_them() {
        let good = [
            ("100/s", (100, 1)),
            ("1000/min", (1000, 60)),
            ("5000/10m", (5000, 600)),
            ("1/2h", (1, 7200)),
            ("9/day", (9, 86_400)),
        ];
        for (text, wanted) in good {
            assert_eq!(rate(text), Ok(wanted), "{text}");
        }
        for text in [
            "",
            "100",
            "/s",
            "x/s",
            "100/",
            "100/10",
            "100/w",
            "-1/s",
            "1/99999999999999999999s",
            "1/18446744073709551615d",
        ] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
