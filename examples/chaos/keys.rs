/// Keys of which some are asked for much more often than others: the one of rank `n` a `1/n` as often as the first.
pub(crate) struct Zipf {
    /// Of each key, the weight of all up to it.
    sums: Vec<f64>,
}

impl Zipf {
    pub(crate) fn new(keys: u32) -> Self {
        let weights = (0..keys).map(|key| 1.0 / f64::from(key + 1));
        let sum = |sum: &mut f64, weight| {
            *sum += weight;
            Some(*sum)
        };
        Self {
            sums: weights.scan(0.0, sum).collect(),
        }
    }

    pub(crate) fn draw(&self) -> u32 {
        let all = self.sums.last().copied().unwrap_or_default();
        let drawn = fastrand::f64() * all;
        let key = self.sums.partition_point(|sum| *sum < drawn);
        u32::try_from(key.min(self.sums.len() - 1)).unwrap_or(0)
    }
}
