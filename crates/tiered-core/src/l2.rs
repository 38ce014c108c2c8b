use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::{Record, Result};

/// The second tier: a store of records that all processes share.
///
/// # Contract
///
/// - Every method takes many keys and gives one outcome for each, in their order. A key that fails takes nobody
///   else with it. A key may occur twice: of two writes the later stays, and a removal answers with what was there
///   once. No keys, no work.
/// - Keys are any UTF-8, any length, the empty one and control characters included. Records are any bytes, at least
///   one.
/// - A missing record is `Ok(None)`, not an error. An error of the kind
///   [`Unstorable`](crate::ErrorKind::Unstorable) means that the store cannot take this record, and that what was there
///   stays; any other, that the store could not be asked, or did not answer in time.
/// - What an acknowledged `set_many` has written is what later reads by anybody find, until it is overwritten or
///   removed, its life ends, or the store needs the room. What an acknowledged `remove_many` has removed is not found.
/// - The store judges no age but the physical life it was given. It never answers with a record whose life has
///   ended.
/// - Every batch ends within a time that the store's own settings bound, also when the server hangs.
/// - A dropped future cancels the wait, not the work: whether a write was done is then unknown.
/// - Two writes or removals of one key take effect in the order in which one task has called them, and a read that is
///   called after one of them was acknowledged comes after it.
///
/// The function `testing::l2::contract` (feature `testing`) holds an implementation against this.
///
/// ```
/// use std::time::Duration;
/// use tiered_core::{L2, Record, Result, Write};
///
/// async fn store(l2: &dyn L2, record: Record) -> Result<()> {
///     let write = Write { key: "users:7", record, life: Duration::from_secs(60) };
///     l2.set_many(&[write]).await.remove(0)
/// }
/// ```
#[async_trait]
pub trait L2: Send + Sync + 'static {
    /// The records under these keys.
    async fn get_many(&self, keys: &[&str]) -> Vec<Result<Option<Record>>>;

    /// The [heads](Record::head) of the records under these keys, without their payloads.
    async fn heads_many(&self, keys: &[&str]) -> Vec<Result<Option<Record>>>;

    /// Writes records, in place of those there. A write is done as a whole or not at all.
    async fn set_many(&self, writes: &[Write<'_>]) -> Vec<Result<()>>;

    /// Removes what is under these keys, and answers with the head of what was there.
    async fn remove_many(&self, keys: &[&str]) -> Vec<Result<Option<Record>>>;
}

/// One record to write.
///
/// ```
/// use std::time::Duration;
/// use tiered_core::{Record, Write};
///
/// let write = Write { key: "users:7", record: Record::new(vec![0; 40]), life: Duration::from_secs(60) };
/// assert_eq!(write.record.bytes().len(), 40);
/// ```
#[derive(Clone, Debug)]
pub struct Write<'a> {
    /// Under which key.
    pub key: &'a str,
    /// What.
    pub record: Record,
    /// After how long the store forgets it. The store cuts fractions of a millisecond off, and takes less than one for
    /// one.
    pub life: Duration,
}

#[async_trait]
impl<T: L2 + ?Sized> L2 for Arc<T> {
    async fn get_many(&self, keys: &[&str]) -> Vec<Result<Option<Record>>> {
        T::get_many(self, keys).await
    }

    async fn heads_many(&self, keys: &[&str]) -> Vec<Result<Option<Record>>> {
        T::heads_many(self, keys).await
    }

    async fn set_many(&self, writes: &[Write<'_>]) -> Vec<Result<()>> {
        T::set_many(self, writes).await
    }

    async fn remove_many(&self, keys: &[&str]) -> Vec<Result<Option<Record>>> {
        T::remove_many(self, keys).await
    }
}
