// Package zkutil is what the brokers, the controller and the tools know of ZooKeeper: a client that
// outlives sessions, and every znode of Kafka with its path, contents and rules of change.
//
// # Client
//
// A [Client] stands for a chroot in a ZooKeeper ensemble, not for a session. It is built on
// go-zookeeper, with one zk.Conn for each session:
//
//	Client.Get -> do (waits for a connection, retries, settles lost responses) -> session.call -> zk.Conn
//
// On a lost connection an operation waits, as long as its context allows, and is sent again. If the
// answer to a write was lost, the answer to its repetition is read in that light (resolve.go): the
// caller sees what the write did, and not a NodeExists about its own node.
//
// On an expired session operations of that session fail with [ErrSessionExpired], its watches are
// gone, and subscribers hear of it in this order (KafkaZkClient and ZooKeeperClient do the same):
//
//	Subscriber.Expired of all -> a new session is made -> Subscriber.Renewed of all
//
// Until the last Expired has returned, every operation fails with ErrSessionExpired, so that nothing
// is done under a claim (an ephemeral node) that is lost. After it, operations wait for the new session.
//
// # Events
//
// One goroutine per Client, run, calls all watchers and subscribers, in the order in which ZooKeeper
// sent the events. The callbacks may use the Client, but whoever has much to do hands the event on.
// What waits for that goroutine is bounded by the number of watches set.
//
// # Znodes
//
// One file per family of znodes, with path builders, a struct, Encode and Decode: encoded as Kafka 3.9
// does, decoded as tolerantly as Kafka does. The operations that concern one family stand beside it:
// [Client.RegisterBroker], [Client.ElectController], [Client.Fenced], [Client.CreateTopic] and others.
//
// Lock order: Client.mu, then session.mu, then transport.mu. None is held while a request is out or
// a callback runs.
package zkutil
