use serde::Serialize;
use serde::de::DeserializeOwned;
use tiered::{Builder, Cache, Clock, Moka, Redis, Settings};
use tiered_examples::{Address, Failure, Proxy, Server, Trouble};

/// A Redis of its own, and the way to it, both of which may be troubled.
pub(crate) struct Ground {
    pub(crate) server: Server,
    pub(crate) proxy: Proxy,
    /// For orders that are not part of the trouble: past the proxy, as a user whose password stays.
    pub(crate) admin: Address,
    way: Address,
}

/// The user that caches come as.
pub(crate) const USER: &str = "default";
/// Of all caches.
pub(crate) const NAMESPACE: &str = "chaos";

/// What each start of the server needs.
const OPTIONS: [&str; 9] = [
    "--user",
    "admin",
    "on",
    ">admin",
    "~*",
    "&*",
    "+@all",
    "--enable-debug-command",
    "local",
];

impl Ground {
    pub(crate) async fn prepare() -> Result<Self, Failure> {
        let server = Server::start_with(&options(&[])).await?;
        let address = Address::parse(&server.url())?;
        let proxy = Proxy::start(address.clone()).await?;
        Ok(Self {
            way: address.through(proxy.port()),
            admin: address.for_user("admin", "admin"),
            server,
            proxy,
        })
    }

    pub(crate) async fn start_again(&mut self, more: &[&str]) -> Result<(), Failure> {
        self.server.start_again(&options(more)).await
    }

    pub(crate) fn trouble(&self, trouble: Trouble) {
        self.proxy.set(trouble);
    }

    /// A cache with its own connections to the server.
    pub(crate) async fn node<V>(
        &self,
        settings: &Settings,
        clock: Clock,
    ) -> Result<Cache<V, u32>, Failure>
    where
        V: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        let redis = Redis::connect(&self.way.url()).await;
        let redis = redis.map_err(|error| Failure::new("cannot connect").because(error))?;
        let builder = Builder::new(NAMESPACE).settings(settings.clone());
        let built = builder
            .l1(Moka::entries(50_000))
            .l2(redis)
            .clock(clock)
            .build();
        built.map_err(|error| Failure::new("cannot set up a cache").because(error))
    }

    /// How many connections of caches the server has.
    pub(crate) async fn connections(&self) -> Result<usize, Failure> {
        let clients = self.admin.order(&["CLIENT LIST"]).await?;
        let user = format!(" user={USER} ");
        Ok(clients.lines().filter(|line| line.contains(&user)).count())
    }
}

fn options<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&OPTIONS, more].concat()
}
