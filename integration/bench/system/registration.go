package system

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"
)

type silent struct{}

func (silent) Printf(string, ...any) {}

// AwaitForgotten waits until ZooKeeper has given up the session of a broker that was killed. Until
// then, an Apache Kafka broker that is started again finds its id taken and ends.
func (p *Program) AwaitForgotten(ctx context.Context) error {
	host, chroot, _ := strings.Cut(p.zooKeeper, "/")
	conn, _, err := zk.Connect([]string{host}, 10*time.Second, zk.WithLogger(silent{}))
	if err != nil {
		return fmt.Errorf("connect to ZooKeeper: %w", err)
	}
	defer conn.Close()
	for {
		exists, _, gone, err := conn.ExistsW("/" + chroot + "/brokers/ids/" + strconv.Itoa(p.id))
		if err != nil {
			return fmt.Errorf("registration of %s: %w", p.name, err)
		}
		if !exists {
			return nil
		}
		select {
		case <-gone:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
