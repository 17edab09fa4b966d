//! Which server a command speaks to, and with which key.
//!
//! The admin key of a data folder goes to the server on that folder and to nobody else: not to
//! another address, and not to whatever took over the port of a server that was killed.

use super::Global;
use crate::config::Sources;
use crate::contexts::{self, Context, Contexts};
use crate::failure::{Failure, Outcome};
use crate::folder::{Folder, Running};
use crate::servers;
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

/// Completes the command line from the context that it names or that is in use: what the line or the
/// environment says counts first. The context in use is none where they name a server or a data
/// folder, so that its key goes to its own server alone.
pub fn apply_context(global: &mut Global) -> Outcome {
    let elsewhere = global.server.is_some() || global.data.is_some();
    let contexts = match (contexts::folder(), &global.context) {
        (Some(dir), Some(_)) => Contexts::read(&dir)?,
        (Some(dir), None) if !elsewhere => Contexts::read(&dir)?,
        (None, Some(_)) => Contexts::default(),
        _ => return Ok(()),
    };
    if let (Some(name), Some(server)) = (&global.context, &global.server) {
        let what = format!("--context {name} and --server {server} name a server each");
        let hint = "leave one of them out; CAXTON_CONTEXT and CAXTON_SERVER count, too";
        return Err(Failure::usage(what).with_hint(hint));
    }
    let Some(name) = global.context.as_ref().or(contexts.current.as_ref()) else {
        return Ok(());
    };
    let context = contexts.get(name)?.clone();
    global.server = Some(context.server);
    let or = |given: &mut Option<String>, kept| *given = given.take().or(kept);
    or(&mut global.key, context.key);
    or(&mut global.tenant, context.tenant);
    global.ca = global.ca.take().or(context.ca);
    if global.client_cert.is_none() {
        global.client_cert = context.client_cert;
        global.client_key = context.client_key;
    }
    Ok(())
}

/// A client of a context's server; an error says what of the context is no good.
pub fn of_context(context: &Context) -> Outcome<Client> {
    let identity = context.client_cert.clone().zip(context.client_key.clone());
    let anchor = context.ca.clone();
    let trust = Trust {
        anchor: anchor.map_or(Anchor::System, Anchor::Authorities),
        identity,
    };
    let (key, tenant) = (context.key.as_deref(), context.tenant.as_deref());
    Ok(Client::trusting(&context.server, key, tenant, &trust)?)
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
            None => at(global, DEFAULT_SERVER, None, trust),
        };
    };
    let here = here.filter(Running::is_alive).zip(folder);
    at(
        global,
        server,
        here.map(|(here, folder)| (folder, here)),
        trust,
    )
}

/// A client of the server at an address. Where that is the one on the data folder, or another that this
/// user runs and no folder is named, it has that folder's key.
fn at(
    global: &Global,
    server: &str,
    here: Option<(Folder, Running)>,
    trust: Trust,
) -> Outcome<Client> {
    let tenant = global.tenant.as_deref();
    let named = Client::trusting(server, global.key.as_deref(), tenant, &trust)?;
    let here = here.filter(|(_, here)| here.is_at(named.server()));
    let found = match (here, &global.data) {
        (None, None) => servers::at(named.server()),
        (here, _) => here,
    };
    let Some((folder, here)) = found else {
        return Ok(named);
    };
    let key = key(global, Some(&folder))?;
    let trust = trust_here(trust, &here);
    Ok(Client::trusting(server, key.as_deref(), tenant, &trust)?)
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
