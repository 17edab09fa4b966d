//! A server inside this process, on a free loopback port.

use crate::config::{Config, Mcp};
use crate::failure::{Failure, Outcome};
use crate::serve::Server;
use caxton_api::client::Client;
use caxton_engine::task::Tasks;
use std::path::Path;
use tokio::sync::{oneshot, watch};

/// A running server.
#[derive(Debug)]
pub struct Embedded {
    url: String,
    client: Client,
    stop: oneshot::Sender<()>,
    done: oneshot::Receiver<Outcome>,
    over: watch::Receiver<bool>,
}

/// This very binary, as an MCP server that knows the tour's server by its folder.
fn over_stdio(folder: &Path) -> Outcome<Mcp> {
    let me = std::env::current_exe()
        .map_err(|error| Failure::plain("cannot find this binary").because(error.to_string()))?;
    let data = folder.display().to_string();
    Ok(Mcp {
        description: "This server, over the Model Context Protocol.".to_owned(),
        command: me.display().to_string(),
        args: vec!["mcp".to_owned()],
        env: [("CAXTON_DATA".to_owned(), data)].into(),
        ..Mcp::default()
    })
}

impl Embedded {
    /// Starts a server on a data folder, as `caxton serve` would.
    pub async fn start(folder: &Path, tasks: &Tasks) -> Outcome<Self> {
        let mut config = Config::default();
        config.data.dir = folder.to_owned();
        config.server.listen = "127.0.0.1:0".to_owned();
        config.mcp.insert("caxton".to_owned(), over_stdio(folder)?);
        let server = Server::start(&config).await?;
        let url = server.url().to_owned();
        let client = Client::new(&url, Some(server.key()), None)?;
        let (stop, stopped) = oneshot::channel();
        let (done_sender, done) = oneshot::channel();
        let (over_sender, over) = watch::channel(false);
        tasks.spawn("server of the tour", async move {
            let stopped = async {
                // Dropped or sent: both mean stop.
                let _ = stopped.await;
            };
            let ended = server.run(stopped).await;
            // Whoever waited may have gone.
            let _ = done_sender.send(ended);
            let _ = over_sender.send(true);
        });
        Ok(Self {
            url,
            client,
            stop,
            done,
            over,
        })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Drains and ends it.
    pub async fn stop(self) -> Outcome {
        // It may have ended already, and `done` says how.
        let _ = self.stop.send(());
        self.done
            .await
            .unwrap_or_else(|_| Err(Failure::plain("the server of the tour is gone")))
    }

    /// Completes when it has ended.
    pub async fn ended(&self) {
        let mut over = self.over.clone();
        // An error means that its task is gone, which is an end too.
        let _ = over.wait_for(|over| *over).await;
    }
}
