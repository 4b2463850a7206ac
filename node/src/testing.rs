//! What tests of several modules need.

/// Runs `task` to its end on a runtime of its own, as a node runs: on one thread.
pub(crate) fn block_on<T>(task: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .expect("the system has what a runtime takes");
    runtime.block_on(task)
}
