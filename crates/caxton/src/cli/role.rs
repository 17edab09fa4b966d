//! `caxton role`: who has which role in the tenant.

use super::key::Role;
use super::output::{Column, Output, ago, fields};
use super::{Global, target};
use crate::failure::Outcome;
use caxton_api::client::Client;
use caxton_api::v1::{
    CreateRoleAssignmentRequest, DeleteRoleAssignmentRequest, GetRoleAssignmentRequest,
    ListRoleAssignmentsRequest, ListRoleAssignmentsResponse, ListRolesRequest, RoleAssignment,
};
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum RoleCommand {
    /// Give a user or service a role, or another than it has.
    Assign(AssignArgs),
    /// List who has which role.
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Show somebody's role.
    Show(Named),
    /// Take somebody's role away.
    #[command(visible_alias = "rm")]
    Remove(Named),
    /// What each role permits.
    Permissions,
}

#[derive(Debug, Args)]
pub struct Named {
    /// `user:ISSUER|SUBJECT` or `cert:NAME`.
    subject: String,
}

#[derive(Debug, Args)]
pub struct AssignArgs {
    /// `user:ISSUER|SUBJECT` or `cert:NAME`.
    subject: String,
    /// The role.
    #[arg(value_enum)]
    role: Role,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// At most so many.
    #[arg(long, default_value_t = 1000)]
    limit: usize,
}

pub async fn run(command: RoleCommand, global: &Global, output: &Output) -> Outcome {
    let client = target::client(global)?;
    match command {
        RoleCommand::Assign(args) => {
            let request = CreateRoleAssignmentRequest {
                subject: args.subject,
                role: args.role.text(),
            };
            let assigned = client.create_role_assignment(&request).await?;
            output.answer(&assigned, &assigned.id, || text(&assigned))
        }
        RoleCommand::List(args) => list(args, &client, output).await,
        RoleCommand::Show(Named { subject }) => {
            let request = GetRoleAssignmentRequest {
                role_assignment: subject,
            };
            let found = client.get_role_assignment(&request).await?;
            output.answer(&found, &found.id, || text(&found))
        }
        RoleCommand::Remove(Named { subject }) => {
            let request = DeleteRoleAssignmentRequest {
                role_assignment: subject.clone(),
            };
            client.delete_role_assignment(&request).await?;
            output.gone(&subject, "removed")
        }
        RoleCommand::Permissions => {
            let answer = client.list_roles(&ListRolesRequest {}).await?;
            let columns = ["ROLE", "PERMITS"].map(Column::Text);
            let rows = answer.roles.iter();
            let rows = rows.map(|it| vec![it.name.clone(), it.permissions.join(" ")]);
            let names: Vec<String> = answer.roles.iter().map(|it| it.name.clone()).collect();
            output.list(&answer, &columns, rows.collect(), &names)
        }
    }
}

async fn list(args: ListArgs, client: &Client, output: &Output) -> Outcome {
    let mut request = ListRoleAssignmentsRequest::default();
    let mut found: Vec<RoleAssignment> = Vec::new();
    while found.len() < args.limit {
        request.page_size = super::page_size(args.limit, found.len());
        let page = client.list_role_assignments(&request).await?;
        found.extend(page.role_assignments);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    if found.is_empty() && output.is_table() {
        output.note("nobody has a role besides the keys; `caxton role assign` gives one");
        return Ok(());
    }
    let columns = ["SUBJECT", "ROLE", "BY", "SINCE"].map(Column::Text);
    let rows = found.iter().map(|it| {
        vec![
            it.id.clone(),
            it.role.clone(),
            it.creator.clone(),
            ago(it.create_time.as_ref()),
        ]
    });
    let rows = rows.collect();
    let names: Vec<String> = found.iter().map(|it| it.id.clone()).collect();
    let data = ListRoleAssignmentsResponse {
        role_assignments: found,
        next_page_token: request.page_token,
    };
    output.list(&data, &columns, rows, &names)
}

fn text(it: &RoleAssignment) -> String {
    fields(&[
        ("subject", it.id.clone()),
        ("role", it.role.clone()),
        ("by", it.creator.clone()),
        (
            "since",
            it.create_time
                .map(|time| time.to_string())
                .unwrap_or_default(),
        ),
    ])
}
