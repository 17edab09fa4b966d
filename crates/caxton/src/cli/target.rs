//! Which server a command speaks to, and with which key.
//!
//! The admin key of a data folder goes to the server on that folder and to nobody else: not to
//! another address, and not to whatever took over the port of a server that was killed.

use super::Global;
use crate::config::Sources;
use crate::failure::{Failure, Outcome};
use crate::folder::{Folder, Running};
use caxton_api::client::{Anchor, Client, Trust};
use caxton_core::error::Code;

/// Where a server listens when nobody says.
const DEFAULT_SERVER: &str = "http://127.0.0.1:7070";

/// The data folder of this command.
pub fn folder(global: &Global) -> Outcome<Folder> {
    match &global.data {
        Some(path) => Ok(Folder::at(path)),
        None => {
            let (config, _) = Sources::of_process(None, Vec::new()).resolve()?;
            Ok(Folder::at(config.data.dir))
        }
    }
}

/// A client of the server that the command means.
pub fn client(global: &Global) -> Outcome<Client> {
    let folder = folder(global).ok();
    let here = folder.as_ref().and_then(Folder::running);
    let tenant = global.tenant.as_deref();
    let trust = trust(global);
    let Some(server) = &global.server else {
        return match here {
            Some(here) if here.is_alive() => {
                let key = key(global, folder.as_ref())?;
                let trust = trust_here(trust, &here);
                let client = Client::trusting(&here.url, key.as_deref(), tenant, &trust)?;
                Ok(client)
            }
            Some(gone) => Err(Failure::new(
                Code::ServerUnreachable,
                format!(
                    "the server that ran at {} is gone (process {})",
                    gone.url, gone.process_id
                ),
            )),
            None => {
                let key = global.key.as_deref();
                Ok(Client::trusting(DEFAULT_SERVER, key, tenant, &trust)?)
            }
        };
    };
    let named = Client::trusting(server, global.key.as_deref(), tenant, &trust)?;
    match here {
        Some(here) if here.is_alive() && here.url == named.server() => {
            let key = key(global, folder.as_ref())?;
            let trust = trust_here(trust, &here);
            Ok(Client::trusting(server, key.as_deref(), tenant, &trust)?)
        }
        _ => Ok(named),
    }
}

/// Whom a command believes that speaks to any server.
fn trust(global: &Global) -> Trust {
    let identity = global.client_cert.clone().zip(global.client_key.clone());
    Trust {
        anchor: global
            .ca
            .clone()
            .map_or(Anchor::System, Anchor::Authorities),
        identity,
    }
}

/// The same for the server on the data folder: its own certificate vouches for it, whatever name that
/// was made for, unless somebody else is named.
fn trust_here(trust: Trust, here: &Running) -> Trust {
    match (&trust.anchor, &here.certificate) {
        (Anchor::System, Some(certificate)) => Trust {
            anchor: Anchor::Exactly(certificate.clone()),
            ..trust
        },
        _ => trust,
    }
}

fn key(global: &Global, folder: Option<&Folder>) -> Outcome<Option<String>> {
    match (&global.key, folder) {
        (Some(key), _) => Ok(Some(key.clone())),
        (None, Some(folder)) => folder.key(),
        (None, None) => Ok(None),
    }
}
