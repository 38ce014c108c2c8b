use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::{
    Backplane, Claim, Claimed, Expiry, Fill, Hold, NewMark, Record, Result, Stamp, Version,
};

/// The second tier: a store of records that all processes share.
///
/// # Contract
///
/// - Every method on records takes many keys and gives one outcome for each, in their order. A key that fails takes nobody
///   else with it. A key may occur twice: of two writes the later stays, and a removal answers with what was there
///   once; claims and what is done with them take effect in their order. No keys, no work.
/// - Keys are any UTF-8, any length, the empty one and control characters included. Records are any bytes, at least
///   one.
/// - A missing record is `Ok(None)`, not an error. An error of the kind
///   [`Unstorable`](crate::ErrorKind::Unstorable) means that the store cannot take this record, and that what was there
///   stays; any other, that the store could not be asked, or did not answer in time.
/// - What an acknowledged `set_many` has written is what later reads by anybody find, until it is overwritten or
///   removed, its life ends, or the store needs the room. What an acknowledged `remove_many` has removed is not found.
/// - The store judges no age but the physical life it was given. It never answers with a record whose life has
///   ended.
/// - Every call ends within a time that the store's own settings bound, also when the server hangs.
/// - A dropped future cancels the wait, not the work: whether a write was done is then unknown.
/// - Each operation on one record is one step: nothing comes between its comparison and its change.
/// - All who ask for the time are told that of one wall clock, a few milliseconds old at most. As long as nobody sets that
///   clock, of two calls by one task the later is never answered with less.
/// - Two writes or removals of one key take effect in the order in which one task has called them, and a read that is
///   called after one of them was acknowledged comes after it.
///
/// # The fence
///
/// A load may store only under a claim, and only if the record still has the version that was claimed.
/// So whatever changes the record in between defeats the load, without asking it: `set_many`, `remove_many`,
/// `expire_many`, a later forced claim. Versions are compared, never ordered; each writer chooses them at random, so that an
/// operation repeated after a lost reply is the same operation.
///
/// | there is | `claim` answers |
/// | --- | --- |
/// | nothing | the [placeholder](Record::claim) under `token` is written: granted |
/// | a placeholder under `token`, or a record that has `token` as its version | granted |
/// | a placeholder with another `mark` | replaced: granted |
/// | another claim | busy |
/// | a [pass](crate::Kind::Pass) | it gets `token` as its version, and stays a pass that lives as long as the claim: granted |
/// | a record of another version than `seen` | changed, with that record |
/// | a record of version `seen`, claimed for that version by another token | busy; granted, if that one was released with a pass |
/// | a record of version `seen` otherwise | its claim is noted beside it, its life is at least that of the claim: granted |
/// | anything, if `seen` is [`Anything`](crate::Seen::Anything) | a placeholder is replaced, another record gets `token` as its version and as its claim: granted |
///
/// What is granted is the version that the record has from then on: `token` for a placeholder or a forced claim, otherwise
/// `seen`. Something under the key that is no bytes at all, or none, is nothing.
///
/// A claim ends with its life, or when the record changes. A store that evicts a placeholder has freed the key. A claim noted
/// beside a record that has outlived its life, with nobody following, may still be renewed and fill: the version decides.
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

    /// Gives each entry its new version and marks it [stale](crate::Kind::Stale); removes what is no entry. Answers with
    /// the head of what was there before. The record's life stays.
    async fn expire_many(&self, expiries: &[Expiry<'_>]) -> Vec<Result<Option<Record>>>;

    /// Asks for the right to fill these keys.
    async fn claim_many(&self, claims: &[Claim<'_>]) -> Vec<Result<Claimed>>;

    /// Stores each record if the one there has the version `held`, and ends the claim in any case. Whether it was stored;
    /// true also if the record there is the one to store.
    async fn fill_many(&self, fills: &[Fill<'_>]) -> Vec<Result<bool>>;

    /// Lets each claim, and its record, live `life` from now at least, if it still stands: the record has the version `held`,
    /// and no other token has claimed that version. Whether it does.
    async fn renew_many(&self, holds: &[Hold<'_>], life: Duration) -> Vec<Result<bool>>;

    /// Ends these claims, as far as they still stand. With `pass`, the key's claims do not exclude each other for so long:
    /// each is granted, and of the fills under them one is stored: of a placeholder the last claimant's, of another record
    /// the first to come.
    async fn release_many(&self, holds: &[Hold<'_>], pass: Option<Duration>) -> Vec<Result<()>>;

    /// The marks under these names, as at one moment or read in this order. Where there is none, the given one is put
    /// there. The store keeps names of marks and keys apart. Reading a mark lets it live half as long as the given one at least.
    async fn read_marks(&self, marks: &[NewMark<'_>]) -> Result<Vec<Version>>;

    /// Puts these marks in place of those there, at one moment or in this order.
    async fn write_marks(&self, marks: &[NewMark<'_>]) -> Result<()>;

    /// The store's own wall clock, now. Stamps in records follow it, so that nodes whose clocks differ agree.
    async fn time(&self) -> Result<Stamp>;

    /// The backplane by which the caches on this store tell each other of changes; `None` if it has none.
    fn backplane(&self) -> Option<Arc<dyn Backplane>>;
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

    async fn expire_many(&self, expiries: &[Expiry<'_>]) -> Vec<Result<Option<Record>>> {
        T::expire_many(self, expiries).await
    }

    async fn claim_many(&self, claims: &[Claim<'_>]) -> Vec<Result<Claimed>> {
        T::claim_many(self, claims).await
    }

    async fn fill_many(&self, fills: &[Fill<'_>]) -> Vec<Result<bool>> {
        T::fill_many(self, fills).await
    }

    async fn renew_many(&self, holds: &[Hold<'_>], life: Duration) -> Vec<Result<bool>> {
        T::renew_many(self, holds, life).await
    }

    async fn release_many(&self, holds: &[Hold<'_>], pass: Option<Duration>) -> Vec<Result<()>> {
        T::release_many(self, holds, pass).await
    }

    async fn read_marks(&self, marks: &[NewMark<'_>]) -> Result<Vec<Version>> {
        T::read_marks(self, marks).await
    }

    async fn write_marks(&self, marks: &[NewMark<'_>]) -> Result<()> {
        T::write_marks(self, marks).await
    }

    async fn time(&self) -> Result<Stamp> {
        T::time(self).await
    }

    fn backplane(&self) -> Option<Arc<dyn Backplane>> {
        T::backplane(self)
    }
}
