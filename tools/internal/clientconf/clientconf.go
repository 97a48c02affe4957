// Package clientconf holds the configuration of a client under Kafka's property names: from a file, from
// options, or by default, checked as Kafka's own clients check it. Properties that Kafka does not know
// are kept and ignored, as its clients do without a word at the tools' log level.
package clientconf

import (
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gregor-mq/gregor/broker/properties"
	"github.com/gregor-mq/gregor/tools/internal/jopt"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// Client is the kind of client that is configured.
type Client string

// The three kinds of clients.
const (
	Admin    Client = "admin"
	Producer Client = "producer"
	Consumer Client = "consumer"
)

// definition is one row of definitions.tsv, which has each client's properties in the order in which Kafka defines them: of
// several wrong values the first one is named.
type definition struct {
	name, kind, byDefault string
	valid                 string // Kafka's notation: [0,...], [a, b], (case insensitive) [A, B]; "" for any
}

//go:embed definitions.tsv
var definitionTable string

var definitions = parseDefinitions(definitionTable)

func parseDefinitions(table string) map[Client][]definition {
	parsed := map[Client][]definition{}
	for line := range strings.Lines(table) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(fields) == 5 && fields[0] != "client" {
			client := Client(fields[0])
			parsed[client] = append(parsed[client], definition{fields[1], fields[2], fields[3], fields[4]})
		}
	}
	return parsed
}

// Properties are property names with their values as text.
type Properties map[string]string

// LoadFile reads a Java properties file. No file name gives no properties.
func LoadFile(path string) (Properties, error) {
	if path == "" {
		return Properties{}, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	loaded, err := properties.Parse(data)
	switch {
	case errors.Is(err, properties.ErrMalformed):
		return nil, throwable.New(throwable.IllegalArgument, `Malformed \uxxxx encoding.`)
	case err != nil:
		return nil, fmt.Errorf("read client properties %s: %w", path, err)
	}
	return loaded, nil
}

// LoadOption reads the file that an option names, if it was given. To Java, the empty path is the working directory.
func LoadOption(options *jopt.Set, name string) (Properties, error) {
	path, err := options.Value(name)
	if err != nil {
		return nil, err
	}
	if options.Has(name) {
		path = cmp.Or(path, ".")
	}
	return LoadFile(path)
}

// ParsePairs reads key=value arguments; without "=" the value is empty.
func ParsePairs(pairs []string) Properties {
	parsed := Properties{}
	for _, pair := range pairs {
		key, value, _ := strings.Cut(pair, "=")
		parsed[key] = value
	}
	return parsed
}

// Merge sets everything in from.
func (p Properties) Merge(from Properties) { maps.Copy(p, from) }

// MergeOption sets key to the value of an option if that was given, or else, unless key is set already,
// to the option's default.
func (p Properties) MergeOption(key string, options *jopt.Set, name string) error {
	if _, set := p[key]; set && !options.Has(name) {
		return nil
	}
	value, err := options.Value(name)
	if err != nil {
		return err
	}
	p[key] = value
	return nil
}

// MergeNumber is MergeOption for an Integer or Long option.
func (p Properties) MergeNumber(key string, options *jopt.Set, name string) error {
	if _, _, err := options.Number(name); err != nil {
		return err
	}
	return p.MergeOption(key, options, name)
}

// Config is a checked configuration.
type Config struct {
	client Client
	values Properties // with the defaults
	given  Properties
}

// New checks properties for a client and completes them with Kafka's defaults. The error is Kafka's
// ConfigException.
func New(client Client, given Properties) (*Config, error) {
	c := &Config{client: client, values: maps.Clone(given), given: given}
	for _, d := range definitions[client] {
		value, ok := given[d.name]
		if !ok {
			c.values[d.name] = d.byDefault
			continue
		}
		c.values[d.name] = strings.TrimSpace(value)
		if err := d.check(value); err != nil {
			return nil, err
		}
	}
	return c, c.checkMechanism()
}

// Client returns what the configuration is for.
func (c *Config) Client() Client { return c.client }

// Given reports whether a property was set, rather than left at its default.
func (c *Config) Given(name string) bool {
	_, ok := c.given[name]
	return ok
}

// String returns the value of a property, "" if it has none.
func (c *Config) String(name string) string { return c.values[name] }

// List returns the elements of a comma-separated property. Between two commas, and beside a single one, there may be an empty
// element.
func (c *Config) List(name string) []string {
	if c.values[name] == "" {
		return nil
	}
	elements := strings.Split(c.values[name], ",")
	for i := range elements {
		elements[i] = strings.TrimSpace(elements[i])
	}
	return elements
}

// Bool returns the value of a BOOLEAN property.
func (c *Config) Bool(name string) bool { return strings.EqualFold(c.values[name], "true") }

// Int returns the value of an INT or LONG property.
func (c *Config) Int(name string) int {
	value, err := strconv.Atoi(c.values[name])
	if err != nil {
		panic(fmt.Sprintf("clientconf: %s is no number property of a %s", name, c.client)) // checked by New
	}
	return value
}

// Millis returns the value of a property in milliseconds.
func (c *Config) Millis(name string) time.Duration {
	return time.Duration(min(c.Int(name), int(maxDuration/time.Millisecond))) * time.Millisecond
}

// maxDuration is longer than any command runs; larger values would overflow in sums.
const maxDuration = 100 * 365 * 24 * time.Hour
