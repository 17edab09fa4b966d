//! Moves tenants between the shared file and files of their own, and removes them, while everybody
//! else goes on. Runs on the keeper's thread, one at a time.
//!
//! The shared file's `tenant` row says where a tenant's data is and under which number; one small
//! transaction on that row, [`Writer::settle`](crate::file::Writer::settle), is the whole decision.
//! Before it, what is being made at the new place is nobody's; after it, what stands at the old place
//! is. Either is written down as a *leftover* before it can exist, and is deleted by whoever comes by:
//! this call, the next one, or the next start. So a crash at any moment leaves one whole copy that
//! counts, and a note of what else there is.
//!
//! A move, in order:
//!
//! 1. The new number is noted as a leftover. Sealed messages, which never change, are copied.
//! 2. The tenant's units are held back; those before them are done. The rest is copied, synced.
//! 3. The row is changed. The held units go to the new place, reads too.
//! 4. When the last read of the old place is done, the old rows or the old file are deleted.

mod clean;
mod copy;
mod tables;
mod whole;

use crate::backup::sync_dir;
use crate::error::io;
use crate::file::tenants::{Leftover, Room, Still};
use crate::file::{Database, open};
use crate::files::Files;
use crate::options::Options;
use crate::readers::Readers;
use caxton_core::{MailboxId, TenantId};
use caxton_engine::port::StoreError;
use caxton_engine::port::store::Placement;
use clean::{clean, with_suffix};
use copy::Copy;
use std::path::Path;
use std::sync::Arc;

/// What this work needs of the store.
#[derive(Clone, Debug)]
pub(crate) struct Tenants {
    pub(crate) files: Arc<Files>,
    pub(crate) readers: Arc<Readers>,
    pub(crate) options: Arc<Options>,
}

/// Units of a tenant that wait, until this is dropped or [`Hold::change`] sends them elsewhere.
struct Hold<'a> {
    files: &'a Files,
    tenant: &'a TenantId,
    done: bool,
}

impl<'a> Hold<'a> {
    fn new(files: &'a Files, tenant: &'a TenantId) -> Self {
        files.hold(tenant);
        Self {
            files,
            tenant,
            done: false,
        }
    }

    /// The transaction that decides has failed, and a crash may yet bring it back: nothing may be
    /// accepted at the old place before another one has succeeded. It is tried now, else whenever
    /// somebody wants to write.
    fn undo(mut self, error: StoreError) -> StoreError {
        if let Err(error) = self.files.shared.run_now(|writer| writer.write_over()) {
            self.done = true;
            self.files.refuse(self.tenant, &error);
        }
        error
    }

    fn change(mut self, change: impl FnOnce()) {
        self.done = true;
        self.files.release(self.tenant, change);
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.files.release(self.tenant, || {});
        }
    }
}

impl Tenants {
    /// Finishes what a crash has left. What cannot be finished now is told, and tried again with the
    /// next move, removal or start: it is in nobody's way.
    pub(crate) fn finish_leftovers(&self) {
        if let Err(error) = clean(&self.files)
            && self.files.go_on().is_ok()
        {
            tracing::error!(%error, "what a removed or moved tenant has left could not be deleted");
        }
    }

    /// Decides for tenants whose move or removal failed that they stay where they are.
    pub(crate) fn decide(&self) -> Result<(), StoreError> {
        for tenant in self.files.undecided() {
            self.files.shared.run_now(|writer| writer.write_over())?;
            self.files.release(&tenant, || {});
        }
        Ok(())
    }

    pub(crate) fn placement(&self, tenant: &TenantId) -> Placement {
        match self.files.is_dedicated(tenant) {
            true => Placement::Dedicated,
            false => Placement::Shared,
        }
    }

    pub(crate) fn relocate(&self, tenant: &TenantId, to: Placement) -> Result<(), StoreError> {
        self.decide()?;
        // Also what an earlier try left in the way of this one.
        clean(&self.files)?;
        if self.placement(tenant) == to {
            return Ok(());
        }
        let moved = match to {
            Placement::Dedicated => self.to_own_file(tenant),
            Placement::Shared => self.to_shared_file(tenant),
        };
        if moved.is_err() {
            // What was being made goes. What cannot go now is in nobody's way.
            self.finish_leftovers();
            return moved;
        }
        clean(&self.files)
    }

