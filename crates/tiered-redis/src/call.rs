use std::time::Duration;

use fred::clients::{Client, WithOptions};
use fred::error::{Error as Cause, ErrorKind as CauseKind};
use fred::interfaces::ClientLike;
use fred::types::config::{Config, ConnectionConfig, Options, PerformanceConfig, TcpConfig};
use tiered_core::{Random, Result};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::{RedisOptions, address, error};

/// Where to connect to, and how.
pub(crate) struct Setup {
    pub(crate) options: RedisOptions,
    pub(crate) address: String,
    config: Config,
    random: Random,
}

impl Setup {
    pub(crate) fn new(mut config: Config, options: RedisOptions) -> Result<Self> {
        options.check()?;
        // An attempt that fails is over: trying again is the keeper's business.
        config.fail_fast = true;
        Ok(Self {
            address: address::of(&config)?,
            options,
            config,
            random: Random::new(),
        })
    }

    /// Connects once.
    pub(crate) async fn call(&self) -> Result<Call> {
        let patience = self.options.connect_timeout;
        let mut call = Call::begin(&self.client(), &self.options);
        match timeout(patience, call.answered(patience)).await {
            Ok(Ok(())) => Ok(call),
            Ok(Err(cause)) => {
                let password = self.config.password.as_deref();
                Err(error::of_connecting(&cause, &self.address, password))
            }
            Err(_) => Err(error::no_answer(&self.address)),
        }
    }

    fn client(&self) -> Client {
        let connection = ConnectionConfig {
            connection_timeout: self.options.connect_timeout,
            internal_command_timeout: self.options.connect_timeout,
            tcp: TcpConfig {
                nodelay: Some(true),
                ..TcpConfig::default()
            },
            ..ConnectionConfig::default()
        };
        let performance = PerformanceConfig {
            default_command_timeout: self.options.command_timeout,
            ..PerformanceConfig::default()
        };
        let config = self.config.clone();
        Client::new(config, Some(performance), Some(connection), None)
    }

    /// A random number in `0.0..1.0`.
    pub(crate) fn fraction(&self) -> f64 {
        self.random.fraction()
    }

    /// A while in which a server that is there answers.
    pub(crate) fn silence(&self) -> Duration {
        self.options.command_timeout * 2
    }
}

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

    fn begin(client: &Client, options: &RedisOptions) -> Self {
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
    async fn answered(&mut self, patience: Duration) -> Result<(), Cause> {
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
        let client = self.client_with(&Options {
            fail_fast: true,
            timeout: Some(silence),
            ..Options::default()
        });
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
