package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/gregor-mq/gregor/broker/config"
	"github.com/gregor-mq/gregor/integration/cluster"
)

// unobserved are the topic properties whose change at run time cannot be seen here, and why.
var unobserved = map[string]string{
	"segment.jitter.ms":                       "its effect is random",
	"min.insync.replicas":                     "needs several replicas: TestTopicConfigsTakeEffect",
	"unclean.leader.election.enable":          "needs several replicas: TestUncleanElectionIsAllowedLater",
	"leader.replication.throttled.replicas":   "needs several replicas and a reassignment",
	"follower.replication.throttled.replicas": "needs several replicas and a reassignment",
	"message.format.version":                  "without effect since inter.broker.protocol.version 3.0",
	"remote.storage.enable":                   "of tiered storage",
	"remote.log.copy.disable":                 "of tiered storage",
	"remote.log.delete.on.disable":            "of tiered storage",
	"local.retention.ms":                      "of tiered storage",
	"local.retention.bytes":                   "of tiered storage",
}

// oneTopic is a topic of one partition, whose properties are changed.
type oneTopic struct {
	*testing.T
	c      *cluster.Cluster
	client *kgo.Client
	name   string
}

func (o *oneTopic) set(name, value string) {
	o.Helper()
	alterAt(o.T, o.c, o.c.Broker(1), kmsg.ConfigResourceTypeTopic, o.name, map[string]*string{name: &value})
}

// send sends records, each in a batch of its own.
func (o *oneTopic) send(records ...*kgo.Record) error {
	ctx, cancel := context.WithTimeout(o.Context(), patience)
	defer cancel()
	for _, r := range records {
		r.Topic = o.name
		if err := o.client.ProduceSync(ctx, r).FirstErr(); err != nil {
			return err
		}
	}
	return nil
}

func (o *oneTopic) mustSend(records ...*kgo.Record) {
	o.Helper()
	if err := o.send(records...); err != nil {
		o.Fatal(err)
	}
}

func value(n int) *kgo.Record { return &kgo.Record{Value: bytes.Repeat([]byte("v"), n)} }

// refuses waits until sending what record makes fails with want.
func (o *oneTopic) refuses(want error, record func() *kgo.Record) {
	o.Helper()
	o.c.Await("refusal with "+want.Error(), func() bool { return errors.Is(o.send(record()), want) })
}

// files returns the paths of the topic's files with a suffix, in order.
func (o *oneTopic) files(suffix string) []string {
	o.Helper()
	found, err := filepath.Glob(filepath.Join(o.c.Broker(1).DataDir(), o.name+"-0", "*"+suffix))
	if err != nil {
		o.Fatal(err)
	}
	return found
}

// size returns that of the last file with a suffix, 0 before the first record.
func (o *oneTopic) size(suffix string) int64 {
	o.Helper()
	found := o.files(suffix)
	if len(found) == 0 {
		return 0
	}
	info, err := os.Stat(found[len(found)-1])
	if err != nil {
		o.Fatal(err)
	}
	return info.Size()
}

// rolls waits until each record begins a segment.
func (o *oneTopic) rolls(record func() *kgo.Record) {
	o.Helper()
	o.c.Await("new segments", func() bool {
		before := len(o.files(".log"))
		o.mustSend(record(), record())
		return len(o.files(".log")) == before+2
	})
}

// shortly is more than a flush takes, and the note of it, on most disks.
const shortly = 500 * time.Millisecond

// flushed reports whether all that the topic holds is on disk within a while, as its recovery point there says.
func (o *oneTopic) flushed(within time.Duration) bool {
	end := strconv.FormatInt(endOffset(o.T, o.client, o.name), 10)
	for until := time.Now().Add(within); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		if o.recovery() == end {
			return true
		}
	}
	return false
}

func (o *oneTopic) recovery() string {
	data, err := os.ReadFile(filepath.Join(o.c.Broker(1).DataDir(), "recovery-point-offset-checkpoint"))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if offset, ok := strings.CutPrefix(strings.TrimSpace(line), o.name+" 0 "); ok {
			return offset
		}
	}
	return ""
}

// stored returns how many bytes text takes on disk.
func (o *oneTopic) stored(text []byte) int64 {
	o.Helper()
	before := o.size(".log")
	o.mustSend(&kgo.Record{Value: text})
	return o.size(".log") - before
}

// text is compressible, more so the more work is spent on it.
func text() []byte {
	r := rand.New(rand.NewPCG(1, 2))
	var b bytes.Buffer
	for b.Len() < 200_000 {
		fmt.Fprintf(&b, "%d item %d of %x, ", r.IntN(50), r.IntN(5000), r.IntN(1<<16))
	}
	return b.Bytes()
}

