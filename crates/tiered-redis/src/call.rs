use std::time::Duration;

use fred::clients::{Client, WithOptions};
use fred::error::{Error as Cause, ErrorKind as CauseKind};
use fred::interfaces::ClientLike;
use fred::types::config::Options;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::RedisOptions;

/// A client with the task that drives it. fred lets that task, and the socket, outlive the client; this does not.
pub(crate) struct Call {
    pub(crate) client: WithOptions<Client>,
    router: JoinHandle<Result<(), Cause>>,
}

impl Call {
    /// Closes the socket without a word; what waits fails.
    pub(crate) fn abort(&self) {
        self.router.abort();
    }

    pub(crate) fn begin(client: &Client, options: &RedisOptions) -> Self {
        let per_command = Options {
            fail_fast: true,
            max_attempts: Some(1),
            timeout: Some(options.command_timeout),
            ..Options::default()
        };
        Self {
            client: client.with_options(&per_command),
            router: client.connect(),
        }
    }

    /// Ends when the server has answered, or cannot any more.
    pub(crate) async fn answered(&mut self, patience: Duration) -> Result<(), Cause> {
        let client = self.client_with(&Options {
            fail_fast: false,
            timeout: Some(patience),
            ..Options::default()
        });
        let pong = tokio::select! {
            biased;
            ended = &mut self.router => return ended?,
            pong = client.ping::<String>(None) => pong?,
        };
        match pong.as_str() {
            "PONG" => Ok(()),
            _ => Err(Cause::new(CauseKind::Protocol, "unexpected answer")),
        }
    }

    /// Ends when the connection is lost, or has been silent for too long.
    pub(crate) async fn lost(&mut self, silence: Duration) {
        let client = self.client_for(silence);
        let silent = async {
            loop {
                sleep(silence).await;
                if client.ping::<()>(None).await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            biased;
            _ = &mut self.router => {}
            () = silent => {}
        }
    }

    /// A client whose commands wait so long for their answer.
    pub(crate) fn client_for(&self, patience: Duration) -> WithOptions<Client> {
        self.client_with(&Options {
            fail_fast: true,
            max_attempts: Some(1),
            timeout: Some(patience),
            ..Options::default()
        })
    }

    /// Of options upon options, fred would take the inner ones.
    fn client_with(&self, options: &Options) -> WithOptions<Client> {
        let client: &Client = &self.client;
        client.with_options(options)
    }

    /// Lets the commands under way finish, for a while.
    pub(crate) async fn end(&mut self, patience: Duration) {
        if self.router.is_finished() {
            return;
        }
        let farewell = async {
            let _ = self.client.quit().await;
            let _ = (&mut self.router).await;
        };
        if timeout(patience, farewell).await.is_err() {
            self.router.abort();
            let _ = (&mut self.router).await;
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.abort();
    }
}
