//! `caxton tenant`: the platform's customers.

use super::output::{Column, Output, ago, fields};
use super::{Global, target};
use crate::failure::Outcome;
use caxton_api::client::Client;
use caxton_api::v1::{
    CreateTenantRequest, DeleteTenantRequest, GetTenantRequest, ListTenantsRequest,
    ListTenantsResponse, ResumeTenantRequest, SuspendTenantRequest, Tenant, UpdateTenantRequest,
};
use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// Make a tenant.
    Create(CreateArgs),
    /// List tenants, by id.
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Show one.
    Show(Named),
    /// Change its name or where its data is; it works on meanwhile.
    Update(UpdateArgs),
    /// Let its agents rest and refuse its keys; its data stays.
    Suspend(Named),
    /// End a suspension.
    Resume(Named),
    /// Remove it for good: agents, keys and data. Its id is never used again.
    #[command(visible_alias = "rm")]
    Remove(Named),
}

#[derive(Debug, Args)]
pub struct Named {
    /// The tenant's id.
    tenant_id: String,
}

/// Where a tenant's data is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Storage {
    /// In the file that tenants share.
    Shared,
    /// In a file of its own.
    Dedicated,
}

impl Storage {
    fn text(self) -> String {
        match self {
            Self::Shared => "shared",
            Self::Dedicated => "dedicated",
        }
        .to_owned()
    }
}

#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Its id: a lower-case letter, then up to 62 lower-case letters, digits or hyphens.
    tenant_id: String,
    /// A name for people.
    #[arg(long, value_name = "NAME", default_value = "")]
    display_name: String,
    /// Where its data goes.
    #[arg(long, value_enum, default_value_t = Storage::Shared)]
    storage: Storage,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// At most so many.
    #[arg(long, default_value_t = 1000)]
    limit: usize,
}

#[derive(Debug, Args)]
pub struct UpdateArgs {
    /// The tenant's id.
    tenant_id: String,
    /// A name for people.
    #[arg(long, value_name = "NAME")]
    display_name: Option<String>,
    /// Where its data goes.
    #[arg(long, value_enum)]
    storage: Option<Storage>,
}

pub async fn run(command: TenantCommand, global: &Global, output: &Output) -> Outcome {
    let client = target::client(global)?;
    let tenant = match command {
        TenantCommand::List(args) => return list(args, &client, output).await,
        TenantCommand::Remove(Named { tenant_id }) => {
            let request = DeleteTenantRequest {
                tenant: tenant_id.clone(),
            };
            client.delete_tenant(&request).await?;
            return output.gone(&tenant_id, "removed");
        }
        TenantCommand::Create(args) => {
            let request = CreateTenantRequest {
                id: args.tenant_id,
                display_name: args.display_name,
                storage: args.storage.text(),
            };
            client.create_tenant(&request).await?
        }
        TenantCommand::Show(Named { tenant_id }) => {
            let request = GetTenantRequest { tenant: tenant_id };
            client.get_tenant(&request).await?
        }
        TenantCommand::Update(args) => {
            let request = UpdateTenantRequest {
                tenant: args.tenant_id,
                display_name: args.display_name,
                storage: args.storage.map(Storage::text),
            };
            client.update_tenant(&request).await?
        }
        TenantCommand::Suspend(Named { tenant_id }) => {
            let request = SuspendTenantRequest { tenant: tenant_id };
            client.suspend_tenant(&request).await?
        }
        TenantCommand::Resume(Named { tenant_id }) => {
            let request = ResumeTenantRequest { tenant: tenant_id };
            client.resume_tenant(&request).await?
        }
    };
    output.answer(&tenant, &tenant.id, || text(&tenant))
}

async fn list(args: ListArgs, client: &Client, output: &Output) -> Outcome {
    let mut request = ListTenantsRequest::default();
    let mut tenants: Vec<Tenant> = Vec::new();
    while tenants.len() < args.limit {
        request.page_size = super::page_size(args.limit, tenants.len());
        let page = client.list_tenants(&request).await?;
        tenants.extend(page.tenants);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    let columns = ["ID", "NAME", "STATE", "STORAGE", "SINCE"].map(Column::Text);
    let rows = tenants.iter().map(|it| {
        vec![
            it.id.clone(),
            it.display_name.clone(),
            it.state.clone(),
            it.storage.clone(),
            ago(it.create_time.as_ref()),
        ]
    });
    let rows = rows.collect();
    let names: Vec<String> = tenants.iter().map(|it| it.id.clone()).collect();
    let data = ListTenantsResponse {
        tenants,
        next_page_token: request.page_token,
    };
    output.list(&data, &columns, rows, &names)
}

fn text(tenant: &Tenant) -> String {
    let time = |it: &Option<caxton_api::wkt::Timestamp>| {
        it.map(|time| time.to_string()).unwrap_or_default()
    };
    fields(&[
        ("tenant", tenant.id.clone()),
        ("name", tenant.display_name.clone()),
        ("state", tenant.state.clone()),
        ("storage", tenant.storage.clone()),
        ("since", time(&tenant.create_time)),
        ("changed", time(&tenant.update_time)),
    ])
}
