//! `caxton quota`: how much a tenant or one of its keys may use in a day or month.

use super::output::{Column, Output};
use super::{Global, target};
use crate::failure::{Failure, Outcome};
use caxton_api::v1::{GetQuotaRequest, Quota, QuotaLimit, UpdateQuotaRequest};
use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub enum QuotaCommand {
    /// Show what is set.
    Show(Of),
    /// Set it, from now on; what is not named stays as it is.
    Set(SetArgs),
}

#[derive(Debug, Args)]
pub struct Of {
    /// The tenant; default: the one of --tenant, else `default`.
    tenant_id: Option<String>,
    /// One of its keys, by public id.
    #[arg(long = "of-key", value_name = "ID", default_value = "")]
    of_key: String,
}

#[derive(Debug, Args)]
pub struct SetArgs {
    #[command(flatten)]
    of: Of,
    /// Messages accepted at the doors: 10000/day, 1000000/month, or none.
    #[arg(long, value_name = "LIMIT", value_parser = limit)]
    messages: Option<Limit>,
    /// Tokens of models, in and out, in the same form.
    #[arg(long, value_name = "LIMIT", value_parser = limit)]
    tokens: Option<Limit>,
    /// Money, in millionths of the unit that prices are in, in the same form.
    #[arg(long, value_name = "LIMIT", value_parser = limit)]
    cost_micros: Option<Limit>,
    /// What happens past what is set here.
    #[arg(long, value_enum, default_value_t = Overage::Refuse)]
    overage: Overage,
}

/// What happens past a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Overage {
    /// It is refused.
    Refuse,
    /// It is counted on.
    Allow,
}

/// A limit as written; none takes it away.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Limit(Option<(u64, &'static str)>);

pub async fn run(command: QuotaCommand, global: &Global, output: &Output) -> Outcome {
    let client = target::client(global)?;
    let (of, change) = match command {
        QuotaCommand::Show(of) => (of, None),
        QuotaCommand::Set(args) => {
            let limits = [args.messages, args.tokens, args.cost_micros];
            if limits.iter().all(Option::is_none) {
                let failure = Failure::usage("nothing to set");
                return Err(failure.with_hint("name --messages, --tokens or --cost-micros"));
            }
            (args.of, Some((limits, args.overage)))
        }
    };
    let tenant = of.tenant_id.or_else(|| global.tenant.clone());
    let tenant = tenant.unwrap_or_else(|| "default".to_owned());
    let request = GetQuotaRequest {
        tenant: tenant.clone(),
        key: of.of_key.clone(),
    };
    let mut quota = client.get_quota(&request).await?;
    if let Some(([messages, tokens, cost_micros], overage)) = change {
        for (limit, kept) in [
            (messages, &mut quota.messages),
            (tokens, &mut quota.tokens),
            (cost_micros, &mut quota.cost_micros),
        ] {
            if let Some(limit) = limit {
                *kept = limit.wire(overage);
            }
        }
        let request = UpdateQuotaRequest {
            tenant: tenant.clone(),
            key: of.of_key,
            quota: Some(quota),
        };
        quota = client.update_quota(&request).await?;
    }
    show(&tenant, &quota, output)
}

impl Limit {
    fn wire(self, overage: Overage) -> Option<QuotaLimit> {
        let (limit, period) = self.0?;
        let overage = match overage {
            Overage::Refuse => "refuse",
            Overage::Allow => "allow",
        };
        Some(QuotaLimit {
            limit,
            period: period.to_owned(),
            overage: overage.to_owned(),
        })
    }
}

fn show(tenant: &str, quota: &Quota, output: &Output) -> Outcome {
    let row = |name: &str, limit: &Option<QuotaLimit>| {
        let limit = limit.as_ref();
        let text = |of: fn(&QuotaLimit) -> &String| limit.map(of).cloned().unwrap_or_default();
        vec![
            name.to_owned(),
            limit.map_or_else(|| "none".to_owned(), |it| it.limit.to_string()),
            text(|it| &it.period),
            text(|it| &it.overage),
        ]
    };
    let rows = vec![
        row("messages", &quota.messages),
        row("tokens", &quota.tokens),
        row("cost (millionths)", &quota.cost_micros),
    ];
    let columns = [
        Column::Text("WHAT"),
        Column::Number("LIMIT"),
        Column::Text("PER"),
        Column::Text("PAST IT"),
    ];
    output.list(quota, &columns, rows, &[tenant.to_owned()])
}

/// `COUNT/day`, `COUNT/month`, `COUNT` (a month) or `none`.
fn limit(text: &str) -> Result<Limit, String> {
    if text == "none" {
        return Ok(Limit(None));
    }
    let fail =
        || "write a count and a period, such as 10000/day or 1000000/month, or none".to_owned();
    let (count, period) = text.split_once('/').unwrap_or((text, "month"));
    let period = match period {
        "d" | "day" => "day",
        "month" => "month",
        _ => return Err(fail()),
    };
    Ok(Limit(Some((count.parse().map_err(|_| fail())?, period))))
}

#[cfg(test)]
mod tests {
    use super::{Limit, limit};

    #[test]
    fn limits_are_read_as_people_write_them() {
        let good = [
            ("10000/day", Limit(Some((10_000, "day")))),
            ("5", Limit(Some((5, "month")))),
            ("5/month", Limit(Some((5, "month")))),
            ("none", Limit(None)),
        ];
        for (text, wanted) in good {
            assert_eq!(limit(text), Ok(wanted), "{text}");
        }
        for text in ["", "x", "5/week", "/day", "-1/day", "1.5/day", "None"] {
            assert!(limit(text).is_err(), "{text}");
        }
    }
}
