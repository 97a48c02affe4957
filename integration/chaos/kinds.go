package main

import "slices"

// kind is a kind of fault, or something that an operator does just then.
type kind int

const (
	kill            kind = iota // SIGKILL of a broker, which is started again
	stop                        // SIGTERM of a broker, which is started again
	pause                       // SIGSTOP of a broker, SIGCONT
	cut                         // the link between two brokers
	cutOneWay                   // what one broker sends to another is lost
	isolate                     // a broker's links to everything
	strand                      // a broker's links to the others and to ZooKeeper: clients still reach it
	loseZK                      // a broker's links to all ZooKeeper servers
	loseOneZK                   // a broker's link to one ZooKeeper server
	loseClient                  // the link between a broker and a client
	expire                      // a broker's ZooKeeper session
	fillDisk                    // of a log directory; its broker is restarted once there is space
	loseDisk                    // the disk of a log directory vanishes; its broker is restarted once it is back, as with the next two
	breakDisk                   // a log directory's disk answers with I/O errors
	protectDisk                 // a log directory's disk becomes read-only
	resign                      // /controller is deleted, as operators do
	killZK                      // SIGKILL of a ZooKeeper server
	pauseZK                     // SIGSTOP of a ZooKeeper server
	rollZK                      // the ZooKeeper servers are restarted in turn
	loseQuorum                  // SIGKILL of two of three ZooKeeper servers
	killTwo                     // SIGKILL of two brokers, one of them the controller
	killAll                     // SIGKILL of all brokers
	stopAll                     // SIGTERM of all brokers
	reassign                    // partitions move to other brokers, or their preferred leader changes
	elect                       // preferred leaders are elected
	topicLife                   // a topic is created, and deleted in the end
	moveReplica                 // a replica moves into the other log directory of its broker (KIP-113)
	killMember                  // a member of a consumer group is gone without a word
	killRebalancing             // SIGKILL of a group's coordinator in the middle of a rebalance
	killCommitting              // SIGKILL of a group's coordinator in the middle of a commit
	swap                        // SIGTERM of a broker, in whose place the other implementation is started
	killSwap                    // SIGKILL of a broker, with the same end
	configure                   // a property of a topic or a broker changes for a time
	kinds
)

// mixed reports whether a kind comes only where there are brokers of both implementations. These are the last ones: the
// plans of other clusters do not change with them.
func (k kind) mixed() bool { return k >= swap }

// faults is the table of kinds: their names, how often they come, and what they do.
var faults = [kinds]struct {
	name   string
	weight int
	hit    func(*world, fault) (harm, error)
}{
	kill:            {"kill", 6, (*world).killBroker},
	stop:            {"stop", 4, (*world).stopBroker},
	pause:           {"pause", 5, (*world).pauseBroker},
	cut:             {"cut", 4, (*world).cutBrokers},
	cutOneWay:       {"cut-one-way", 4, (*world).cutOneWay},
	isolate:         {"isolate", 4, (*world).isolate},
	strand:          {"strand", 4, (*world).strand},
	loseZK:          {"lose-zookeeper", 4, (*world).loseZooKeeper},
	loseOneZK:       {"lose-one-zookeeper", 1, (*world).loseOneZooKeeper},
	loseClient:      {"lose-client", 2, (*world).loseClient},
	expire:          {"expire-session", 3, (*world).expireSession},
	fillDisk:        {"fill-disk", 2, (*world).fillDisk},
	loseDisk:        {"lose-disk", 2, (*world).loseDisk},
	breakDisk:       {"break-disk", 2, (*world).breakDisk},
	protectDisk:     {"read-only-disk", 2, (*world).protectDisk},
	resign:          {"delete-controller", 3, (*world).deleteController},
	killZK:          {"kill-zookeeper", 3, (*world).killZooKeeper},
	pauseZK:         {"pause-zookeeper", 2, (*world).pauseZooKeeper},
	rollZK:          {"roll-zookeeper", 1, (*world).rollZooKeeper},
	loseQuorum:      {"lose-quorum", 2, (*world).loseQuorum},
	killTwo:         {"kill-two", 2, (*world).killTwo},
	killAll:         {"kill-all", 2, (*world).killAll},
	stopAll:         {"stop-all", 1, (*world).stopAll},
	reassign:        {"reassign", 6, (*world).reassign},
	elect:           {"elect-leaders", 3, (*world).electLeaders},
	topicLife:       {"create-and-delete-topic", 3, (*world).liveTopic},
	moveReplica:     {"move-replica", 4, (*world).moveReplica},
	killMember:      {"kill-member", 3, (*world).killMember},
	killRebalancing: {"kill-coordinator-rebalancing", 4, (*world).killRebalancing},
	killCommitting:  {"kill-coordinator-committing", 4, (*world).killCommitting},
	swap:            {"swap", 16, (*world).swapBroker},
	killSwap:        {"kill-and-swap", 10, (*world).killAndSwap},
	configure:       {"configure", 5, (*world).reconfigure},
}

func (k kind) String() string { return faults[k].name }

// kindNames returns the names of all kinds, in their order.
func kindNames() []string {
	var names []string
	for _, f := range faults {
		names = append(names, f.name)
	}
	return names
}

// kindNamed returns the kind of that name.
func kindNamed(name string) (kind, bool) {
	k := slices.Index(kindNames(), name)
	return kind(k), k >= 0
}
