package configs

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/gregor-mq/gregor/tools/internal/clientconf"
	"github.com/gregor-mq/gregor/tools/internal/javamap"
)

var (
	equals   = regexp.MustCompile(`\s*=\s*`)
	legalKey = regexp.MustCompile(`^[a-zA-Z0-9._-]*$`)
)

// added reads what --add-config or --add-config-file set.
func (c *command) added() (map[string]string, error) {
	texts, err := c.options.Texts(addConfigFile, addConfig)
	if err != nil {
		return nil, err
	}
	set := map[string]string{}
	if c.options.Has(addConfigFile) {
		loaded, err := clientconf.LoadFile(texts[addConfigFile])
		if err != nil {
			return nil, err
		}
		maps.Copy(set, loaded)
	}
	if c.options.Has(addConfig) {
		pairs, ok := parsePairs(texts[addConfig])
		if !ok {
			return nil, illegal("requirement failed: Invalid entity config: all configs to be added must be in the format \"key=val\".")
		}
		for _, pair := range pairs {
			set[pair[0]] = pair[1]
		}
	}
	if version, ok := set["message.format.version"]; ok {
		fmt.Fprintf(c.env.Stdout, "WARNING: The configuration message.format.version=%s is specified. This configuration will be ignored "+
			"if the version is newer than the inter.broker.protocol.version specified in the broker or if the "+
			"inter.broker.protocol.version is 3.0 or newer. This configuration is deprecated and it will be removed in Apache Kafka 4.0.\n", version)
	}
	for _, key := range inOrder(set) {
		if !legalKey.MatchString(key) {
			return nil, illegal("Invalid character found for config key: %s", key)
		}
	}
	return set, nil
}

// parsePairs reads k1=v1,k2=[v1,v2]: commas and equals signs in brackets belong to the value.
func parsePairs(text string) (pairs [][2]string, ok bool) {
	outside := func(i int) bool { // reports whether what begins at i is outside of brackets
		before, _, closed := strings.Cut(text[i:], "]")
		return !closed || strings.Contains(before, "[")
	}
	var parts []string
	from := 0
	for i := range text {
		if text[i] == ',' && outside(i+1) {
			parts, from = append(parts, text[from:i]), i+1
		}
	}
	parts = append(parts, text[from:])
	for len(parts) > 1 && parts[len(parts)-1] == "" {
		parts = parts[:len(parts)-1] // as Java's split does
	}
	at := 0
	for _, part := range parts {
		var sides []string
		begin := 0
		for _, match := range equals.FindAllStringIndex(part, -1) {
			if outside(at + match[1]) {
				sides, begin = append(sides, part[begin:match[0]]), match[1]
			}
		}
		if sides = append(sides, part[begin:]); len(sides) != 2 {
			return nil, false
		}
		value := strings.NewReplacer("[", "", "]", "").Replace(sides[1])
		pairs = append(pairs, [2]string{strings.TrimSpace(sides[0]), strings.TrimSpace(value)})
		at += len(part) + 1
	}
	return pairs, true
}

// deleted reads what --delete-config takes away. A list without any element is the name of one: nothing has it, which is an
// error, as for an empty variable of a script it should be.
func (c *command) deleted() []string {
	var names []string
	for _, text := range c.options.Values(deleteConfig) {
		elements := strings.FieldsFunc(text, func(r rune) bool { return r == ',' })
		if len(elements) == 0 {
			elements = []string{text}
		}
		for _, name := range elements {
			names = append(names, strings.TrimSpace(name))
		}
	}
	return names
}

// inOrder returns the names of what is set in the order in which Java's Properties list them.
func inOrder(set map[string]string) []string {
	names := slices.Sorted(maps.Keys(set))
	javamap.Sort(names, -1, javamap.HashString)
	return names
}

// without returns those of names that are not in known.
func without[V any](names []string, known map[string]V) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { _, ok := known[name]; return ok })
}

// scalaSet and scalaBuffer write names as Kafka's messages do, which print Scala's collections.
func scalaSet(names []string) string {
	kind := "Set"
	if len(names) > 4 {
		kind = "HashSet"
	}
	return kind + "(" + strings.Join(names, ", ") + ")"
}

func scalaBuffer(names []string) string { return "ArrayBuffer(" + strings.Join(names, ", ") + ")" }
