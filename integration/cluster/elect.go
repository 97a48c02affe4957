package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// electionTimeout is how long a controller may keep its answer to ElectLeaders back. A Kafka controller may miss the end of an
// election, and answers then no sooner.
const electionTimeout = time.Second

// Elect has the preferred replica of a partition, which is broker leader or soon will be, elected, and waits until it leads.
func (c *Cluster) Elect(topic string, partition, leader int32) {
	c.t.Helper()
	client := c.Client()
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), awaitTimeout)
	defer cancel()
	req := kmsg.NewPtrElectLeadersRequest()
	req.TimeoutMillis = int32(electionTimeout.Milliseconds())
	req.Topics = []kmsg.ElectLeadersRequestTopic{{Topic: topic, Partitions: []int32{partition}}}
	var last error
	defer func() {
		if c.t.Failed() {
			c.t.Logf("the last answer to ElectLeaders was %v", last)
		}
	}()
	c.Await(fmt.Sprintf("election of broker %d for %s-%d", leader, topic, partition), func() bool {
		resp, err := req.RequestWith(ctx, client)
		if err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		for i := 0; err == nil && i < len(resp.Topics); i++ {
			for _, p := range resp.Topics[i].Partitions {
				err = kerr.ErrorForCode(p.ErrorCode)
			}
		}
		last = err
		return c.Leader(topic, partition) == leader
	})
}
