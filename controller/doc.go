// Package controller is the one broker's part that decides: who leads which partition, and who is in
// step (KafkaController.scala).
//
// Every broker runs a Controller. One of them at a time is active: the one that created /controller
// and, in the same multi, raised /controller_epoch. All its work is done by one goroutine, the loop,
// which takes events from a queue, one after the other:
//
//	ZooKeeper watch, response, session -> queue -> core.event -> znodes (fenced writes) and outbox (requests)
//
// # The core
//
// core holds everything the active controller knows (state.go) and changes it by events. It owns no
// goroutine, clock, socket or session: it reads and writes ZooKeeper through the interface znodes and sends
// requests through outbox, so that the tests in testdata replay histories against it. What decides
// is further apart: pure functions from the old leader, ISR and liveness to the new (elect.go).
//
//   - states.go: which state may follow which; partition_machine.go, replica_machine.go: what each change
//     of a partition's or replica's state writes and sends;
//   - batch.go: what a change of state sends, gathered to one LeaderAndIsr and one StopReplica request a
//     broker, and one UpdateMetadata request for all;
//   - reassignment.go: how a partition goes over to other replicas;
//   - failover.go, brokers.go, topics.go, deletion.go, notifications.go: the events; dead.go: brokers whose
//     process is gone; lookout.go, census.go: how that is noticed, and the controller replaced;
//   - preferred.go: elections that are asked for, and leaders that go back to where they should be;
//   - shutdown.go, alter_partition.go, producer_ids.go, reassignment_api.go, features.go: what brokers and clients
//     ask for.
//
// # The rim
//
// controller.go runs the loop over queue.go; election.go is how a broker takes office and leaves it;
// sender.go runs one goroutine for each live broker, which repeats a request until it is answered or the
// broker is gone, with what waits in backlog.go; ask.go gives an answer to who asks, also when there is no
// controller; zookeeper.go is znodes over zkutil.
//
// # Fencing
//
// Every write of a controller checks the version of /controller_epoch in the same multi. A controller
// that was replaced learns of it by its next write, ErrMoved, and resigns; nothing that it decides
// afterwards is accepted: ZooKeeper refuses its writes and brokers its requests, by the epoch in them.
// A broker that registered anew is told from its earlier incarnation by the broker epoch, its znode's
// czxid (KIP-380).
//
// Lock order: queue.mu and sender.mu are leaves. core has no lock; only the loop touches it.
package controller
