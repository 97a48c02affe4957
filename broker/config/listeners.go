package config

import (
	"maps"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// SecurityProtocol is what a listener speaks below Kafka's protocol.
type SecurityProtocol int16

// The security protocols, with the numbers that they have on the wire.
const (
	Plaintext     SecurityProtocol = 0
	SSL           SecurityProtocol = 1
	SASLPlaintext SecurityProtocol = 2
	SASLSSL       SecurityProtocol = 3
)

var protocolNames = []string{"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"}

// String returns the name, as in SASL_SSL.
func (p SecurityProtocol) String() string { return protocolNames[p] }

// ParseSecurityProtocol reads a name, in any case.
func ParseSecurityProtocol(name string) (SecurityProtocol, bool) {
	for i, known := range protocolNames {
		if strings.EqualFold(name, known) {
			return SecurityProtocol(i), true
		}
	}
	return 0, false
}

// An Endpoint is one entry of listeners or advertised.listeners.
type Endpoint struct {
	Listener string // its name, in upper case
	Host     string // without brackets; "" for all addresses, or to be advertised by the machine's name
	Port     int    // 0: any free one
	Protocol SecurityProtocol
}

// Addr returns host:port.
func (e Endpoint) Addr() string { return net.JoinHostPort(e.Host, strconv.Itoa(e.Port)) }

// String returns the entry as a broker registers it: LISTENER://host:port.
func (e Endpoint) String() string {
	if e.Host == "" {
		return e.Listener + "://:" + strconv.Itoa(e.Port)
	}
	return e.Listener + "://" + e.Addr()
}

// Listeners returns the parsed listeners. The caller must not change them.
func (c *Config) Listeners() []Endpoint { return c.listeners }

// AdvertisedListeners returns the endpoints that clients and brokers are told: advertised.listeners
// or, if that is not set, listeners. Their host may still be "" and their port 0, which the caller
// replaces by what it finds when it listens. The caller must not change the slice.
func (c *Config) AdvertisedListeners() []Endpoint { return c.advertised }

// InterBrokerListener returns the name of the listener on which brokers talk to each other.
func (c *Config) InterBrokerListener() string { return c.interBroker }

// ListenerProtocols returns listener.security.protocol.map by listener, in upper case. The caller
// must not change it.
func (c *Config) ListenerProtocols() map[string]SecurityProtocol { return c.protocols }

// checkListenerOverrides reads what is set for one listener only, so that a wrong value is found now. As in
// Kafka, what is set for a listener that is not there does not matter.
func (c *Config) checkListenerOverrides() []Problem {
	var problems []Problem
	for _, name := range slices.Sorted(maps.Keys(c.set)) {
		p, ok := Lookup(name)
		if !ok || p.Name == name || !c.isForListener(name) {
			continue
		}
		own := *p
		own.Name = name
		if _, problem := own.read(c.set[name]); problem != nil {
			problems = append(problems, *problem)
		}
	}
	return problems
}

// isForListener reports whether name, which has a listener's prefix, is that of one that is listened on. The prefix
// counts in lower case only (ListenerName.configPrefix).
func (c *Config) isForListener(name string) bool {
	list, _ := c.values["listeners"].(string)
	for _, entry := range splitNonEmpty(trim(list)) {
		listener, _, _ := strings.Cut(entry, "://")
		if strings.HasPrefix(name, listenerPrefix+strings.ToLower(listener)+".") {
			return true
		}
	}
	return false
}

// parseProtocolMap reads listener.security.protocol.map.
func parseProtocolMap(text string) (map[string]SecurityProtocol, string) {
	const property = "listener.security.protocol.map"
	pairs, problem := parsePairs(property, text)
	protocols := make(map[string]SecurityProtocol, len(pairs))
	for listener, name := range pairs {
		protocol, ok := ParseSecurityProtocol(name)
		if !ok {
			return nil, "Invalid security protocol `" + name + "` defined in " + property
		}
		if listener == "" {
			return nil, "The provided listener name is null or empty string"
		}
		protocols[strings.ToUpper(listener)] = protocol
	}
	return protocols, problem
}

// parsePairs reads key:value pairs separated by commas; a key may hold colons itself (Csv.parseCsvMap).
func parsePairs(property, text string) (map[string]string, string) {
	pairs := make(map[string]string)
	for _, pair := range splitNonEmpty(text) {
		colon := strings.LastIndexByte(pair, ':')
		if colon < 0 {
			return nil, "Error parsing configuration property '" + property + "': '" + pair + "' is not of the form key:value"
		}
		pairs[trim(pair[:colon])] = trim(pair[colon+1:])
	}
	return pairs, ""
}

var endpointForm = regexp.MustCompile(`^(.*)://\[?([0-9a-zA-Z\-%._:]*)\]?:(-?[0-9]+)$`)

// parseEndpoints reads a list of endpoints (SocketServerConfigs.listenerListToEndPoints).
func parseEndpoints(list string, protocols map[string]SecurityProtocol) ([]Endpoint, string) {
	var endpoints []Endpoint
	fail := func(reason string) ([]Endpoint, string) {
		return nil, "Error creating broker listeners from '" + list + "': " + reason
	}
	for _, entry := range splitNonEmpty(trim(list)) {
		m := endpointForm.FindStringSubmatch(entry)
		if m == nil {
			return fail("Unable to parse " + entry + " to a broker endpoint")
		}
		e := Endpoint{Listener: strings.ToUpper(m[1]), Host: m[2]}
		if trim(e.Listener) == "" {
			return fail("The provided listener name is null or empty string")
		}
		port, err := strconv.ParseInt(m[3], 10, 32)
		if err != nil {
			return fail(`For input string: "` + m[3] + `"`)
		}
		e.Port = int(port)
		protocol, ok := protocols[e.Listener]
		if !ok {
			return fail("No security protocol defined for listener " + e.Listener)
		}
		e.Protocol = protocol
		endpoints = append(endpoints, e)
	}
	return endpoints, checkNames(list, endpoints)
}

func checkNames(list string, endpoints []Endpoint) string {
	seen := make(map[string]bool)
	for _, e := range endpoints {
		if seen[e.Listener] {
			return "requirement failed: Each listener must have a different name, listeners: " + list
		}
		seen[e.Listener] = true
	}
	return ""
}

// checkPorts allows a port twice only for an IPv4 and an IPv6 address (CoreUtils, KIP-797).
func checkPorts(list string, endpoints []Endpoint) string {
	byPort := make(map[int][]Endpoint)
	for _, e := range endpoints {
		if e.Port != 0 {
			byPort[e.Port] = append(byPort[e.Port], e)
		}
	}
	for _, e := range endpoints { // in order, so that the same list always has the same answer
		same := byPort[e.Port]
		if len(same) < 2 {
			continue
		}
		var named, v4, v6 int
		for _, s := range same {
			switch addr, err := netip.ParseAddr(s.Host); {
			case err != nil:
				named++
			case addr.Is4():
				v4++
			default:
				v6++
			}
		}
		port := strconv.Itoa(e.Port)
		switch addresses := v4 + v6; {
		case named > 1:
			return "requirement failed: Each listener must have a different port, listeners: " + list
		case addresses == 1, addresses > 2:
			return "Each listener must have a different port unless exactly one listener has " +
				"an IPv4 address and the other IPv6 address, listeners: " + list + ", port: " + port
		case addresses == 2 && v4 != 1:
			return "requirement failed: If you have two listeners on the same port then one needs to be " +
				"IPv4 and the other IPv6, listeners: " + list + ", port: " + port
		case addresses == 2 && named > 0:
			return "If you have two listeners on the same port then one needs to be " +
				"IPv4 and the other IPv6, listeners: " + list + ", port: " + port
		}
	}
	return ""
}
