//! What `node help members` prints.

pub(crate) const MEMBERS_HELP: &str = "\
Who takes part in a cluster, and how that changes:

  A cluster is founded by nodes that are started with `node serve --cluster`. From then on it knows its members itself: who they
  are, where they reach each other, and which data folder is whose. `node members` shows that. It is founded when all of them have
  been up at the same time; from then on a majority is enough.

To add a node:

  node serve --join --id 4 --cluster-id NAME --listen HOST:PORT --data DIR      it waits, and founds nothing
  node add 4=HOST:PORT --endpoints …                                            it catches up as a learner, then votes

To replace node 3 by node 4, without a moment in which the cluster tolerates fewer losses than before:

  node add 4=HOST:PORT --replacing 3 --endpoints …

To remove nodes, of which the leader may be one:

  node remove 3 --endpoints …

  A node that was removed leads nowhere any more, and is refused by the others; stop it and delete its data folder.

Several changes at once take effect together, by way of a joint configuration, which needs a majority both of the old voters and of
the new ones. One change waits for the one before it. The last voter can't be removed, and no learner votes before it keeps up.

A node that lost its data folder, or was given another one, is refused under its old id: it has forgotten what it promised. Remove
it, start it with `--join` on an empty folder, and add it anew, under the same id or another one. Started with `--cluster` again it
founds nothing as long as one founder has its data, even where a majority has lost it: it waits for that one, is told, and says so.
Only where all founders lost their data nobody knows of it any more.

When a majority is lost for good, nothing can be changed any more. Stop what is left, find the node whose log ends last with
`node wal inspect DIR`, and let it go on alone: `node recover --data DIR --cluster-id NEW --force-new-cluster`. Writes that only
the lost nodes had are lost. Then start it with `--join --cluster-id NEW`, and add others, with empty folders.

An id that was removed may be used again. A member's address is changed by removing it and adding it anew.
";
