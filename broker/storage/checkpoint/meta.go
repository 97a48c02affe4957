package checkpoint

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/gregor-mq/gregor/broker/properties"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
	"github.com/gregor-mq/gregor/broker/topic"
)

// MetaFile is the name of the file in a log directory that says whose it is (MetaProperties).
const MetaFile = "meta.properties"

// Property names of meta.properties.
const (
	metaVersion   = "version"
	metaClusterID = "cluster.id"
	metaBrokerID  = "broker.id" // version 0
	metaNodeID    = "node.id"   // version 1, which KRaft writes

	metaDirectoryID = "directory.id" // means nothing here
)

// MetaProperties is the content of a meta.properties.
type MetaProperties struct {
	Version   int    // 0 with ZooKeeper
	BrokerID  int32  // -1: not there
	ClusterID string // "": not there
	// Other holds the properties that mean nothing here, such as directory.id; they are kept.
	Other map[string]string
}

// ParseMetaProperties reads the content of a meta.properties as java.util.Properties.load does.
// Errors match ErrMalformed.
func ParseMetaProperties(data []byte) (MetaProperties, error) {
	props, err := properties.Parse(data)
	if err != nil {
		return MetaProperties{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	m := MetaProperties{BrokerID: -1, Other: props}
	if m.Version, err = m.takeInt(metaVersion, 0); err != nil {
		return MetaProperties{}, err
	}
	if m.Version != 0 && m.Version != 1 {
		return MetaProperties{}, fmt.Errorf("%w: version %d", ErrMalformed, m.Version)
	}
	id, err := m.takeInt(m.idProperty(), -1)
	if err != nil {
		return MetaProperties{}, err
	}
	m.BrokerID = int32(id)
	m.ClusterID = m.Other[metaClusterID]
	delete(m.Other, metaClusterID)
	if id, ok := m.Other[metaDirectoryID]; ok {
		if _, err := topic.ParseID(id); err != nil { // the same form
			return MetaProperties{}, fmt.Errorf("%w: unable to read %s %q as a Uuid", ErrMalformed, metaDirectoryID, id)
		}
	}
	if m.Version == 1 && (m.BrokerID < 0 || m.ClusterID == "") {
		return MetaProperties{}, fmt.Errorf("%w: version 1 without node.id or cluster.id", ErrMalformed)
	}
	return m, nil
}

// idProperty returns the name under which the version holds the broker's id.
func (m *MetaProperties) idProperty() string {
	if m.Version == 0 {
		return metaBrokerID
	}
	return metaNodeID
}

// takeInt moves a number out of Other.
func (m *MetaProperties) takeInt(name string, absent int) (int, error) {
	text, ok := m.Other[name]
	if !ok {
		return absent, nil
	}
	delete(m.Other, name)
	n, err := parseInt32(text)
	if err != nil {
		return 0, fmt.Errorf("%w: unable to read %s as a base-10 number: %w", ErrMalformed, name, err)
	}
	return int(n), nil
}

// AppendTo appends the file's content to dst: java.util.Properties.store with an empty comment, the
// date, and the properties in the order in which Kafka's JVM writes them.
func (m MetaProperties) AppendTo(dst []byte, now time.Time) []byte {
	dst = append(dst, "#\n#"...)
	dst = now.AppendFormat(dst, "Mon Jan 02 15:04:05 MST 2006")
	dst = append(dst, '\n')
	if m.BrokerID >= 0 {
		dst = properties.Append(dst, m.idProperty(), strconv.Itoa(int(m.BrokerID)))
	}
	for _, name := range slices.Sorted(maps.Keys(m.Other)) {
		dst = properties.Append(dst, name, m.Other[name])
	}
	dst = properties.Append(dst, metaVersion, strconv.Itoa(m.Version))
	if m.ClusterID != "" {
		dst = properties.Append(dst, metaClusterID, m.ClusterID)
	}
	return dst
}

// ReadMetaProperties reads dir's meta.properties; false if the file does not exist.
func ReadMetaProperties(fsys vfs.FS, dir string) (MetaProperties, bool, error) {
	path := filepath.Join(dir, MetaFile)
	data, exists, err := readOptional(fsys, path)
	if err != nil || !exists {
		return MetaProperties{}, false, err
	}
	m, err := ParseMetaProperties(data)
	return m, err == nil, inFile(path, err)
}

// WriteMetaProperties replaces dir's meta.properties.
func WriteMetaProperties(fsys vfs.FS, dir string, m MetaProperties, now time.Time) error {
	return vfs.WriteFile(fsys, filepath.Join(dir, MetaFile), m.AppendTo(nil, now))
}
