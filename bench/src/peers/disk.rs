//! The disk: what it takes to append some bytes to a file and have them there.

use crate::measure::{Contestant, Scores, percentiles};
use futures::future::BoxFuture;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

/// A file that grows by so many appends a round, each synced.
pub struct Appends {
    file: File,
    appends: usize,
    bytes: Vec<u8>,
}

impl Appends {
    pub fn new(folder: &Path, appends: usize, bytes: usize) -> anyhow::Result<Self> {
        Ok(Self {
            file: File::create(folder.join("appends"))?,
            appends,
            bytes: vec![b'x'; bytes],
        })
    }

    fn append(&mut self) -> anyhow::Result<Scores> {
        let mut times = Vec::with_capacity(self.appends);
        for _ in 0..self.appends {
            let begun = Instant::now();
            self.file.write_all(&self.bytes)?;
            self.file.sync_data()?;
            times.push(begun.elapsed());
        }
        percentiles(times)
    }
}

impl Contestant for Appends {
    fn name(&self) -> String {
        "fdatasync".to_owned()
    }

    fn round(&mut self) -> BoxFuture<'_, anyhow::Result<Scores>> {
        Box::pin(async { tokio::task::block_in_place(|| self.append()) })
    }
}
