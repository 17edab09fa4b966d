//! Which server a command speaks to, and with which key.
//!
//! The admin key of a data folder goes to the server on that folder and to nobody else: not to
//! another address, and not to whatever took over the port of a server that was killed.

use super::Global;
use crate::config::Sources;
use crate::failure::{Failure, Outcome};
use crate::folder::Folder;
use caxton_api::client::Client;
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
    let Some(server) = &global.server else {
        return match here {
            Some(here) if here.is_alive() => {
                let key = key(global, folder.as_ref())?;
                Ok(Client::new(&here.url, key.as_deref(), tenant)?)
            }
            Some(gone) => Err(Failure::new(
                Code::ServerUnreachable,
                format!(
                    "the server that ran at {} is gone (process {})",
                    gone.url, gone.process_id
                ),
            )),
            None => Ok(Client::new(DEFAULT_SERVER, global.key.as_deref(), tenant)?),
        };
    };
    let named = Client::new(server, global.key.as_deref(), tenant)?;
    match here {
        Some(here) if here.is_alive() && here.url == named.server() => {
            let key = key(global, folder.as_ref())?;
            Ok(Client::new(server, key.as_deref(), tenant)?)
        }
        _ => Ok(named),
    }
}

fn key(global: &Global, folder: Option<&Folder>) -> Outcome<Option<String>> {
    match (&global.key, folder) {
        (Some(key), _) => Ok(Some(key.clone())),
        (None, Some(folder)) => folder.key(),
        (None, None) => Ok(None),
    }
}
