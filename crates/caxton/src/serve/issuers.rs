//! The issuers whose tokens are believed.

use crate::config::Config;
use crate::failure::{Failure, Outcome};
use caxton_core::error::Code;
use caxton_engine::port::Clock;
use caxton_gateway::jwt::{HttpFetch, JwtAuthenticator};
use std::path::Path;
use std::sync::Arc;

/// Whoever verifies tokens, where issuers are configured. Their keys are got when the first token
/// comes: a server starts though an issuer is down.
///
/// # Errors
/// `CX-6010` for issuers that cannot be as they are configured.
pub fn build(config: &Config, clock: &Arc<dyn Clock>) -> Outcome<Option<JwtAuthenticator>> {
    let auth = &config.auth;
    if auth.issuers.is_empty() {
        return Ok(None);
    }
    let invalid = |what: String| Failure::new(Code::ConfigInvalid, what);
    let ca = Some(auth.ca.as_path()).filter(|path: &&Path| !path.as_os_str().is_empty());
    let fetch = HttpFetch::new(ca).map_err(|error| invalid(format!("auth.ca: {error}")))?;
    let issuers = auth.issuers().map_err(invalid)?;
    let made = JwtAuthenticator::new(issuers, Arc::new(fetch), Arc::clone(clock));
    let made = made.map_err(|error| invalid(format!("auth.issuers: {error}")))?;
    Ok(Some(made))
}
