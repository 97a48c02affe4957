package conformance

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// builtAPIs are the APIs that are served, by Kafka's names. All others are not advertised, and a
// request for one of them ends the connection.
var builtAPIs = []string{
	"Produce", "Fetch", "ListOffsets", "Metadata", "LeaderAndIsr", "StopReplica", "UpdateMetadata", "ControlledShutdown",
	"FindCoordinator", "ApiVersions", "CreateTopics", "DeleteTopics", "DeleteRecords", "InitProducerId",
	"OffsetForLeaderEpoch", "DescribeConfigs", "AlterConfigs", "IncrementalAlterConfigs", "CreatePartitions", "ElectLeaders",
	"AlterPartitionReassignments", "ListPartitionReassignments", "AlterPartition", "UpdateFeatures", "DescribeCluster", "DescribeProducers",
	"AllocateProducerIds", "AlterReplicaLogDirs", "DescribeLogDirs", "OffsetCommit", "OffsetFetch", "JoinGroup", "Heartbeat", "LeaveGroup", "SyncGroup", "DescribeGroups",
	"ListGroups", "DeleteGroups", "OffsetDelete", "ConsumerGroupHeartbeat", "ConsumerGroupDescribe",
	"WriteTxnMarkers", "TxnOffsetCommit", "ListTransactions", "DescribeTransactions",
	"DescribeAcls", "CreateAcls", "DeleteAcls",
	"CreateDelegationToken", "RenewDelegationToken", "ExpireDelegationToken", "DescribeDelegationToken",
}

// securityErrors are what a broker without an authorizer, with a PLAINTEXT listener, says of ACLs and tokens.
var securityErrors = []*kerr.Error{kerr.SecurityDisabled, kerr.DelegationTokenRequestNotAllowed}

// groupErrors are what the APIs of groups may say of a group that nobody is in, while its coordinator may not be
// ready yet.
var groupErrors = []*kerr.Error{
	kerr.CoordinatorLoadInProgress, kerr.CoordinatorNotAvailable, kerr.NotCoordinator, kerr.UnknownMemberID,
	kerr.MemberIDRequired, kerr.GroupIDNotFound, kerr.UnsupportedVersion,
}

// api is a row of testdata/api-versions.tsv.
type api struct {
	key      int16
	name     string
	min, max int16
}

func (a api) built() bool { return onKafka() || slices.Contains(builtAPIs, a.name) }

// readAPIs returns what Kafka advertises, in its order.
func readAPIs(t testing.TB) []api {
	t.Helper()
	var apis []api
	for _, f := range readTable(t, "api-versions.tsv") {
		var n [3]int
		for i, text := range []string{f[3], f[5], f[6]} {
			var err error
			if n[i], err = strconv.Atoi(text); err != nil {
				t.Fatal(err)
			}
		}
		apis = append(apis, api{key: int16(n[0]), name: f[4], min: int16(n[1]), max: int16(n[2])})
	}
	return apis
}

// TestAPIVersions checks that what is built is advertised, with Kafka's versions and in its order, and
// nothing else; what is not is not served.
func TestAPIVersions(t *testing.T) {
	t.Parallel()
	s := newSingle(t, nil)
	var want []string
	for _, a := range readAPIs(t) {
		if a.built() {
			want = append(want, fmt.Sprintf("%d: %d-%d", a.key, a.min, a.max))
			s.requireClosed(fmt.Sprintf("%s v%d", a.name, a.max+1), a.key, a.max+1)
			s.requireClosed(a.name+" v-1", a.key, -1)
		} else {
			s.requireClosed(a.name, a.key, a.max)
		}
	}
	for version := range int16(5) {
		resp := ask[*kmsg.ApiVersionsResponse](t, s.addr, withVersion(apiVersions("test"), version))
		var got []string
		for _, k := range resp.ApiKeys {
			got = append(got, fmt.Sprintf("%d: %d-%d", k.ApiKey, k.MinVersion, k.MaxVersion))
		}
		if resp.ErrorCode != 0 || !slices.Equal(got, want) {
			t.Errorf("v%d: error %d, APIs %v, want %v", version, resp.ErrorCode, got, want)
		}
		epoch := int64(0) // of /feature, which the controller has created
		if version < 3 {
			epoch = -1
		}
		if resp.ThrottleMillis != 0 || len(resp.SupportedFeatures) > 0 || resp.FinalizedFeaturesEpoch != epoch ||
			len(resp.FinalizedFeatures) > 0 || resp.ZkMigrationReady {
			t.Errorf("v%d: %+v", version, resp)
		}
	}
}

