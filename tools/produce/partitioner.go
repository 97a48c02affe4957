package produce

import (
	"math/rand/v2"
	"slices"

	"github.com/gregor-mq/gregor/tools/internal/clientconf"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

// partitioner is how records get their partitions.
type partitioner int8

const (
	byKey      partitioner = iota // by the hash of the key, or, without one, as sticky
	sticky                        // one partition until its batch is full (KIP-480)
	roundRobin                    // one after the other (KIP-369)
)

// newPartitioner returns what partitioner.class and partitioner.ignore.keys ask for.
func newPartitioner(config *clientconf.Config) partitioner {
	switch class := config.String("partitioner.class"); {
	case class == clientconf.RoundRobinPartitioner:
		return roundRobin
	case class == clientconf.UniformStickyPartitioner, class == "" && config.Bool("partitioner.ignore.keys"):
		return sticky
	}
	return byKey
}

// warnPartitioner logs what Kafka's producer says of partitioners that it has replaced (KIP-794).
func warnPartitioner(env *tool.Env, config *clientconf.Config, logContext string) {
	switch config.String("partitioner.class") {
	case clientconf.DefaultPartitioner:
		env.Log("WARN", producerClass, logContext+"DefaultPartitioner is deprecated.  Please clear partitioner.class configuration "+
			"setting to get the default partitioning behavior")
	case clientconf.UniformStickyPartitioner:
		env.Log("WARN", producerClass, logContext+"UniformStickyPartitioner is deprecated.  Please clear partitioner.class "+
			"configuration setting and set partitioner.ignore.keys to 'true' to get the uniform sticky partitioning behavior")
	}
}

// choose returns the partition of a record. Those without a leader get records only if nothing else can be.
func (p *producer) choose(r *record, known topicMetadata) int32 {
	switch {
	case p.settings.partitioner == roundRobin:
		p.turn++
		if led := known.led(); len(led) > 0 {
			slices.Sort(led)
			return led[int(p.turn-1)%len(led)]
		}
		return int32(int(p.turn-1) % known.count)
	case p.settings.partitioner == byKey && r.key != nil:
		return int32(int(murmur2(r.key)&0x7fffffff) % known.count)
	}
	if p.sticky < 0 || int(p.sticky) >= known.count {
		p.sticky = int32(rand.IntN(known.count))
		if led := known.led(); len(led) > 0 {
			p.sticky = led[rand.IntN(len(led))]
		}
	}
	return p.sticky
}