    pub(crate) fn remove(&self, tenant: &TenantId) -> Result<(), StoreError> {
        self.decide()?;
        // A former call may have been interrupted: then this is all there is to do.
        clean(&self.files)?;
        let (files, shared) = (&*self.files, &*self.files.shared);
        let name = tenant.clone();
        let known = shared.run_now(move |writer| Ok(writer.tenant_number(&name)))?;
        let apart = files.is_dedicated(tenant);
        if known.is_none() && !apart {
            return Ok(());
        }
        let source = files.of(tenant)?;
        let hold = Hold::new(files, tenant);
        // The units before this call are done, or failed: a damaged file can be removed, too.
        source.run_now(|_| Ok(())).ok();
        let name = tenant.clone();
        let settled = shared.run_now(move |writer| {
            let number = writer.tenant_number(&name);
            let left = number.map(|number| Leftover {
                number,
                name: name.clone(),
                file: apart,
            });
            writer.settle(&name, None, left.as_ref())?;
            writer.announce(&name, None);
            Ok(number)
        });
        let number = match settled {
            Ok(number) => number,
            Err(error) => return Err(hold.undo(error)),
        };
        hold.change(|| {
            shared.shared.dedicated.write().remove(tenant);
        });
        self.leave(tenant, source, apart)?;
        if let Some(number) = number.filter(|_| !apart) {
            shared.run_now(move |writer| {
                writer.forget_number(number);
                Ok(())
            })?;
        }
        clean(files)
    }

    /// Waits for the last read of a place that is nobody's any more, and closes its file.
    fn leave(
        &self,
        tenant: &TenantId,
        source: Arc<Database>,
        apart: bool,
    ) -> Result<(), StoreError> {
        let closed = apart.then(|| self.files.path_of(tenant));
        let kept = apart.then(|| self.files.forget_file(tenant));
        self.readers.quiesce(closed.as_deref())?;
        drop((kept, source));
        Ok(())
    }

    fn to_own_file(&self, tenant: &TenantId) -> Result<(), StoreError> {
        let (files, shared) = (&*self.files, &self.files.shared);
        let path = files.path_of(tenant);
        if path.exists() {
            let text = format!("{} is in the way", path.display());
            return Err(StoreError::Failed(text));
        }
        let name = tenant.clone();
        let number = shared.run_now(move |writer| writer.intend(&name, true))?;
        let mut filling = match begun(shared, tenant)? {
            Some(begun) => Some(self.begin_file(tenant, &begun)?),
            None => None,
        };
        let hold = Hold::new(files, tenant);
        let still = still(shared, tenant)?;
        let from = still.as_ref().map(|still| still.number);
        if let Some(still) = still {
            let (dest, copy) = match filling.take() {
                Some(filling) => filling,
                // The tenant began a moment ago.
                None => self.begin_file(tenant, &Begun::of(&still))?,
            };
            self.finish_file(&path, dest, copy, still)?;
        }
        let name = tenant.clone();
        let settled = shared.run_now(move |writer| {
            let left = from.map(|number| Leftover {
                number,
                name: name.clone(),
                file: false,
            });
            writer.settle(&name, Some((number, true)), left.as_ref())
        });
        if let Err(error) = settled {
            return Err(hold.undo(error));
        }
        hold.change(|| {
            shared.shared.dedicated.write().insert(tenant.clone());
        });
        self.leave(tenant, shared.clone(), false)?;
        let name = tenant.clone();
        shared.run_now(move |writer| {
            writer.announce(&name, Some(number));
            if let Some(from) = from {
                writer.forget_number(from);
            }
            Ok(())
        })
    }

    /// Makes the file and copies what does not change.
    fn begin_file(&self, tenant: &TenantId, begun: &Begun) -> Result<(Database, Copy), StoreError> {
        let dest = self.files.new_file(tenant)?;
        let name = tenant.clone();
        let to = dest.run_now(move |writer| writer.furnish(&name))?;
        let source = self.reader(&self.files.shared)?;
        let copy = Copy::new(source, begun.number, to, 1_i64.saturating_sub(begun.first));
        let copy = self.run(copy, &dest)?;
        Ok((dest, copy))
    }

