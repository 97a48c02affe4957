package conformance

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// nullBodies are bodies of requests with a null array or null bytes.
var nullBodies = []struct {
	what         string
	key          kmsg.Key
	version      int16
	body         string
	mayBe        bool // null may stand there
	tagsInHeader bool
}{
	{"Produce: topics", kmsg.Produce, 3, "\xff\xff\x00\x01\x00\x00\x00\x01\xff\xff\xff\xff", false, false},
	{"Fetch: topics", kmsg.Fetch, 0, "\xff\xff\xff\xff\x00\x00\x00\x01\x00\x00\x00\x00\xff\xff\xff\xff", false, false},
	{"ListOffsets: topics", kmsg.ListOffsets, 1, "\xff\xff\xff\xff\xff\xff\xff\xff", false, false},
	{"Metadata: topics", kmsg.Metadata, 0, "\xff\xff\xff\xff", false, false},
	{"Metadata: topics", kmsg.Metadata, 1, "\xff\xff\xff\xff", true, false},
	{"OffsetCommit: topics", kmsg.OffsetCommit, 2, "\x00\x01g\xff\xff\xff\xff\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", false, false},
	{"OffsetFetch: topics", kmsg.OffsetFetch, 1, "\x00\x01g\xff\xff\xff\xff", false, false},
	{"OffsetFetch: topics", kmsg.OffsetFetch, 2, "\x00\x01g\xff\xff\xff\xff", true, false},
	{"OffsetFetch: groups", kmsg.OffsetFetch, 8, "\x00\x00\x00", false, true},
	{"JoinGroup: protocols", kmsg.JoinGroup, 0, "\x00\x01g\x00\x00\x27\x10\x00\x00\x00\x01c\xff\xff\xff\xff", false, false},
	{"JoinGroup: metadata", kmsg.JoinGroup, 0, "\x00\x01g\x00\x00\x27\x10\x00\x01m\x00\x01c\x00\x00\x00\x01\x00\x01r\xff\xff\xff\xff", false, false},
	{"SyncGroup: assignments", kmsg.SyncGroup, 0, "\x00\x01g\x00\x00\x00\x01\x00\x01m\xff\xff\xff\xff", false, false},
	{"SyncGroup: assignment", kmsg.SyncGroup, 0, "\x00\x01g\x00\x00\x00\x01\x00\x01m\x00\x00\x00\x01\x00\x01m\xff\xff\xff\xff", false, false},
	{"DescribeGroups: groups", kmsg.DescribeGroups, 0, "\xff\xff\xff\xff", false, false},
	{"CreateTopics: topics", kmsg.CreateTopics, 0, "\xff\xff\xff\xff\x00\x00\x00\x01", false, false},
	{"DescribeConfigs: resources", kmsg.DescribeConfigs, 0, "\xff\xff\xff\xff", false, false},
	{"DescribeConfigs: names", kmsg.DescribeConfigs, 0, "\x00\x00\x00\x01\x02\x00\x04nope\xff\xff\xff\xff", true, false},
	{"DescribeLogDirs: topics", kmsg.DescribeLogDirs, 0, "\xff\xff\xff\xff", true, false},
	{"ListPartitionReassignments: topics", kmsg.ListPartitionReassignments, 0, "\x00\x00\x00\x01\x00\x00", true, true},
	{"RenewDelegationToken: HMAC", kmsg.RenewDelegationToken, 0, "\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x01", false, false},
	{"DescribeDelegationToken: owners", kmsg.DescribeDelegationToken, 0, "\xff\xff\xff\xff", true, false},
}

// TestNulls: null where it must not be ends the connection, as other bytes that cannot be parsed do.
func TestNulls(t *testing.T) {
	t.Parallel()
	s := newSingle(t, nil)
	for _, tt := range nullBodies {
		content := header(int16(tt.key), tt.version, 1, clientID)
		if tt.tagsInHeader {
			content = append(content, 0)
		}
		c := dial(t, s.addr)
		err := c.send(frame(append(content, tt.body...)))
		if err == nil && tt.mayBe {
			_, err = c.readFrame()
		} else if err == nil {
			err = c.awaitClose()
		}
		if c.Close(); err != nil {
			t.Errorf("%s, v%d: %v", tt.what, tt.version, err)
		}
	}
}
