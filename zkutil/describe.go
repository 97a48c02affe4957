package zkutil

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Describe returns the contents of a znode, whose path is without the chroot, as one line for people:
// JSON compacted, other text as it is, bytes that are no text in hexadecimal, "" for no data. The error
// says what a broker would find wrong with the contents; there is a description even then.
func Describe(path string, data []byte) (string, error) {
	if len(data) == 0 {
		return "", nil
	}
	return printable(data), checkContents(path, data)
}

func printable(data []byte) string {
	var line bytes.Buffer
	if json.Valid(data) && json.Compact(&line, data) == nil {
		return line.String()
	}
	if utf8.Valid(data) && !bytes.ContainsFunc(data, unicode.IsControl) {
		return string(data)
	}
	if utf8.Valid(data) {
		return strconv.Quote(string(data))
	}
	return fmt.Sprintf("0x%x", data)
}

// checkContents decodes data as the family that path belongs to. Paths of no family are all right.
func checkContents(path string, data []byte) error {
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	var err error
	switch {
	case path == ClusterIDPath:
		_, err = DecodeClusterID(data)
	case path == ControllerPath:
		_, err = DecodeController(data)
	case path == ControllerEpochPath:
		_, err = DecodeControllerEpoch(data)
	case path == ReassignmentPath:
		_, err = DecodeReassignments(data)
	case path == PreferredElectionPath:
		_, err = DecodePreferredElection(data)
	case path == ProducerIDBlockPath:
		_, err = DecodeProducerIDBlock(data)
	case path == FeaturePath:
		_, err = DecodeFeatures(data)
	case strings.HasPrefix(path, BrokerIDsPath+"/") && len(parts) == 3:
		id, _ := strconv.ParseInt(parts[2], 10, 32)
		_, err = DecodeBroker(int32(id), data, Stat{})
	case strings.HasPrefix(path, TopicsPath+"/") && len(parts) == 3:
		_, err = DecodeTopic(parts[2], data, Stat{})
	case strings.HasPrefix(path, TopicsPath+"/") && len(parts) == 6 && parts[5] == "state":
		_, err = DecodePartitionState(data, Stat{})
	case strings.HasPrefix(path, isrChangePrefix):
		_, err = DecodeISRChange(data)
	case strings.HasPrefix(path, logDirEventPrefix):
		_, _, err = DecodeLogDirEvent(data)
	case strings.HasPrefix(path, configChangePrefix):
		_, err = DecodeConfigChange(data)
	case strings.HasPrefix(path, ConfigPath+"/") && Entity(strings.TrimPrefix(path, ConfigPath+"/")).Valid():
		_, err = DecodeConfig(data)
	}
	return err
}
