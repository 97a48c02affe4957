package zkutil

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Where configurations are, and the notes about their changes.
const (
	ConfigPath        = "/config"
	ConfigChangesPath = "/config/changes"

	configChangePrefix = ConfigChangesPath + "/config_change_"
)

// DefaultEntity is the name of the entity that stands for all that have no configuration of their own. A
// user who really has that name is sanitized to %3Cdefault%3E.
const DefaultEntity = "<default>"

// Entity is what has a configuration, by its path below /config: "topics/orders", "brokers/1",
// "brokers/<default>", "users/alice/clients/app%201". The parts are as they stand in the path, sanitized
// except for topics and brokers.
type Entity string

// entityKind is the first part of an Entity.
type entityKind string

func (k entityKind) of(name string) Entity { return Entity(string(k) + "/" + name) }

const (
	topicEntities  entityKind = "topics"
	clientEntities entityKind = "clients"
	userEntities   entityKind = "users"
	brokerEntities entityKind = "brokers"
	ipEntities     entityKind = "ips"
)

// DefaultBrokers is the entity of the cluster-wide dynamic broker configuration.
const DefaultBrokers Entity = "brokers/" + DefaultEntity

// TopicEntity returns the entity of a topic.
func TopicEntity(name string) Entity { return topicEntities.of(name) }

// BrokerEntity returns the entity of one broker.
func BrokerEntity(id int32) Entity { return brokerEntities.of(strconv.Itoa(int(id))) }

// UserEntity returns the entity of a user, nil for the default.
func UserEntity(user *string) Entity {
	if user == nil {
		return userEntities.of(DefaultEntity)
	}
	return userEntities.of(Sanitize(*user))
}

// Path returns the node of the entity's configuration.
func (e Entity) Path() string { return ConfigPath + "/" + string(e) }

// Type returns the first part: topics, brokers, users, clients or ips.
func (e Entity) Type() string {
	kind, _, _ := strings.Cut(string(e), "/")
	return kind
}

// Name returns the second part as it stands in the path.
func (e Entity) Name() string {
	_, rest, _ := strings.Cut(string(e), "/")
	name, _, _ := strings.Cut(rest, "/")
	return name
}

// Client returns the client part of users/U/clients/C as it stands in the path, and whether e is one.
func (e Entity) Client() (string, bool) {
	parts := strings.Split(string(e), "/")
	if len(parts) == 4 && parts[0] == string(userEntities) && parts[2] == string(clientEntities) {
		return parts[3], true
	}
	return "", false
}

// Valid reports whether e has one of the shapes of an entity.
func (e Entity) Valid() bool {
	parts := strings.Split(string(e), "/")
	for _, part := range parts {
		if part == "" {
			return false
		}
	}
	switch entityKind(parts[0]) {
	case topicEntities, clientEntities, brokerEntities, ipEntities:
		return len(parts) == 2
	case userEntities:
		_, withClient := e.Client()
		return len(parts) == 2 || withClient
	}
	return false
}

// EncodeConfig returns the contents of an entity's node. All values are strings there.
func EncodeConfig(config map[string]string) []byte {
	if config == nil {
		config = map[string]string{}
	}
	return encodeJSON(struct {
		Version int               `json:"version"`
		Config  map[string]string `json:"config"`
	}{1, config})
}

// DecodeConfig returns the properties in the contents of an entity's node. Like Kafka it finds none in
// null data, and in contents without an object "config", and refuses a value that is no string.
func DecodeConfig(data []byte) (map[string]string, error) {
	config := map[string]string{}
	o, err := parseObject(data)
	if err != nil {
		return config, nil
	}
	properties, err := o.object("config")
	if err != nil {
		return config, nil
	}
	for key := range properties {
		if config[key], err = required[string](properties, key); err != nil {
			return nil, malformed("configuration", data, err)
		}
	}
	return config, nil
}

// EncodeConfigChange returns the contents of a note that the configuration of e has changed.
func EncodeConfigChange(e Entity) []byte {
	return encodeJSON(struct {
		Version int    `json:"version"`
		Path    string `json:"entity_path"`
	}{2, string(e)})
}

// ErrNoConfigChange reports that a note about a changed configuration is no JSON; brokers ignore it.
var ErrNoConfigChange = errors.New("not a note of a changed configuration")

// DecodeConfigChange returns the entity that a note is about, in version 1 or 2 of the encoding. Version
// 1 knows topics and clients only.
func DecodeConfigChange(data []byte) (Entity, error) {
	o, err := parseObject(data)
	if errors.Is(err, errNotJSON) {
		return "", ErrNoConfigChange
	}
	var e Entity
	if err == nil {
		e, err = decodeConfigChange(o)
	}
	if err != nil {
		return "", malformed("config change", data, err)
	}
	return e, nil
}

func decodeConfigChange(o object) (Entity, error) {
	version, err := required[int](o, "version")
	if err != nil {
		return "", err
	}
	switch version {
	case 1:
		kind, err := required[string](o, "entity_type")
		if err != nil {
			return "", err
		}
		name, err := required[string](o, "entity_name")
		if err != nil {
			return "", err
		}
		if kind != string(topicEntities) && kind != string(clientEntities) {
			return "", fmt.Errorf("version 1 of entity type %q", kind)
		}
		return checkEntity(entityKind(kind).of(name))
	case 2:
		path, err := required[string](o, "entity_path")
		if err != nil {
			return "", err
		}
		return checkEntity(Entity(path))
	}
	return "", fmt.Errorf("unsupported version %d", version)
}

func checkEntity(e Entity) (Entity, error) {
	if !e.Valid() {
		return "", fmt.Errorf("%q is not the path of an entity", e)
	}
	return e, nil
}
