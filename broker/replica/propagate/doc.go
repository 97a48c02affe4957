// Package propagate makes changes of ISRs known to the cluster. There are two ways; controllers understand
// both at any time.
//
// # ZooKeeper
//
// The leader writes the partition's state znode itself, on condition that it has the version that the leader
// knows, and afterwards leaves a note in /isr_change_notification that names the partitions. The controller
// watches for notes, reads the states, tells all brokers, and deletes the notes (Kafka's
// ZkAlterPartitionManager). Kafka gathers changes for 5 s before it leaves a note; here the first one goes
// out at once, and what happens within 200 ms after it goes into the next.
//
// What is proposed together is written together, in few multis: after the restart of a broker with thousands of replicas, one by one
// took most of the time until it was in sync.
//
// The condition decides every race: whatever the controller writes in between changes the version, and
// then the leader's write fails, and LeaderAndIsr brings the truth.
//
// # Controller
//
// The leader asks the controller, by AlterPartition (KIP-497, Kafka's DefaultAlterPartitionManager), which
// checks more (whether a new member is alive and not shutting down) and spares ZooKeeper the notes. One
// request is out at a time, with all that is proposed.
//
// In both ways one goroutine does the work; it ends with Close.
package propagate