// requireClosed sends a request that is not served. ApiVersions is served in every version.
func (s *single) requireClosed(what string, key, version int16) {
	s.t.Helper()
	if key == int16(kmsg.ApiVersions) {
		return
	}
	c := dial(s.t, s.addr)
	defer c.Close()
	if err := c.send(frame(padded(key, version))); err != nil {
		s.t.Fatal(err)
	}
	if err := c.awaitClose(); err != nil {
		s.t.Errorf("%s: %v", what, err)
	}
}

// TestEveryVersion sends a minimal request of every API in every version. The answer has no error and
// is, byte for byte, what Kafka would write.
func TestEveryVersion(t *testing.T) {
	t.Parallel()
	s := newSingle(t, cluster.Props{"auto.create.topics.enable": "false"})
	for _, a := range readAPIs(t) {
		if !slices.Contains(builtAPIs, a.name) {
			continue
		}
		for version := a.min; version <= a.max; version++ {
			what := fmt.Sprintf("%s v%d", a.name, version)
			req := s.minimal(a.name, version)
			c := dial(t, s.addr)
			resp, err := c.ask(req)
			if err == nil {
				err = c.ping()
			}
			c.Close()
			if err != nil {
				t.Errorf("%s: %v", what, err)
				continue
			}
			for _, f := range errorsIn(resp) {
				if a.name == "InitProducerId" && f.code == kerr.CoordinatorLoadInProgress.Code ||
					a.name == "FindCoordinator" && f.code == kerr.CoordinatorNotAvailable.Code ||
					slices.Contains(securityErrors, kerr.TypedErrorForCode(f.code)) ||
					isOfGroups(a.name) && slices.Contains(groupErrors, kerr.TypedErrorForCode(f.code)) ||
					a.name == "ControlledShutdown" && f.code == kerr.BrokerNotAvailable.Code {
					continue
				}
				t.Errorf("%s: %v", what, f)
			}
			if err := s.checkAnswer(a.name, resp); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	s.serves()
}

// isOfGroups reports whether an API is about groups.
func isOfGroups(name string) bool {
	return strings.Contains(name, "Group") || strings.Contains(name, "Offset") && name != "OffsetForLeaderEpoch" && name != "ListOffsets" || name == "Heartbeat"
}

// checkAnswer looks at what an answer is about.
func (s *single) checkAnswer(api string, resp kmsg.Response) error {
	switch r := resp.(type) {
	case *kmsg.FetchResponse:
		p := r.Topics[0].Partitions[0]
		magic := map[bool]byte{true: 0, false: 2}[r.Version < 2]
		if r.Version == 2 || r.Version == 3 {
			magic = 1
		}
		if len(p.RecordBatches) < 17 || p.RecordBatches[16] != magic {
			return fmt.Errorf("%d bytes of records, want format v%d: %x", len(p.RecordBatches), magic, p.RecordBatches[:min(len(p.RecordBatches), 80)])
		}
	case *kmsg.MetadataResponse:
		if len(r.Brokers) != 1 || len(r.Topics) != 1 || len(r.Topics[0].Partitions) != 1 || r.Topics[0].Partitions[0].Leader != 1 {
			return fmt.Errorf("%+v", r)
		}
	case *kmsg.StopReplicaResponse:
		if len(r.Partitions) != 1 {
			return fmt.Errorf("%d partitions answered", len(r.Partitions))
		}
	case *kmsg.LeaderAndISRResponse:
		if len(r.Partitions)+len(r.Topics) != 1 {
			return fmt.Errorf("%+v", r)
		}
	case *kmsg.DescribeConfigsResponse:
		if len(r.Resources[0].Configs) == 0 {
			return fmt.Errorf("no properties")
		}
	}
	return nil
}