// levelCounts checks that a codec's level makes a difference.
func levelCounts(codec, name, fast, small string) func(*oneTopic) {
	return func(o *oneTopic) {
		sample := text()
		o.set("compression.type", codec)
		o.c.Await("compression", func() bool { return o.stored(sample) < int64(len(sample))*3/4 })
		o.set(name, fast)
		var large int64
		o.c.Await("another size at level "+fast, func() bool {
			size := o.stored(sample)
			same := size == large
			large = size
			return same
		})
		o.set(name, small)
		o.c.Await("a smaller size at level "+small, func() bool { return o.stored(sample) < large })
	}
}

func at(t time.Time) func() *kgo.Record {
	return func() *kgo.Record { return &kgo.Record{Value: []byte("v"), Timestamp: t} }
}

func keyed(key, value string) *kgo.Record { return &kgo.Record{Key: []byte(key), Value: []byte(value)} }

// dirty sends versions of a key that compaction can remove, until there are some that are not in the active segment.
func (o *oneTopic) dirty() {
	o.Helper()
	o.set("cleanup.policy", "compact")
	o.set("segment.bytes", "300")
	end := endOffset(o.T, o.client, o.name)
	o.c.Await("small segments", func() bool {
		o.mustSend(keyed("versions", "v"))
		logs := o.files(".log")
		active, err := strconv.ParseInt(strings.TrimSuffix(filepath.Base(logs[len(logs)-1]), ".log"), 10, 64)
		return err == nil && active >= end+10
	})
}

// contents returns all records as "key=value".
func (o *oneTopic) contents() []string {
	o.Helper()
	var all []string
	for _, r := range recordsOf(o.T, o.c, o.name) {
		text := string(r.Value)
		if r.Value == nil {
			text = "nil"
		}
		all = append(all, string(r.Key)+"="+text)
	}
	return all
}

// cleaned reports whether records were compacted away.
func (o *oneTopic) cleaned() bool {
	o.Helper()
	return int64(len(o.contents())) < endOffset(o.T, o.client, o.name)-startOffset(o.T, o.client, o.name)
}

func (o *oneTopic) awaitCleaned() {
	o.Helper()
	o.c.Await("compaction", o.cleaned)
}

// stays checks that the topic is not compacted while another one is, twice.
func (o *oneTopic) stays() {
	o.Helper()
	name := o.name + "-other"
	o.c.CreateTopic(name, 1, 1, cluster.Props{"min.cleanable.dirty.ratio": "0.1"})
	other := &oneTopic{T: o.T, c: o.c, client: o.client, name: name}
	for range 2 {
		other.dirty()
		end := endOffset(o.T, o.client, name)
		o.c.Await("compaction of another topic", func() bool { return cleanedTo(o.T, o.c.Broker(1), name+" 0") > end-10 })
	}
	if o.cleaned() {
		o.Error("the topic was compacted")
	}
}

