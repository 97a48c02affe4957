package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// CleanShutdown is the name of the file that says that a log directory needs no recovery
// (CleanShutdownFileHandler). Only its existence matters; brokers with ZooKeeper write epoch -1.
const CleanShutdown = ".kafka_cleanshutdown"

type cleanShutdown struct {
	Version     int   `json:"version"`
	BrokerEpoch int64 `json:"brokerEpoch"`
}

// AppendCleanShutdown appends the content of the file to dst.
func AppendCleanShutdown(dst []byte, brokerEpoch int64) []byte {
	return fmt.Appendf(dst, `{"version":0,"brokerEpoch":%d}`, brokerEpoch)
}

// ParseCleanShutdown returns the broker epoch in the file, -1 if it cannot be read.
func ParseCleanShutdown(data []byte) int64 {
	c := cleanShutdown{BrokerEpoch: -1}
	if err := json.Unmarshal(data, &c); err != nil {
		return -1
	}
	return c.BrokerEpoch
}

// WriteCleanShutdown marks dir as cleanly stopped, once all its logs are closed.
func WriteCleanShutdown(fsys vfs.FS, dir string, brokerEpoch int64) error {
	return vfs.WriteFile(fsys, filepath.Join(dir, CleanShutdown), AppendCleanShutdown(nil, brokerEpoch))
}

// TakeCleanShutdown reports whether dir was cleanly stopped and removes the mark, durably, so that a
// crash from now on is not taken for a clean stop.
func TakeCleanShutdown(fsys vfs.FS, dir string) (clean bool, brokerEpoch int64, err error) {
	path := filepath.Join(dir, CleanShutdown)
	data, exists, err := readOptional(fsys, path)
	if err != nil || !exists {
		return false, -1, err
	}
	removed, err := vfs.RemoveIfExists(fsys, path)
	if removed {
		err = errors.Join(err, fsys.SyncDir(dir))
	}
	return err == nil, ParseCleanShutdown(data), err
}
