package conformance

import (
	"net"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// spare takes out of a request what those who are not to suffer live by: the cluster has the controller and the brokers
// that it has. Nor does it ask for so much that it takes long: that is no mistake.
func (m *campaign) spare(a *arbitrary, req kmsg.Request) {
	few := func(n *int32) {
		if *n > 20 {
			*n = 3
		}
	}
	switch r := req.(type) {
	case *kmsg.CreateTopicsRequest:
		for i := range r.Topics {
			few(&r.Topics[i].NumPartitions)
		}
	case *kmsg.CreatePartitionsRequest:
		for i := range r.Topics {
			few(&r.Topics[i].Count)
		}
	case *kmsg.ControlledShutdownRequest:
		r.BrokerID = 77
	case *kmsg.LeaderAndISRRequest:
		r.ControllerEpoch = min(r.ControllerEpoch, 1)
	case *kmsg.StopReplicaRequest:
		r.ControllerEpoch = min(r.ControllerEpoch, 1)
	case *kmsg.UpdateMetadataRequest:
		r.ControllerEpoch = min(r.ControllerEpoch, 1)
		r.ControllerID = m.c.Controller()
		r.LiveBrokers = m.liveBrokers()
	}
}

// liveBrokers are the brokers as the controller would tell of them.
func (m *campaign) liveBrokers() (list []kmsg.UpdateMetadataRequestLiveBroker) {
	for _, b := range m.c.Brokers() {
		host, port, _ := net.SplitHostPort(b.Addr())
		n, _ := strconv.Atoi(port)
		e := kmsg.NewUpdateMetadataRequestLiveBrokerEndpoint()
		e.Host, e.Port, e.ListenerName = host, int32(n), "PLAINTEXT"
		l := kmsg.NewUpdateMetadataRequestLiveBroker()
		l.ID, l.Host, l.Port = b.ID(), host, int32(n)
		l.Endpoints = append(l.Endpoints, e)
		list = append(list, l)
	}
	return list
}