var runTime = map[string]func(*oneTopic){
	"segment.bytes": func(o *oneTopic) {
		o.set("segment.bytes", "1000")
		o.rolls(func() *kgo.Record { return value(900) })
	},
	"segment.ms": func(o *oneTopic) {
		o.set("segment.ms", "1")
		o.rolls(func() *kgo.Record { time.Sleep(2 * time.Millisecond); return value(10) }) // the age is what is set
	},
	"max.compaction.lag.ms": func(o *oneTopic) {
		o.set("cleanup.policy", "compact")
		o.set("min.cleanable.dirty.ratio", "1")
		o.set("max.compaction.lag.ms", "1")
		late := func() *kgo.Record { time.Sleep(2 * time.Millisecond); return keyed("k", "v") } // the age is what is set
		o.rolls(late)
		o.mustSend(late(), late()) // so that one is superseded that is not in the active segment
		o.awaitCleaned()
	},
	"min.cleanable.dirty.ratio": func(o *oneTopic) {
		o.set("min.cleanable.dirty.ratio", "1") // no log is as dirty as more than that
		o.dirty()
		o.stays()
		o.set("min.cleanable.dirty.ratio", "0.1")
		o.awaitCleaned()
	},
	"min.compaction.lag.ms": func(o *oneTopic) {
		o.set("min.compaction.lag.ms", "3600000")
		o.dirty()
		o.stays()
		o.set("min.compaction.lag.ms", "0")
		o.awaitCleaned()
	},
	"delete.retention.ms": func(o *oneTopic) {
		o.set("delete.retention.ms", "3600000")
		o.set("min.cleanable.dirty.ratio", "0.01")
		o.mustSend(keyed("deleted", "v"), &kgo.Record{Key: []byte("deleted")})
		o.dirty()
		o.awaitCleaned()
		if !slices.Contains(o.contents(), "deleted=nil") {
			o.Error("the tombstone has gone at once")
		}
		o.set("delete.retention.ms", "0")
		o.mustSend(keyed("other", "v"), &kgo.Record{Key: []byte("other")}) // the one before has a time of its own
		o.c.Await("a tombstone that goes", func() bool {
			o.dirty()
			return !slices.ContainsFunc(o.contents(), func(r string) bool { return strings.HasPrefix(r, "other=") })
		})
	},
	"segment.index.bytes": func(o *oneTopic) {
		o.set("index.interval.bytes", "0")
		o.set("segment.index.bytes", "16") // two entries
		o.c.Await("segments with small indexes", func() bool {
			o.set("segment.bytes", "1000")
			o.mustSend(value(900), value(900))
			o.set("segment.bytes", "1000000")
			before := len(o.files(".log"))
			for range 20 {
				o.mustSend(value(10))
			}
			return len(o.files(".log")) >= before+4
		})
	},
	"index.interval.bytes": func(o *oneTopic) {
		o.set("index.interval.bytes", "0")
		o.set("segment.bytes", "1000")
		o.c.Await("entries in the index of a small segment", func() bool { // which are written when it is complete
			o.mustSend(value(300), value(300), value(300), value(300))
			for _, name := range o.files(".index") {
				if info, err := os.Stat(name); err == nil && info.Size() > 0 {
					return true
				}
			}
			return false
		})
	},
	"flush.messages": func(o *oneTopic) {
		o.set("flush.ms", "9223372036854775807")
		o.set("flush.messages", "2")
		within := shortly
		o.c.Await("recovery point", func() bool {
			o.mustSend(value(1), value(1))
			within *= 2 // a disk may be slow
			return o.flushed(within)
		})
	},
	"flush.ms": func(o *oneTopic) {
		o.set("flush.ms", "9223372036854775807")
		o.c.Await("no flush", func() bool {
			o.mustSend(value(1))
			return !o.flushed(shortly)
		})
		o.set("flush.ms", "0")
		o.c.Await("recovery point", func() bool { return o.flushed(shortly) })
	},
	"retention.bytes": func(o *oneTopic) {
		o.set("segment.bytes", "1000")
		o.set("retention.bytes", "2000")
		o.c.Await("deletion", func() bool {
			o.mustSend(value(900))
			return startOffset(o.T, o.client, o.name) > 0
		})
	},
	"retention.ms": func(o *oneTopic) {
		o.mustSend(at(time.Now().Add(-time.Hour))())
		o.set("retention.ms", "60000")
		o.c.Await("deletion", func() bool { return startOffset(o.T, o.client, o.name) > 0 })
	},
	"file.delete.delay.ms": func(o *oneTopic) {
		o.set("file.delete.delay.ms", "0")
		o.set("retention.ms", "60000")
		o.mustSend(at(time.Now().Add(-time.Hour))())
		o.c.Await("deletion", func() bool { return startOffset(o.T, o.client, o.name) > 0 && len(o.files(".deleted")) == 0 })
	},
	"max.message.bytes": func(o *oneTopic) {
		o.set("max.message.bytes", "1000")
		o.refuses(kerr.MessageTooLarge, func() *kgo.Record { return value(2000) })
	},
	"cleanup.policy": func(o *oneTopic) {
		o.set("cleanup.policy", "compact")
		o.refuses(kerr.InvalidRecord, func() *kgo.Record { return value(1) })
		o.set("retention.ms", "1000")
		o.set("min.cleanable.dirty.ratio", "0.01")
		o.dirty()
		o.awaitCleaned()
		o.set("cleanup.policy", "compact,delete")
		o.c.Await("deletion of what is old, too", func() bool { return startOffset(o.T, o.client, o.name) > 0 })
		o.set("retention.ms", "3600000")
		o.set("cleanup.policy", "delete")
		o.c.Await("records without a key", func() bool { return o.send(value(1)) == nil })
	},
	"compression.type": func(o *oneTopic) {
		o.set("compression.type", "gzip")
		o.c.Await("compression", func() bool { return o.stored(bytes.Repeat([]byte("v"), 100_000)) < 10_000 })
	},
	"compression.gzip.level": levelCounts("gzip", "compression.gzip.level", "1", "9"),
	"compression.lz4.level":  levelCounts("lz4", "compression.lz4.level", "1", "17"),
	"compression.zstd.level": levelCounts("zstd", "compression.zstd.level", "1", "19"),
	"preallocate": func(o *oneTopic) {
		o.set("segment.bytes", "3000")
		o.set("preallocate", "true")
		o.c.Await("a segment of full size", func() bool {
			o.mustSend(value(900))
			return o.size(".log") == 3000
		})
	},
	"message.timestamp.type": func(o *oneTopic) {
		o.set("message.timestamp.type", "LogAppendTime")
		o.c.Await("the broker's time", func() bool {
			o.mustSend(at(time.Now().Add(-2 * time.Hour))()) // not so old that it might be deleted at once
			return time.Since(lastRecord(o).Timestamp) < time.Hour
		})
	},
	"message.timestamp.before.max.ms": func(o *oneTopic) {
		o.set("message.timestamp.before.max.ms", "1000")
		o.refuses(kerr.InvalidTimestamp, at(time.Now().Add(-time.Hour)))
	},
	"message.timestamp.after.max.ms": func(o *oneTopic) {
		o.set("message.timestamp.after.max.ms", "1000")
		o.refuses(kerr.InvalidTimestamp, at(time.Now().Add(time.Hour)))
	},
	"message.timestamp.difference.max.ms": func(o *oneTopic) {
		o.set("message.timestamp.difference.max.ms", "1000")
		o.refuses(kerr.InvalidTimestamp, at(time.Now().Add(time.Hour)))
		o.refuses(kerr.InvalidTimestamp, at(time.Now().Add(-time.Hour)))
	},
	"message.downconversion.enable": func(o *oneTopic) {
		o.mustSend(value(1))
		old := o.c.Client(kgo.MaxVersions(kversion.V0_10_1()))
		fetched := func() int16 {
			req := kmsg.NewPtrFetchRequest()
			asked := kmsg.NewFetchRequestTopic()
			asked.Topic = o.name
			part := kmsg.NewFetchRequestTopicPartition()
			part.PartitionMaxBytes = 1000
			asked.Partitions = append(asked.Partitions, part)
			req.Topics, req.MaxBytes, req.ReplicaID = append(req.Topics, asked), 1000, -1
			resp, err := req.RequestWith(o.Context(), old.Broker(1))
			if err != nil || len(resp.Topics) == 0 {
				o.Fatalf("fetch: %v, %+v", err, resp)
			}
			return resp.Topics[0].Partitions[0].ErrorCode
		}
		if code := fetched(); code != 0 {
			o.Fatalf("an old client gets error %d", code)
		}
		o.set("message.downconversion.enable", "false")
		o.c.Await("refusal to convert", func() bool { return fetched() == kerr.UnsupportedVersion.Code })
	},
}

