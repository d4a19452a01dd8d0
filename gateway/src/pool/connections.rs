//! Compares the size of a pool of threads with the size of a pool of connections.
//!
//! Threads: any.

use crate::log;
use crate::pool::Pool;

impl Pool {
    /// Compares the threads of this pool with the `connections` of a database pool that its applications share, and
    /// logs one warning with both numbers and the remedy if they are not equal. Changes nothing.
    ///
    /// | if there are | then |
    /// |---|---|
    /// | more threads | threads without a connection wait for one and count as busy: that second queue is not visible in the pool's queue and its limits, and applications that need no connection do not get those threads |
    /// | more connections | the surplus is never in use, and the database holds it open for nothing |
    ///
    /// `database` names the database in the warning. `connections` is the maximum that the database pool opens for
    /// applications on this pool, without the connections of others. For a handle with a [share](Pool::share), only
    /// the threads that it can use count: at most [`max_in_flight`](crate::Share::max_in_flight), and no thread that is
    /// reserved for others.
    ///
    /// Call it at start-up, once both pools and all shares exist; and again after a [`resize`](Pool::resize).
    ///
    /// # Example
    ///
    /// ```
    /// use gateway::Pool;
    ///
    /// /// The pool for what needs the database; all else has another. Both numbers are the deployment's to set.
    /// fn orders(threads: usize, connections: usize) -> std::io::Result<Pool> {
    ///     let pool = Pool::builder().name("orders").threads(threads).build()?;
    ///     pool.check_connections("orders.db", connections);
    ///     Ok(pool)
    /// }
    /// # fn main() -> std::io::Result<()> {
    /// # orders(8, 8)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Threads
    ///
    /// Takes the pool's lock for a moment.
    pub fn check_connections(&self, database: &str, connections: usize) {
        let (threads, pool) = (self.threads_at_most(), self.name());
        if threads > connections {
            let wait = threads - connections;
            log::warn!(
                pool,
                threads,
                database,
                connections,
                "{threads} threads share {connections} connections, so up to {wait} of them wait for one while they count as busy; \
                 give the database pool {threads} connections, or what uses it a pool of {connections} threads"
            );
        } else if connections > threads {
            let idle = connections - threads;
            log::warn!(
                pool,
                threads,
                database,
                connections,
                "{threads} threads never use more than {threads} of {connections} connections at a time, so {idle} are open for \
                 nothing; give this pool {connections} threads, or the database pool {threads} connections"
            );
        }
    }

    /// How many threads may run jobs of this handle.
    fn threads_at_most(&self) -> usize {
        let (snapshot, limits) = (self.core.threads.queue.snapshot(self.share.id()), self.share.limits());
        let others = snapshot.reserved.saturating_sub(limits.reserved);
        snapshot.limits.max.saturating_sub(others).min(limits.max_in_flight)
    }
}
