use tiered_core::Key;

/// How much memory a copy in L1 takes, about.
pub(crate) struct Weight<V> {
    /// L1 is bounded by bytes.
    pub(crate) is_wanted: bool,
    pub(crate) of_value: Option<Weigh<V>>,
}

/// Says how many bytes of memory a value takes.
pub(crate) type Weigh<V> = Box<dyn Fn(&V) -> usize + Send + Sync>;

/// What an entry takes beside its key and value: its node in the tier's table and queues, and reference counts.
const OVERHEAD: usize = 160;

impl<V> Weight<V> {
    /// The encoded length stands for the value's memory where nobody has said better; it is asked for only if needed.
    pub(crate) fn of<K: Key + ?Sized>(
        &self,
        key: &K,
        value: Option<&V>,
        encoded_len: impl FnOnce(&V) -> Option<usize>,
    ) -> u32 {
        if !self.is_wanted {
            return 0;
        }
        let value = value.map_or(0, |value| match &self.of_value {
            Some(weigh) => weigh(value),
            None => encoded_len(value).unwrap_or_default().max(size_of::<V>()),
        });
        u32::try_from(value.saturating_add(OVERHEAD + size_of_val(key))).unwrap_or(u32::MAX)
    }
}