    /// Copies the rest and closes the file; it is whole and on the disk then.
    fn finish_file(
        &self,
        path: &Path,
        dest: Database,
        mut copy: Copy,
        still: Still,
    ) -> Result<(), StoreError> {
        copy.finish_with(still);
        let copy = self.run(copy, &dest)?;
        let newest = copy.newest;
        dest.run_now(move |writer| writer.furnished(newest))?;
        drop(copy);
        drop(dest);
        for suffix in ["", "-wal"] {
            let path = with_suffix(path, suffix);
            match std::fs::File::open(&path).and_then(|file| file.sync_all()) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(io("sync", &path, &error)),
            }
        }
        // The file's name is durable with its folder, and the folder's with the data folder.
        path.ancestors().skip(1).take(2).try_for_each(sync_dir)
    }

    fn to_shared_file(&self, tenant: &TenantId) -> Result<(), StoreError> {
        let (files, shared) = (&*self.files, &self.files.shared);
        let source = files.of(tenant)?;
        let mut filling = match begun(&source, tenant)? {
            Some(begun) => Some(self.begin_rows(tenant, &source, &begun)?),
            None => None,
        };
        let hold = Hold::new(files, tenant);
        let still = still(&source, tenant)?;
        let mut next = None;
        if let Some(still) = still {
            let (room, copy) = match filling.take() {
                Some(filling) => filling,
                None => self.begin_rows(tenant, &source, &Begun::of(&still))?,
            };
            next = Some(self.finish_rows(room, copy, still)?);
        }
        let name = tenant.clone();
        let settled = shared.run_now(move |writer| {
            let left = writer.tenant_number(&name).map(|number| Leftover {
                number,
                name: name.clone(),
                file: true,
            });
            let row = next.as_ref().map(|next| (next.number, false));
            writer.settle(&name, row, left.as_ref())?;
            writer.announce(&name, row.map(|(number, _)| number));
            if let Some(next) = next {
                writer.take_inbox(next.number, next.inbox, next.offset);
            }
            Ok(())
        });
        if let Err(error) = settled {
            return Err(hold.undo(error));
        }
        hold.change(|| {
            shared.shared.dedicated.write().remove(tenant);
        });
        self.leave(tenant, source, true)
    }

    /// Makes room in the shared file and copies what does not change.
    fn begin_rows(
        &self,
        tenant: &TenantId,
        source: &Database,
        begun: &Begun,
    ) -> Result<(Room, Copy), StoreError> {
        let name = tenant.clone();
        let span = begun.last.saturating_sub(begun.first).saturating_add(1);
        let shared = &self.files.shared;
        let room = shared.run_now(move |writer| writer.make_room(&name, span))?;
        let offset = room.seq_after.saturating_add(1).saturating_sub(begun.first);
        let copy = Copy::new(self.reader(source)?, begun.number, room.number, offset);
        let copy = self.run(copy, shared)?;
        Ok((room, copy))
    }

    fn finish_rows(&self, room: Room, mut copy: Copy, still: Still) -> Result<Arrived, StoreError> {
        let shared = &self.files.shared;
        let waiting = shared.shared.inbox.read().deliveries();
        if waiting.saturating_add(still.inbox.len()) > self.options.deliveries_max {
            return Err(StoreError::Busy);
        }
        let inbox = still.inbox.clone();
        copy.finish_with(still);
        let copy = self.run(copy, shared)?;
        if copy.newest > room.seq_until {
            return Err(StoreError::Busy);
        }
        Ok(Arrived {
            number: room.number,
            offset: copy.offset,
            inbox,
        })
    }

    /// Copies piece by piece until this phase has no more.
    fn run(&self, mut copy: Copy, dest: &Database) -> Result<Copy, StoreError> {
        let mut more = true;
        while more {
            self.files.go_on()?;
            (copy, more) = dest.run_now(move |writer| {
                let more = writer.change(|conn| copy.step(conn))?;
                Ok((copy, more))
            })?;
        }
        Ok(copy)
    }

    fn reader(&self, source: &Database) -> Result<rusqlite::Connection, StoreError> {
        source.ensure_ready()?;
        let path = &source.shared.path;
        open::reader(path, &self.options).map_err(|error| error.of(path))
    }
}

/// What was copied into the shared file, and must be in its memory too.
struct Arrived {
    number: i64,
    offset: i64,
    inbox: Vec<(MailboxId, i64, u32)>,
}

/// A tenant that writes on.
struct Begun {
    number: i64,
    /// Of its messages.
    first: i64,
    last: i64,
}

impl Begun {
    fn of(still: &Still) -> Self {
        Self {
            number: still.number,
            first: still.first,
            last: still.last,
        }
    }
}

fn begun(source: &Database, tenant: &TenantId) -> Result<Option<Begun>, StoreError> {
    let name = tenant.clone();
    source.run_now(move |writer| {
        let Some(number) = writer.tenant_number(&name) else {
            return Ok(None);
        };
        let (first, last) = writer.sequences(number)?;
        Ok(Some(Begun {
            number,
            first,
            last,
        }))
    })
}

/// How the tenant stands once the units that were queued are done; others must be held.
fn still(source: &Database, tenant: &TenantId) -> Result<Option<Still>, StoreError> {
    let name = tenant.clone();
    source.run_now(move |writer| writer.still(&name))
}
