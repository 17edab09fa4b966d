//! Role assignments: which role somebody who has no key of ours (a user of an identity provider, a
//! holder of a client certificate) has in a tenant. They count from the moment they are written.

use super::{Directory, Ended};
use crate::documents::Document;
use crate::port::store::{Page, PageRequest, RecordKind};
use caxton_core::error::{Code, Error};
use caxton_core::grant::{Role, Subject};
use caxton_core::{TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Role assignments of one tenant.
pub const ROLE_ASSIGNMENTS_MAX: usize = 1000;

/// Somebody's role in a tenant, as kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// [`Subject`] as a text.
    pub subject: String,
    pub role: Role,
    pub created: Timestamp,
    pub created_by: String,
}

impl Document for Assignment {
    const KIND: RecordKind = RecordKind("role");
}

impl Directory {
    pub(super) async fn assignment_known(
        &self,
        tenant: &TenantId,
        subject: &str,
    ) -> Result<Option<Arc<Assignment>>, Error> {
        let place = (tenant.clone(), subject.to_owned());
        let read = async {
            let found = self.documents.get(&Self::scope(tenant), subject).await?;
            Ok(found.map(Arc::new))
        };
        self.assignments.get_or_insert_async(&place, read).await
    }

    pub(crate) async fn assignment(
        &self,
        tenant: &TenantId,
        subject: &str,
    ) -> Result<Assignment, Error> {
        let found = self.assignment_known(tenant, subject).await?;
        found
            .map(|it| (*it).clone())
            .ok_or_else(|| not_found(subject))
    }

    /// In the order of subjects.
    pub(crate) async fn assignments(
        &self,
        tenant: &TenantId,
        page: &PageRequest,
    ) -> Result<Page<Assignment>, Error> {
        self.documents.list(&Self::scope(tenant), "", page).await
    }

    /// Gives a subject a role, or another than it has.
    pub(crate) async fn assign(
        &self,
        tenant: &TenantId,
        subject: &Subject,
        role: Role,
        by: &str,
    ) -> Result<Assignment, Error> {
        let _one = self.changing.lock().await;
        let text = subject.to_string();
        let known = self.assignment_known(tenant, &text).await?;
        if known.is_none() {
            let page = PageRequest::first(crate::port::store::PAGE_ROWS_MAX);
            if self.assignments(tenant, &page).await?.rows.len() >= ROLE_ASSIGNMENTS_MAX {
                let detail = format!("there are {ROLE_ASSIGNMENTS_MAX} role assignments already");
                return Err(Error::new(Code::KeysTooMany, detail));
            }
        }
        let assignment = Assignment {
            subject: text.clone(),
            role,
            created: self.clock.now(),
            created_by: by.to_owned(),
        };
        let scope = Self::scope(tenant);
        let kept = self.documents.put(&scope, &text, &assignment).await;
        let place = (tenant.clone(), text);
        self.assignments.remove(&place);
        // Also where the store failed: it may have been written all the same.
        self.end(Ended::Subject(tenant.clone(), subject.clone()));
        kept?;
        self.assignments
            .insert(place, Some(Arc::new(assignment.clone())));
        Ok(assignment)
    }

    pub(crate) async fn unassign(&self, tenant: &TenantId, subject: &Subject) -> Result<(), Error> {
        let _one = self.changing.lock().await;
        let text = subject.to_string();
        if self.assignment_known(tenant, &text).await?.is_none() {
            return Err(not_found(&text));
        }
        let scope = Self::scope(tenant);
        let removed = self.documents.remove::<Assignment>(&scope, &text).await;
        self.assignments.remove(&(tenant.clone(), text));
        self.end(Ended::Subject(tenant.clone(), subject.clone()));
        removed
    }
}

fn not_found(subject: &str) -> Error {
    let subject = caxton_core::error::shown(subject);
    Error::new(
        Code::RoleAssignmentNotFound,
        format!("{subject} has no role assignment"),
    )
}
