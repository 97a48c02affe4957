package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/gregor-mq/gregor/broker/properties"
)

// DefaultZooKeeper is where ZooKeeper is looked for if there is no file to say so.
const DefaultZooKeeper = "localhost:2181"

// Load reads the configuration in file, which is TOML or a Java properties file, and puts overrides
// of the form name=value over it; a later one wins. Without a file ("") the defaults hold, and
// zookeeper.connect is DefaultZooKeeper. An error about the contents is an *Error with all that is
// wrong.
func Load(file string, overrides []string) (*Config, []Warning, error) {
	set := map[string]string{"zookeeper.connect": DefaultZooKeeper}
	if file != "" {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, nil, fmt.Errorf("read configuration: %w", err)
		}
		if set, err = Parse(file, data); err != nil {
			return nil, nil, fmt.Errorf("read configuration %s: %w", file, err)
		}
	}
	for _, override := range overrides {
		name, value, ok := strings.Cut(override, "=")
		if name = trim(name); !ok || name == "" {
			return nil, nil, fmt.Errorf("override %q is not of the form name=value", override)
		}
		set[name] = value
	}
	c, warnings, err := New(set)
	if problems, ok := errors.AsType[*Error](err); ok {
		problems.File = file
	}
	return c, warnings, err
}

// Parse reads the contents of a file into properties, without judging them. Names that end in .toml
// or .properties say what the file is; otherwise it is TOML if it can be read as that.
func Parse(name string, data []byte) (map[string]string, error) {
	switch filepath.Ext(name) {
	case ".toml":
		return parseTOML(data)
	case ".properties":
		return properties.Parse(data)
	}
	if set, err := parseTOML(data); err == nil {
		return set, nil
	}
	return properties.Parse(data)
}

// parseTOML reads properties by their quoted names. Unquoted names with dots and tables mean the
// same where TOML allows them.
func parseTOML(data []byte) (map[string]string, error) {
	var tree map[string]any
	if err := toml.Unmarshal(data, &tree); err != nil {
		if where, ok := errors.AsType[toml.ParseError](err); ok {
			return nil, fmt.Errorf("line %d: %s", where.Position.Line, where.Message)
		}
		return nil, err
	}
	set := make(map[string]string)
	if err := flatten(set, "", tree); err != nil {
		return nil, err
	}
	return set, nil
}

func flatten(set map[string]string, prefix string, tree map[string]any) error {
	for _, key := range slices.Sorted(maps.Keys(tree)) {
		name := prefix + key
		if table, ok := tree[key].(map[string]any); ok {
			if err := flatten(set, name+".", table); err != nil {
				return err
			}
			continue
		}
		text, err := tomlText(tree[key])
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if _, twice := set[name]; twice {
			return fmt.Errorf("%s is set twice", name)
		}
		set[name] = text
	}
	return nil
}

// tomlText writes a TOML value as a properties file would have it.
func tomlText(value any) (string, error) {
	switch v := value.(type) {
	case string:
		return v, nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case float64:
		return formatDouble(v), nil
	case bool:
		return strconv.FormatBool(v), nil
	case []any:
		elements := make([]string, len(v))
		for i, element := range v {
			if _, nested := element.([]any); nested {
				return "", errors.New("a list cannot hold lists")
			}
			text, err := tomlText(element)
			if err != nil {
				return "", err
			}
			elements[i] = text
		}
		return strings.Join(elements, ","), nil
	}
	return "", fmt.Errorf("a value must be a string, number, boolean or list of these, not %T", value)
}
