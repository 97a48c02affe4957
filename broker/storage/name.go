package storage

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/gregor-mq/gregor/broker/topic"
)

// What the directory of a replica is, by the end of its name (LocalLog.scala).
type dirKind int8

const (
	dirLive   dirKind = iota // <topic>-<partition>
	dirDelete                // <topic>-<partition>.<32 hex>-delete: deletion pending
	dirFuture                // <topic>-<partition>.<32 hex>-future: copy being moved into this directory
	dirStray                 // <topic>-<partition>.<32 hex>-stray: kept aside, never loaded
)

var dirSuffixes = map[dirKind]string{dirDelete: "-delete", dirFuture: "-future", dirStray: "-stray"}

// maxNameLength is the longest file name that common file systems take.
const maxNameLength = 255

// ignoredDir reports whether name is a directory that other parts of Kafka keep among the replicas.
func ignoredDir(name string) bool {
	return name == "remote-log-index-cache" || name == topic.ClusterMetadata+"-0"
}

// deleteDirName returns a fresh name for the directory of p once its deletion is pending. The topic
// is cut where the whole would be too long for a file name.
func deleteDirName(p topic.Partition) string {
	tail := uniqueDirName(topic.Partition{Index: p.Index}, dirDelete)
	return p.Topic[:min(len(p.Topic), maxNameLength-len(tail))] + tail
}

// uniqueDirName returns a fresh name for a directory of p of that kind.
func uniqueDirName(p topic.Partition, kind dirKind) string {
	var id [16]byte
	rand.Read(id[:]) // never fails (crypto/rand)
	return fmt.Sprintf("%s-%d.%s%s", p.Topic, p.Index, hex.EncodeToString(id[:]), dirSuffixes[kind])
}

// CanMove reports whether the name of p is short enough for the directory of a future log (KAFKA-4893).
func CanMove(p topic.Partition) bool { return len(uniqueDirName(p, dirFuture)) <= maxNameLength }

// parseDirName says which partition's replica a directory holds. An error means that the directory
// is not one of ours, which Kafka takes as a reason not to start.
func parseDirName(name string) (topic.Partition, dirKind, error) {
	kind, base := dirLive, name
	for k, suffix := range dirSuffixes {
		if !strings.HasSuffix(name, suffix) {
			continue
		}
		// A topic may be called "x-delete": without a dot the suffix is a part of its name only if a
		// partition follows, and here none does.
		dot := strings.LastIndexByte(name, '.')
		if dot < 0 || dot+1 >= len(name)-len(suffix) {
			return topic.Partition{}, 0, badDirName(name)
		}
		kind, base = k, name[:dot]
	}
	dash := strings.LastIndexByte(base, '-')
	if dash <= 0 || dash == len(base)-1 || base[dash+1] == '+' {
		return topic.Partition{}, 0, badDirName(name)
	}
	index, err := strconv.ParseInt(base[dash+1:], 10, 32)
	if err != nil || index < 0 {
		return topic.Partition{}, 0, badDirName(name)
	}
	return topic.Partition{Topic: base[:dash], Index: int32(index)}, kind, nil
}

func badDirName(name string) error {
	return fmt.Errorf("found directory %q, which is not in the form of topic-partition or "+
		"topic-partition.uniqueId-delete (if marked for deletion): a log directory should hold only replicas' directories", name)
}
