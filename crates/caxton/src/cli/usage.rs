//! `caxton usage`: what a tenant or key has used, and of what.

use super::output::{Column, Output};
use super::{Global, target};
use crate::failure::Outcome;
use caxton_api::v1::{GetUsageRequest, QuotaLimit, Used};
use clap::Args;

#[derive(Debug, Args)]
pub struct UsageArgs {
    /// The tenant; default: the one of --tenant, else `default`.
    tenant_id: Option<String>,
    /// Only what one of its keys has used, by public id.
    #[arg(long = "of-key", value_name = "ID", default_value = "")]
    of_key: String,
}

pub async fn run(args: UsageArgs, global: &Global, output: &Output) -> Outcome {
    let client = target::client(global)?;
    let tenant = args.tenant_id.or_else(|| global.tenant.clone());
    let tenant = tenant.unwrap_or_else(|| "default".to_owned());
    let request = GetUsageRequest {
        tenant: tenant.clone(),
        key: args.of_key,
    };
    let usage = client.get_usage(&request).await?;
    let quota = usage.quota.clone().unwrap_or_default();
    let row = |name: &str, used: &Option<Used>, limit: &Option<QuotaLimit>| {
        let used = used.unwrap_or_default();
        let limit = limit.as_ref();
        vec![
            name.to_owned(),
            used.day.to_string(),
            used.month.to_string(),
            limit.map_or_else(|| "none".to_owned(), |it| it.limit.to_string()),
            limit.map(|it| it.period.clone()).unwrap_or_default(),
        ]
    };
    let rows = vec![
        row("messages", &usage.messages, &quota.messages),
        row("tokens", &usage.tokens, &quota.tokens),
        row("cost (millionths)", &usage.cost_micros, &quota.cost_micros),
    ];
    let columns = [
        Column::Text("WHAT"),
        Column::Number("TODAY"),
        Column::Number("THIS MONTH"),
        Column::Number("LIMIT"),
        Column::Text("PER"),
    ];
    output.list(&usage, &columns, rows, &[tenant])
}
