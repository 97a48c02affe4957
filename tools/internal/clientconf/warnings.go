package clientconf

import (
	"fmt"
	"strings"

	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// checkMechanism refuses SASL without a mechanism.
func (c *Config) checkMechanism() error {
	if strings.HasPrefix(strings.ToUpper(c.String("security.protocol")), "SASL_") && c.String("sasl.mechanism") == "" {
		return throwable.New(throwable.Config, "Invalid value null for configuration sasl.mechanism: When the security.protocol "+
			"configuration enables SASL, mechanism must be non-null and non-empty string.")
	}
	return nil
}

// Warnings returns what Kafka's CommonClientConfigs logs about the configuration, of times that grow from one value to another
// which is not above it.
func (c *Config) Warnings() []string {
	var warnings []string
	for _, pair := range []struct{ first, last, what string }{
		{"retry.backoff.ms", "retry.backoff.max.ms", "backoff"},
		{"socket.connection.setup.timeout.ms", "socket.connection.setup.timeout.max.ms", "connection setup timeout"},
	} {
		if first, last := c.Int(pair.first), c.Int(pair.last); first > last {
			warnings = append(warnings, fmt.Sprintf("Configuration '%s' with value '%d' is greater than configuration '%s' with "+
				"value '%d'. A static %s with value '%[4]d' will be applied.", pair.first, first, pair.last, last, pair.what))
		}
	}
	if c.Given("reconnect.backoff.ms") && !c.Given("reconnect.backoff.max.ms") {
		warnings = append(warnings, "Disabling exponential reconnect backoff because reconnect.backoff.ms is set, but "+
			"reconnect.backoff.max.ms is not.")
	}
	return warnings
}
