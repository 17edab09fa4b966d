//! Secrets sealed anew under the present master key, while no server runs on the data.
//!
//! Each page of records is one unit, and what is sealed already is passed over: cut short wherever it
//! may be, all that there is still opens under the keys there are, and another run does the rest.

use crate::documents::{self, Document, Documents};
use crate::models::KeptProvider;
use crate::opctx::TenantScope;
use crate::port::{Secrets, Store};
use crate::tools::KeptTool;
use caxton_core::TenantId;
use caxton_core::error::{Code, Error};
use std::sync::Arc;

/// Records read at a time.
const PAGE_ROWS: u32 = 100;

/// What a run found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rewrapped {
    /// Sealed under the present key before.
    pub current: u64,
    /// Sealed anew.
    pub anew: u64,
    /// Open under no key there is, by their places: left as they are.
    pub lost: Vec<String>,
}

/// A noun that may have a secret.
pub(crate) trait Sealed: Document {
    fn id(&self) -> &str;
    /// What the secret is sealed for.
    fn place(&self, tenant: &TenantId) -> String;
    fn sealed(&mut self) -> Option<&mut Vec<u8>>;
}

/// Seals all tenants' secrets under the present key. Nobody else may write to the store meanwhile.
///
/// Errors: `CX-500x`; `CX-7030` for secrets that cannot be sealed at all.
pub async fn rewrap(store: Arc<dyn Store>, secrets: &dyn Secrets) -> Result<Rewrapped, Error> {
    let epoch = store.begin_epoch().await?;
    let documents = Documents::new(Arc::clone(&store), epoch);
    let mut done = Rewrapped::default();
    for tenant in store.tenants().await? {
        let scope = TenantScope::system(tenant, "seal secrets anew");
        each::<KeptProvider>(&documents, &scope, secrets, &mut done).await?;
        each::<KeptTool>(&documents, &scope, secrets, &mut done).await?;
    }
    Ok(done)
}

async fn each<T: Sealed>(
    documents: &Documents,
    scope: &TenantScope,
    secrets: &dyn Secrets,
    done: &mut Rewrapped,
) -> Result<(), Error> {
    let mut after = String::new();
    loop {
        let found: Vec<T> = documents.after(scope, &after, PAGE_ROWS).await?;
        let Some(last) = found.last() else {
            return Ok(());
        };
        last.id().clone_into(&mut after);
        let mut ops = Vec::new();
        for mut one in found {
            let place = one.place(scope.tenant());
            let Some(sealed) = one.sealed() else { continue };
            if secrets.is_current(sealed) {
                done.current += 1;
                continue;
            }
            match secrets.open(&place, sealed) {
                Ok(open) => *sealed = secrets.seal(&place, &open)?,
                Err(error) if error.code == Code::SecretsUnavailable => {
                    done.lost.push(place);
                    continue;
                }
                Err(error) => return Err(error),
            }
            ops.push(documents::put(one.id(), &one)?);
        }
        let anew = ops.len() as u64;
        if anew > 0 {
            documents.commit(scope, ops).await?;
        }
        done.anew += anew;
    }
}
