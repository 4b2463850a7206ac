//! Places in order.

/// Sorts places by their keys, those with equal keys as they were. A sort is much code: this one serves all models.
pub(crate) fn sort_places<P: Copy>(places: &mut [P], key: &dyn Fn(P) -> (u64, u64)) {
    places.sort_by_key(|place| key(*place));
}