func endOffset(t *testing.T, client *kgo.Client, topic string) int64 {
	t.Helper()
	return offsetAt(t, client, topic, -1)
}

// lastRecord returns the newest record of the topic.
func lastRecord(o *oneTopic) *kgo.Record {
	o.Helper()
	end := endOffset(o.T, o.client, o.name)
	reader := o.c.Client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{o.name: {0: kgo.NewOffset().At(end - 1)}}))
	defer reader.Close()
	ctx, cancel := context.WithTimeout(o.Context(), patience)
	defer cancel()
	records := reader.PollFetches(ctx).Records()
	if len(records) == 0 {
		o.Fatalf("no record at %d", end-1)
	}
	return records[len(records)-1]
}

// TestTopicPropertiesAtRunTime changes every property that a topic can have, while records come.
func TestTopicPropertiesAtRunTime(t *testing.T) {
	c := cluster.Start(t, 1, cluster.Props{
		"log.retention.check.interval.ms": "50", "log.initial.task.delay.ms": "0", "log.flush.scheduler.interval.ms": "50",
		"log.flush.offset.checkpoint.interval.ms": "50", "log.cleaner.backoff.ms": "50",
	})
	client := c.Client(kgo.ProducerBatchMaxBytes(4<<20), kgo.RecordRetries(0), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for _, p := range config.TopicProperties() {
		check, reason := runTime[p.Name], unobserved[p.Name]
		switch {
		case check == nil && reason == "":
			t.Errorf("%s: not checked, and no reason why", p.Name)
		case check != nil:
			t.Run(p.Name, func(t *testing.T) {
				c.CreateTopic(p.Name, 1, 1, nil)
				check(&oneTopic{T: t, c: c, client: client, name: p.Name})
			})
		}
	}
}
