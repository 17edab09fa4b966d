//! Rates, quotas and usage: get and update.

use caxton_api::{ApiError, CallContext, v1};
use caxton_core::error::{Code, Error};
use caxton_core::limit::Rate;
use caxton_engine::limits::{Overage, Period, Quota, QuotaLimit, RateSettings, Usage};

use super::Api;
use super::tenants::named;
use crate::convert::time::wire;

pub(super) async fn rates(api: &Api, call: &CallContext) -> Result<v1::Rates, ApiError> {
    let ctx = api.open(call).await?;
    let found = api.within(&ctx, api.app().rates_show(&ctx)).await?;
    Ok(written(&found))
}

pub(super) async fn set_rates(
    api: &Api,
    call: &CallContext,
    request: v1::UpdateRatesRequest,
) -> Result<v1::Rates, ApiError> {
    let ctx = api.open(call).await?;
    let settings = settings(request.rates.unwrap_or_default())?;
    let (app, inner, set) = (api.app().clone(), ctx.clone(), settings.clone());
    let work = async move { app.rates_set(&inner, set).await };
    api.settle(&ctx, call.method, work).await?;
    Ok(written(&settings))
}

pub(super) async fn tenant_rates(
    api: &Api,
    call: &CallContext,
    request: &v1::GetTenantRatesRequest,
) -> Result<v1::Rates, ApiError> {
    let ctx = api.open(call).await?;
    let tenant = named(&request.tenant)?;
    api.looks_into(&ctx, &tenant).await?;
    let found = api.app().tenant_rates_show(&ctx, &tenant);
    Ok(written(&api.within(&ctx, found).await?))
}

pub(super) async fn set_tenant_rates(
    api: &Api,
    call: &CallContext,
    request: v1::UpdateTenantRatesRequest,
) -> Result<v1::Rates, ApiError> {
    let ctx = api.open(call).await?;
    let tenant = named(&request.tenant)?;
    let settings = settings(request.rates.unwrap_or_default())?;
    let (app, inner, set) = (api.app().clone(), ctx.clone(), settings.clone());
    let work = async move { app.tenant_rates_set(&inner, &tenant, set).await };
    api.settle(&ctx, call.method, work).await?;
    Ok(written(&settings))
}

pub(super) async fn quota(
    api: &Api,
    call: &CallContext,
    request: &v1::GetQuotaRequest,
) -> Result<v1::Quota, ApiError> {
    let ctx = api.open(call).await?;
    let tenant = named(&request.tenant)?;
    api.looks_into(&ctx, &tenant).await?;
    let found = api.app().quota_show(&ctx, &tenant, &request.key);
    Ok(shown(&api.within(&ctx, found).await?))
}

pub(super) async fn set_quota(
    api: &Api,
    call: &CallContext,
    request: v1::UpdateQuotaRequest,
) -> Result<v1::Quota, ApiError> {
    let ctx = api.open(call).await?;
    let tenant = named(&request.tenant)?;
    let given = request.quota.unwrap_or_default();
    let quota = Quota {
        messages: limit("messages", given.messages)?,
        tokens: limit("tokens", given.tokens)?,
        cost_micros: limit("costMicros", given.cost_micros)?,
    };
    let (app, inner, set) = (api.app().clone(), ctx.clone(), quota.clone());
    let work = async move { app.quota_set(&inner, &tenant, &request.key, set).await };
    api.settle(&ctx, call.method, work).await?;
    Ok(shown(&quota))
}

pub(super) async fn usage(
    api: &Api,
    call: &CallContext,
    request: &v1::GetUsageRequest,
) -> Result<v1::Usage, ApiError> {
    let ctx = api.open(call).await?;
    let tenant = named(&request.tenant)?;
    api.looks_into(&ctx, &tenant).await?;
    let found = api.app().usage_show(&ctx, &tenant, &request.key);
    let (usage, quota) = api.within(&ctx, found).await?;
    Ok(used(&usage, &quota))
}

fn settings(rates: v1::Rates) -> Result<RateSettings, ApiError> {
    let known = crate::door::limits::operations();
    let operations = rates.operations.into_iter().map(|(name, it)| {
        if !known.contains(name.as_str()) {
            let what = "names no operation";
            let shown = caxton_core::error::shown(&name);
            let error = ApiError::new(Code::LimitMalformed, format!("`{shown}` {what}"));
            return Err(error.with_field("operations", what));
        }
        Ok((name, rate(it)?))
    });
    Ok(RateSettings {
        server: rates.server.map(rate).transpose()?,
        tenant: rates.tenant.map(rate).transpose()?,
        key: rates.key.map(rate).transpose()?,
        operations: operations.collect::<Result<_, ApiError>>()?,
    })
}

fn rate(it: v1::Rate) -> Result<Rate, Error> {
    Rate::new(it.count, it.seconds, it.burst)
}

fn written(settings: &RateSettings) -> v1::Rates {
    let rate = |it: Rate| v1::Rate {
        count: it.count,
        seconds: it.seconds,
        burst: it.burst,
    };
    let operations = settings.operations.iter();
    v1::Rates {
        server: settings.server.map(rate),
        tenant: settings.tenant.map(rate),
        key: settings.key.map(rate),
        operations: operations
            .map(|(name, it)| (name.clone(), rate(*it)))
            .collect(),
    }
}

fn limit(field: &str, given: Option<v1::QuotaLimit>) -> Result<Option<QuotaLimit>, ApiError> {
    let Some(given) = given else {
        return Ok(None);
    };
    let overage = match given.overage.as_str() {
        "" | "refuse" => Overage::Refuse,
        "allow" => Overage::Allow,
        _ => {
            let what = "`overage` is neither refuse nor allow";
            return Err(ApiError::new(Code::LimitMalformed, what).with_field(field, what));
        }
    };
    Ok(Some(QuotaLimit {
        limit: given.limit,
        period: Period::parse(&given.period)?,
        overage,
    }))
}

fn shown(quota: &Quota) -> v1::Quota {
    let limit = |it: QuotaLimit| v1::QuotaLimit {
        limit: it.limit,
        period: it.period.as_str().to_owned(),
        overage: match it.overage {
            Overage::Refuse => "refuse",
            Overage::Allow => "allow",
        }
        .to_owned(),
    };
    v1::Quota {
        messages: quota.messages.map(limit),
        tokens: quota.tokens.map(limit),
        cost_micros: quota.cost_micros.map(limit),
    }
}

fn used(usage: &Usage, quota: &Quota) -> v1::Usage {
    let used = |it: caxton_engine::limits::Used| {
        Some(v1::Used {
            day: it.day,
            month: it.month,
        })
    };
    v1::Usage {
        day_start_time: Some(wire(usage.day)),
        month_start_time: Some(wire(usage.month)),
        messages: used(usage.messages),
        tokens: used(usage.tokens),
        cost_micros: used(usage.cost_micros),
        quota: Some(shown(quota)),
    }
}
