package zkutil

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Endpoint is where one listener of a broker can be reached.
type Endpoint struct {
	Listener         string // in upper case
	Host             string // without brackets; "" if the broker has not said
	Port             int32
	SecurityProtocol string // PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL
}

// endpointText is what Kafka takes for an endpoint (EndPoint.uriParseExp).
var endpointText = regexp.MustCompile(`^(.*)://\[?([0-9a-zA-Z\-%._:]*)\]?:(-?[0-9]+)$`)

// String returns LISTENER://host:port, with an IPv6 address in brackets.
func (e Endpoint) String() string {
	return e.Listener + "://" + e.Address()
}

// Address returns host:port, with an IPv6 address in brackets.
func (e Endpoint) Address() string {
	host := e.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(int(e.Port))
}

// parseEndpoint reads what String writes. Protocols gives the security protocol of each listener; nil
// means that a listener is named after its protocol.
func parseEndpoint(text string, protocols map[string]string) (Endpoint, error) {
	m := endpointText.FindStringSubmatch(text)
	if m == nil {
		return Endpoint{}, fmt.Errorf("endpoint %q is not LISTENER://host:port", text)
	}
	port, err := strconv.ParseInt(m[3], 10, 32)
	if err != nil {
		return Endpoint{}, fmt.Errorf("endpoint %q: %w", text, err)
	}
	e := Endpoint{Listener: strings.ToUpper(m[1]), Host: m[2], Port: int32(port)}
	protocol, known := protocols[e.Listener]
	if protocols == nil {
		protocol, known = e.Listener, true
	}
	if !known {
		return Endpoint{}, fmt.Errorf("endpoint %q: no security protocol is given for listener %s", text, e.Listener)
	}
	e.SecurityProtocol = strings.ToUpper(protocol)
	switch e.SecurityProtocol {
	case "PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL":
		return e, nil
	}
	return Endpoint{}, fmt.Errorf("endpoint %q: unknown security protocol %q", text, protocol)
}
