package client

import (
	"cmp"
	"math"
	"net"
	"regexp"
	"strconv"

	"github.com/gregor-mq/gregor/tools/internal/clientconf"
	"github.com/gregor-mq/gregor/tools/internal/javastring"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

// address is host:port as Kafka reads it: whatever stands before, such as the name of a listener, and brackets around an IPv6
// address are left out.
var address = regexp.MustCompile(`^.*?\[?([0-9a-zA-Z\-%._:]*)\]?:([0-9]+)$`)

// SplitAddress returns host and port of an address; ok is false if it has not both. No host is the local one, and a port that is
// none of the numbers for ports is larger than them.
func SplitAddress(text string) (host string, port int, ok bool) {
	match := address.FindStringSubmatch(text)
	if match == nil {
		return "", 0, false
	}
	number, err := strconv.ParseInt(match[2], 10, 32)
	if err != nil {
		number = math.MaxInt32
	}
	return cmp.Or(match[1], "localhost"), int(number), true
}

// CheckAddresses returns a Usage error unless list holds addresses with ports, separated by commas. A port that is no int is
// Java's NumberFormatException.
func CheckAddresses(list string) error {
	invalid := tool.Usagef("Please provide valid host:port like host1:9091,host2:9092\n")
	addresses := javastring.Split(list, ",")
	for _, text := range addresses {
		match := address.FindStringSubmatch(text)
		if match == nil {
			return invalid
		}
		if _, err := strconv.ParseInt(match[2], 10, 32); err != nil {
			return throwable.New(throwable.NumberFormat, `For input string: "`+match[2]+`"`)
		}
	}
	if len(addresses) == 0 {
		return invalid
	}
	return nil
}

// bootstrap returns the addresses of bootstrap.servers, or else of bootstrap.controllers, that have an IP
// address.
func bootstrap(env *tool.Env, config *clientconf.Config) ([]string, error) {
	list := config.List("bootstrap.servers")
	if config.Client() == clientconf.Admin {
		controllers := config.List("bootstrap.controllers")
		switch {
		case len(list) == 0 && len(controllers) == 0:
			return nil, throwable.New(throwable.Config, "You must set either bootstrap.servers or bootstrap.controllers")
		case len(list) > 0 && len(controllers) > 0:
			return nil, throwable.New(throwable.Config, "You cannot set both bootstrap.servers and bootstrap.controllers")
		case len(list) == 0:
			list = controllers
		}
	}
	var servers []string
	for _, text := range list {
		if text == "" {
			continue
		}
		host, port, ok := SplitAddress(text)
		if !ok {
			return nil, throwable.New(throwable.Config, "Invalid url in bootstrap.servers: "+text)
		}
		if port > 65535 {
			return nil, throwable.New(throwable.Config, "Invalid port in bootstrap.servers: "+text)
		}
		if _, err := net.LookupHost(host); err != nil {
			env.Log("WARN", "org.apache.kafka.clients.ClientUtils", "Couldn't resolve server "+text+
				" from bootstrap.servers as DNS resolution failed for "+host)
			continue
		}
		servers = append(servers, net.JoinHostPort(host, strconv.Itoa(port)))
	}
	if len(servers) == 0 {
		return nil, throwable.New(throwable.Config, "No resolvable bootstrap urls given in bootstrap.servers")
	}
	return servers, nil
}
