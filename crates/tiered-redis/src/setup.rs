use std::sync::Arc;
use std::time::Duration;

use fred::clients::Client;
use fred::error::Error as Cause;
use fred::types::RespVersion;
use fred::types::config::{Config, ConnectionConfig, PerformanceConfig, TcpConfig};
use tiered_core::{Error, Random, Result};
use tokio::time::{sleep, timeout};

use crate::call::Call;
use crate::scripts::Scripts;
use crate::{RedisOptions, address, error};

/// Where to connect to, and how.
pub(crate) struct Setup {
    pub(crate) options: RedisOptions,
    pub(crate) address: String,
    pub(crate) random: Random,
    pub(crate) scripts: Scripts,
    config: Config,
}

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Commands, the scripts among them.
    Commands,
    /// To hear what the server says unasked.
    Listening,
}

impl Setup {
    pub(crate) fn new(mut config: Config, options: RedisOptions) -> Result<Arc<Self>> {
        options.check()?;
        // An attempt that fails is over: trying again is the keeper's business.
        config.fail_fast = true;
        Ok(Arc::new(Self {
            address: address::of(&config)?,
            options,
            random: Random::new(),
            scripts: Scripts::default(),
            config,
        }))
    }

    /// Connects once.
    pub(crate) async fn call(&self, purpose: Purpose) -> Result<Call> {
        let mut call = Call::begin(&self.client(purpose), &self.options);
        let ready = async {
            let patience = self.options.connect_timeout;
            let answered = call.answered(patience).await;
            answered.map_err(|cause| self.refused(&cause, purpose))?;
            match purpose {
                Purpose::Commands => self.scripts.load(&call.client_for(patience)).await,
                Purpose::Listening => Ok(()),
            }
        };
        match timeout(self.options.connect_timeout, ready).await {
            Ok(ready) => ready.map(|()| call),
            Err(_) => Err(error::no_answer(&self.address)),
        }
    }

    /// Connects, however often it takes.
    pub(crate) async fn call_again(&self, purpose: Purpose) -> Call {
        const FIRST_DELAY: Duration = Duration::from_millis(50);
        let longest = self.options.reconnect_delay_max;
        let mut delay = FIRST_DELAY.min(longest);
        loop {
            // Nodes that have lost the server together do not come back in one moment.
            sleep(delay.mul_f64(0.5 + self.random.fraction() / 2.0)).await;
            if let Ok(call) = self.call(purpose).await {
                return call;
            }
            delay = (delay * 2).min(longest);
        }
    }

    /// A while in which a server that is there answers.
    pub(crate) fn silence(&self) -> Duration {
        self.options.command_timeout * 2
    }

    fn client(&self, purpose: Purpose) -> Client {
        let connection = ConnectionConfig {
            connection_timeout: self.options.connect_timeout,
            internal_command_timeout: self.options.connect_timeout,
            tcp: TcpConfig {
                nodelay: Some(true),
                ..TcpConfig::default()
            },
            ..ConnectionConfig::default()
        };
        let mut config = self.config.clone();
        let mut performance = PerformanceConfig {
            default_command_timeout: self.options.command_timeout,
            ..PerformanceConfig::default()
        };
        if purpose == Purpose::Listening {
            // Before this version a connection that has subscribed takes no other commands.
            config.version = RespVersion::RESP3;
            performance.broadcast_channel_capacity = NEWS_ON_THE_WAY;
        }
        Client::new(config, Some(performance), Some(connection), None)
    }

    fn refused(&self, cause: &Cause, purpose: Purpose) -> Error {
        match purpose {
            Purpose::Listening if error::is_not_for_us(cause) => error::of_backplane(cause),
            _ => error::of_connecting(cause, &self.address, self.config.password.as_deref()),
        }
    }
}

/// How much fred may have read that nobody has taken over yet. It makes room for that in advance: about 3 MiB.
const NEWS_ON_THE_WAY: usize = 4_096;
