//! Providers of models: list, show, set, remove, and their breakers.

use super::App;
use crate::breakers::{BreakerView, Thing};
use crate::models::{Provider, ProviderView};
use crate::opctx::OpCtx;
use crate::port::page;
use crate::port::store::{Page, PageRequest};
use caxton_core::breaker::Override;
use caxton_core::error::Error;
use caxton_core::grant::Permission;

impl App {
    /// The tenant's own, by name; then those of the server's operator that the tenant has none of the same
    /// name of.
    pub async fn provider_list(
        &self,
        ctx: &OpCtx,
        page: &PageRequest,
    ) -> Result<Page<ProviderView>, Error> {
        let scope = ctx.authorize(Permission::ProviderRead)?;
        let directory = &self.shared.services.models.directory;
        let mut others = Vec::new();
        for other in directory.operators() {
            let meant = directory.endpoint(scope.tenant(), &other.name).await?;
            if meant.trusted {
                others.push(other);
            }
        }
        let own = directory.list(&scope, page);
        page::followed_by("provider", &scope, page, others, own).await
    }

    /// Errors: `CX-7002`.
    pub async fn provider_show(
        &self,
        ctx: &OpCtx,
        name: &str,
    ) -> Result<(ProviderView, BreakerView), Error> {
        let scope = ctx.authorize(Permission::ProviderRead)?;
        let models = &self.shared.services.models;
        let view = models.directory.show(&scope, name).await?;
        let endpoint = models.directory.endpoint(scope.tenant(), name).await?;
        let breaker = models
            .breakers
            .view(&Thing::of_provider(scope.tenant(), &endpoint));
        Ok((view, breaker))
    }

    /// A provider without its breaker. Errors: `CX-7002`.
    pub async fn provider_view(&self, ctx: &OpCtx, name: &str) -> Result<ProviderView, Error> {
        let scope = ctx.authorize(Permission::ProviderRead)?;
        let directory = &self.shared.services.models.directory;
        directory.show(&scope, name).await
    }

    /// Sets one of the tenant's own. A secret is kept sealed and never shown again; a new address
    /// never gets the secret of the old one. Errors: `CX-7014`, `CX-7030`.
    pub async fn provider_set(
        &self,
        ctx: &OpCtx,
        provider: Provider,
    ) -> Result<ProviderView, Error> {
        let scope = ctx.authorize(Permission::ProviderWrite)?;
        let directory = &self.shared.services.models.directory;
        let target = format!("providers/{}", provider.name);
        let name = provider.name.clone();
        let work = directory.set(&scope, provider, self.now());
        let set = self.act(ctx, scope.tenant(), "provider.set", target, work);
        let set = set.await?;
        // It may be another one now, or have the right key.
        let models = &self.shared.services.models;
        models.forget_provider(scope.tenant(), &name);
        Ok(set)
    }

    /// Errors: `CX-7002`; `CX-4003` for one of the operator's.
    pub async fn provider_remove(&self, ctx: &OpCtx, name: &str) -> Result<(), Error> {
        let scope = ctx.authorize(Permission::ProviderWrite)?;
        let directory = &self.shared.services.models.directory;
        let target = format!("providers/{}", caxton_core::error::shown(name));
        let work = directory.remove(&scope, name);
        self.act(ctx, scope.tenant(), "provider.remove", target, work)
            .await?;
        let models = &self.shared.services.models;
        models.forget_provider(scope.tenant(), name);
        Ok(())
    }

    /// A person's word over a breaker's own judgement; `None` also closes it. That of a provider of
    /// the operator's is the platform's to say. Errors: `CX-7002`, `CX-4003`.
    pub async fn provider_override(
        &self,
        ctx: &OpCtx,
        name: &str,
        word: Override,
    ) -> Result<BreakerView, Error> {
        let scope = ctx.authorize(Permission::ProviderWrite)?;
        let models = &self.shared.services.models;
        let endpoint = models.directory.endpoint(scope.tenant(), name).await?;
        if endpoint.trusted {
            ctx.authorize_platform(Permission::PlatformWrite)?;
        }
        let (tenant, target) = (scope.tenant(), format!("providers/{}", endpoint.provider));
        let work = async {
            let thing = Thing::of_provider(tenant, &endpoint);
            models.set_override(&thing, word);
            Ok(models.breakers.view(&thing))
        };
        self.act(ctx, tenant, "provider.override", target, work)
            .await
    }
}
