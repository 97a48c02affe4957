package zkutil

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Where brokers register, and where ids are drawn from.
const (
	BrokerIDsPath      = "/brokers/ids"
	BrokerSequencePath = "/brokers/seqid"
)

// BrokerPath returns the node with which broker id registers; it is ephemeral.
func BrokerPath(id int32) string { return BrokerIDsPath + "/" + strconv.Itoa(int(id)) }

// Versions of a broker's registration. Which one is written depends on inter.broker.protocol.version:
// 5 from 2.7-IV0, 4 from 0.10.0-IV1, else 2, since clients up to 0.9.0.0 fail on a higher one (KAFKA-3100).
const (
	brokerVersionEndpoints = 2
	brokerVersionRack      = 3
	brokerVersionProtocols = 4
	brokerVersionFeatures  = 5

	BrokerVersion = brokerVersionFeatures
)

// VersionRange is the range of a feature's versions that a broker supports (KIP-584).
type VersionRange struct {
	Min int16 `json:"min_version"`
	Max int16 `json:"max_version"`
}

// Broker is the registration of one broker (BrokerIdZNode).
type Broker struct {
	ID        int32
	Version   int // of the encoding: 1 to 5; 0 is written as 5
	Endpoints []Endpoint
	Rack      string // "" for none
	JMXPort   int32  // -1 for none
	Timestamp int64  // when the broker registered, in ms
	Features  map[string]VersionRange

	// Epoch is the broker epoch, the czxid of the node; it is not part of the contents.
	Epoch int64
	// Session is the ZooKeeper session that the registration ends with; it is not part of the contents either.
	Session int64
}

// Encode returns the contents of the broker's node, in version b.Version.
func (b *Broker) Encode() []byte {
	version := b.Version
	if version == 0 {
		version = BrokerVersion
	}
	protocols, endpoints := []byte("{"), make([]string, len(b.Endpoints))
	host, port := (*string)(nil), int32(-1)
	for i, e := range b.Endpoints {
		endpoints[i] = e.String()
		if i > 0 {
			protocols = append(protocols, ',')
		}
		protocols = fmt.Appendf(protocols, "%s:%s", encodeJSON(e.Listener), encodeJSON(e.SecurityProtocol))
		if host == nil && e.SecurityProtocol == "PLAINTEXT" {
			host, port = &b.Endpoints[i].Host, e.Port
		}
	}
	var v struct {
		Features  *map[string]VersionRange `json:"features,omitempty"`
		Protocols json.RawMessage          `json:"listener_security_protocol_map,omitempty"`
		Endpoints []string                 `json:"endpoints"`
		Rack      string                   `json:"rack,omitempty"`
		JMXPort   int32                    `json:"jmx_port"`
		Port      int32                    `json:"port"`
		Host      *string                  `json:"host"`
		Version   int                      `json:"version"`
		Timestamp string                   `json:"timestamp"`
	}
	if version >= brokerVersionFeatures {
		features := b.Features
		if features == nil {
			features = map[string]VersionRange{}
		}
		v.Features = &features
	}
	if version >= brokerVersionProtocols {
		v.Protocols = append(protocols, '}')
	}
	if version >= brokerVersionRack {
		v.Rack = b.Rack
	}
	v.Endpoints, v.JMXPort, v.Port, v.Host = endpoints, b.JMXPort, port, host
	v.Version, v.Timestamp = version, strconv.FormatInt(b.Timestamp, 10)
	return encodeJSON(&v)
}

// DecodeBroker returns the registration of broker id in data, of version 1 or higher. Epoch and Session come
// from stat.
func DecodeBroker(id int32, data []byte, stat Stat) (*Broker, error) {
	b, err := decodeBroker(data)
	if err != nil {
		return nil, malformed("registration of broker "+strconv.Itoa(int(id)), data, err)
	}
	b.ID, b.Epoch, b.Session = id, stat.Czxid, stat.EphemeralOwner
	return b, nil
}

func decodeBroker(data []byte) (*Broker, error) {
	o, err := parseObject(data)
	if err != nil {
		return nil, err
	}
	b := new(Broker)
	if b.Version, err = required[int](o, "version"); err != nil {
		return nil, err
	}
	if b.JMXPort, err = required[int32](o, "jmx_port"); err != nil {
		return nil, err
	}
	if b.Endpoints, err = decodeEndpoints(o, b.Version); err != nil {
		return nil, err
	}
	if b.Rack, err = optional(o, "rack", ""); err != nil {
		return nil, err
	}
	if text, err := optional(o, "timestamp", ""); err == nil {
		b.Timestamp, _ = strconv.ParseInt(text, 10, 64) // Kafka does not read it
	}
	b.Features, err = optional(o, "features", map[string]VersionRange(nil))
	return b, err
}

// decodeEndpoints reads host and port of version 1, the endpoints of all others.
func decodeEndpoints(o object, version int) ([]Endpoint, error) {
	if version < 1 {
		return nil, fmt.Errorf("unsupported version %d", version)
	}
	if version == 1 {
		host, err := required[string](o, "host")
		if err != nil {
			return nil, err
		}
		port, err := required[int32](o, "port")
		return []Endpoint{{Listener: "PLAINTEXT", Host: host, Port: port, SecurityProtocol: "PLAINTEXT"}}, err
	}
	given, err := optional(o, "listener_security_protocol_map", map[string]string(nil))
	if err != nil {
		return nil, err
	}
	var protocols map[string]string
	if given != nil {
		protocols = make(map[string]string, len(given))
		for listener, protocol := range given {
			protocols[strings.ToUpper(listener)] = protocol
		}
	}
	texts, err := required[[]string](o, "endpoints")
	if err != nil {
		return nil, err
	}
	endpoints := make([]Endpoint, len(texts))
	for i, text := range texts {
		if endpoints[i], err = parseEndpoint(text, protocols); err != nil {
			return nil, err
		}
	}
	return endpoints, nil
}
