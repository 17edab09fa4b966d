//! Role assignments: create, list, get, delete. And the roles there are.

use caxton_api::wkt::Empty;
use caxton_api::{ApiError, CallContext, v1};
use caxton_core::error::{Code, shown};
use caxton_core::grant::{Permission, Role, Subject};
use caxton_engine::directory::Assignment;

use super::{Api, page};
use crate::convert::time::wire;

pub(super) async fn create(
    api: &Api,
    call: &CallContext,
    request: v1::CreateRoleAssignmentRequest,
) -> Result<v1::RoleAssignment, ApiError> {
    let ctx = api.open(call).await?;
    let role = Role::parse(&request.role)?;
    let subject = Subject::parse(&request.subject)?;
    if matches!(subject, Subject::Key(_)) {
        let what = "is a key, which has its role in itself";
        let error = ApiError::new(Code::ParameterMalformed, format!("`subject` {what}"));
        return Err(error.with_field("subject", what));
    }
    let (app, inner) = (api.app().clone(), ctx.clone());
    let work = async move { Ok(assignment(&app.role_assign(&inner, &subject, role).await?)) };
    api.create(&ctx, call, &request, work).await
}

pub(super) async fn list(
    api: &Api,
    call: &CallContext,
    request: &v1::ListRoleAssignmentsRequest,
) -> Result<v1::ListRoleAssignmentsResponse, ApiError> {
    let ctx = api.open(call).await?;
    let page = page::request(request.page_size, &request.page_token);
    let found = api.within(&ctx, api.app().role_list(&ctx, &page)).await?;
    Ok(v1::ListRoleAssignmentsResponse {
        role_assignments: found.rows.iter().map(assignment).collect(),
        next_page_token: found.next.unwrap_or_default(),
    })
}

pub(super) async fn get(
    api: &Api,
    call: &CallContext,
    request: &v1::GetRoleAssignmentRequest,
) -> Result<v1::RoleAssignment, ApiError> {
    let ctx = api.open(call).await?;
    let found = api.app().role_show(&ctx, &request.role_assignment);
    Ok(assignment(&api.within(&ctx, found).await?))
}

pub(super) async fn delete(
    api: &Api,
    call: &CallContext,
    request: &v1::DeleteRoleAssignmentRequest,
) -> Result<Empty, ApiError> {
    let ctx = api.open(call).await?;
    // What cannot name a subject names no assignment that is there.
    let subject = Subject::parse(&request.role_assignment).map_err(|_| {
        let shown = shown(&request.role_assignment);
        let detail = format!("{shown} has no role assignment");
        ApiError::new(Code::RoleAssignmentNotFound, detail)
    })?;
    let (app, inner) = (api.app().clone(), ctx.clone());
    let work = async move { app.role_unassign(&inner, &subject).await };
    api.settle(&ctx, call.method, work).await?;
    Ok(Empty {})
}

pub(super) async fn roles(
    api: &Api,
    call: &CallContext,
) -> Result<v1::ListRolesResponse, ApiError> {
    api.open(call).await?.authorize(Permission::RoleRead)?;
    let role = |role: Role| v1::Role {
        name: role.to_string(),
        permissions: crate::convert::key::permissions(role.permissions()),
    };
    Ok(v1::ListRolesResponse {
        roles: Role::ALL.into_iter().map(role).collect(),
    })
}

fn assignment(it: &Assignment) -> v1::RoleAssignment {
    v1::RoleAssignment {
        id: it.subject.clone(),
        role: it.role.to_string(),
        create_time: Some(wire(it.created)),
        creator: it.created_by.clone(),
    }
}
