package configs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gregor-mq/gregor/broker/config"
	"github.com/gregor-mq/gregor/tools/internal/client"
	"github.com/gregor-mq/gregor/tools/internal/clientconf"
	"github.com/gregor-mq/gregor/tools/internal/javamap"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
	"github.com/gregor-mq/gregor/zkutil"
)

// zooKeeperPatience is how long Kafka's tool waits for ZooKeeper.
const zooKeeperPatience = 30 * time.Second

// withZooKeeper shows or changes credentials of users, or the configuration of brokers that do not run.
func (c *command) withZooKeeper(ctx context.Context) error {
	zk, err := c.openZooKeeper(ctx)
	if err != nil {
		return err
	}
	defer zk.Close()
	if c.options.Has(alter) {
		return c.alterInZooKeeper(ctx, zk)
	}
	return c.describeInZooKeeper(ctx, zk)
}

func (c *command) openZooKeeper(ctx context.Context) (*zkutil.Client, error) {
	connect, err := c.options.Value(zooKeeper)
	if err != nil {
		return nil, err
	}
	opts := zkutil.Options{Connect: connect, SessionTimeout: zooKeeperPatience, ConnectionTimeout: zooKeeperPatience, KeepChroot: true}
	if opts.Dial, err = c.zooKeeperDialer(); err != nil {
		return nil, err
	}
	zk, err := zkutil.Connect(ctx, opts)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, throwable.New(throwable.ZooKeeperTimeout, "Timed out waiting for connection while in state: CONNECTING")
	}
	return zk, err
}

// zooKeeperDialer returns what connects to ZooKeeper by TLS if the file of --zk-tls-config-file says so, nil
// for TCP.
func (c *command) zooKeeperDialer() (func(ctx context.Context, network, address string) (net.Conn, error), error) {
	file, err := c.options.Value(zooKeeperTLS)
	if err != nil {
		return nil, err
	}
	loaded, err := clientconf.LoadFile(file)
	if err != nil || !strings.EqualFold(loaded["zookeeper.ssl.client.enable"], "true") {
		return nil, err
	}
	properties := clientconf.Properties{}
	for name, value := range loaded {
		if name, ok := strings.CutPrefix(name, "zookeeper.ssl."); ok && name != "client.enable" {
			properties["ssl."+name] = value
		}
	}
	settings, err := client.TLSConfig(properties)
	if err != nil {
		return nil, err
	}
	return (&tls.Dialer{Config: settings}).DialContext, nil
}

// zkEntity returns the entity that types and names mean, and whether it is one of all users.
func (c *command) zkEntity() (e zkutil.Entity, everyUser bool, err error) {
	kind, name := c.types[0], (*string)(nil)
	if len(c.names) > 0 {
		name = &c.names[0]
	}
	if kind == users {
		if c.options.Has(alter) && len(c.names) != len(c.types) {
			return "", false, illegal("--entity-name or --entity-default must be specified with each --entity-type for --alter")
		}
		switch {
		case name == nil:
			return "", true, nil
		case *name == "":
			return zkutil.UserEntity(nil), false, nil
		}
		return zkutil.UserEntity(name), false, nil
	}
	switch {
	case name == nil:
		return "", false, illegal("Error parsing broker . The broker's Entity Name must be a single integer value")
	case *name == "":
		return zkutil.DefaultBrokers, false, nil
	}
	id, err := strconv.ParseInt(*name, 10, 32)
	return zkutil.BrokerEntity(int32(id)), false, err // checked by checkNames
}

// shownEntity is how Kafka's tool calls an entity.
func shownEntity(e zkutil.Entity) string {
	kind := e.Type()
	if kind == users {
		kind = "user-principal"
	}
	if e.Name() == zkutil.DefaultEntity {
		return "default " + kind
	}
	name, err := zkutil.Desanitize(e.Name())
	if err != nil || kind == brokers {
		name = e.Name()
	}
	return kind + " '" + name + "'"
}

// requireStopped returns an error if the broker of an entity runs, or, for the default of all, any.
func requireStopped(ctx context.Context, zk *zkutil.Client, e zkutil.Entity, message string) error {
	const only = "Broker configuration operations using ZooKeeper are only supported if the affected broker(s) are not running."
	running, err := zk.BrokerIDs(ctx, nil)
	if err != nil && !errors.Is(err, zkutil.ErrNoNode) {
		return err
	}
	if e == zkutil.DefaultBrokers {
		if len(running) > 0 {
			return illegal("requirement failed: %s - %d brokers are running. %s", message, len(running), only)
		}
		return nil
	}
	for _, id := range running {
		if zkutil.BrokerEntity(id) == e {
			return illegal("requirement failed: %s - broker %d is running. %s", message, id, only)
		}
	}
	return nil
}

func (c *command) describeInZooKeeper(ctx context.Context, zk *zkutil.Client) error {
	e, everyUser, err := c.zkEntity()
	if err != nil {
		return err
	}
	entities := []zkutil.Entity{e}
	if everyUser {
		if entities, err = zk.Entities(ctx, users); err != nil {
			return err
		}
		entities = slices.DeleteFunc(entities, func(e zkutil.Entity) bool { _, withClient := e.Client(); return withClient })
		sortAsZooKeeper(entities)
	} else if e.Type() == brokers {
		if err := requireStopped(ctx, zk, e, "--bootstrap-server option must be specified to describe brokers"); err != nil {
			return err
		}
	}
	for _, r := range zk.Configs(ctx, entities) {
		if r.Err != nil {
			return r.Err
		}
		if len(r.Config) > 0 || !everyUser {
			fmt.Fprintf(c.env.Stdout, "Configs for %s are %s\n", shownEntity(r.Entity), strings.Join(javaPairs(r.Config), ","))
		}
	}
	return nil
}

// sortAsZooKeeper puts entities into the order in which ZooKeeper's server names the nodes, which it keeps in a HashSet that was made
// for 8 (DataNode), and in which Kafka's tool shows them.
func sortAsZooKeeper(entities []zkutil.Entity) {
	javamap.Sort(entities, 8, func(e zkutil.Entity) int32 { return javamap.HashString(e.Name()) })
}

// javaPairs returns what is set as name=value, in the order of Java's Properties.
func javaPairs(set map[string]string) []string {
	var pairs []string
	for _, name := range inOrder(set) {
		pairs = append(pairs, name+"="+set[name])
	}
	return pairs
}

func (c *command) alterInZooKeeper(ctx context.Context, zk *zkutil.Client) error {
	added, err := c.added()
	if err != nil {
		return err
	}
	deleted := c.deleted()
	e, _, err := c.zkEntity()
	if err != nil {
		return err
	}
	gone := "List()"
	if deleted != nil {
		gone = scalaBuffer(deleted)
	}
	message := fmt.Sprintf("--bootstrap-server option must be specified to update %s configs: {add: {%s}, delete: %s}", e.Type(),
		strings.Join(javaPairs(added), ", "), gone)
	if e.Type() == users {
		added, err = storedCredentials(added, deleted, message)
	} else if len(added) > 0 || len(deleted) > 0 {
		if err = requireStopped(ctx, zk, e, message); err == nil {
			added, err = storedBroker(added, e != zkutil.DefaultBrokers)
		}
	}
	if err != nil {
		return err
	}
	configs, err := zk.Config(ctx, e)
	if err != nil {
		return err
	}
	if unknown := without(deleted, configs); len(unknown) > 0 {
		return invalid("Invalid config(s): %s", strings.Join(unknown, ","))
	}
	maps.Copy(configs, added)
	for _, name := range deleted {
		delete(configs, name)
	}
	if e == zkutil.UserEntity(nil) {
		if err := checkDefaultUser(configs); err != nil {
			return err
		}
	}
	written, err := zk.ChangeConfigUnguarded(ctx, e, configs)
	if written {
		c.env.Log("WARN", "kafka.zk.KafkaZkClient", "Setting entity configs without any checks on the controller.")
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(c.env.Stdout, "Completed updating config for entity: %s.\n", shownEntity(e))
	return nil
}

// storedCredentials returns what is kept of the credentials that are added. Nothing else of a user may be
// added or deleted.
func storedCredentials(added map[string]string, deleted []string, message string) (map[string]string, error) {
	known := map[string]bool{}
	for _, m := range mechanisms {
		known[m.name] = true
	}
	if len(without(inOrder(added), known)) > 0 || len(without(deleted, known)) > 0 {
		return nil, illegal("requirement failed: %s. User configuration updates using ZooKeeper are only supported for SCRAM credential updates.", message)
	}
	stored := map[string]string{}
	for name, text := range added {
		m := mechanism(name)
		credential, err := m.newCredential(text, credentialToZooKeeper, m.constant)
		if err != nil {
			return nil, err
		}
		if stored[name], err = m.stored(credential); err != nil {
			return nil, err
		}
	}
	return stored, nil
}

// checkDefaultUser returns an error unless all that is set for users without a configuration of their own are
// limits.
func checkDefaultUser(configs map[string]string) error {
	unknown := slices.DeleteFunc(inOrder(configs), func(name string) bool { return slices.Contains(clientQuotas, name) })
	if len(unknown) > 0 {
		return illegal("requirement failed: Unknown Dynamic Configuration: HashSet(%s).", strings.Join(unknown, ", "))
	}
	return nil
}

// storedBroker returns what is kept of what is added to the configuration of a broker: without the properties
// that say how to encrypt passwords, and with these encrypted.
func storedBroker(added map[string]string, perBroker bool) (map[string]string, error) {
	const secret = "password.encoder.secret"
	encoder := map[string]string{"zookeeper.connect": "unused"} // a configuration must have it
	set := map[string]string{}
	var passwords []string
	for _, name := range inOrder(added) {
		switch {
		case strings.HasPrefix(name, "password.encoder."):
			encoder[name] = added[name]
			continue
		case config.IsPassword(name):
			passwords = append(passwords, name)
		}
		set[name] = added[name]
	}
	if problem := config.CheckDynamic(set, perBroker); problem != nil {
		return nil, throwable.New(throwable.Config, problem.Text)
	}
	if _, ok := encoder[secret]; !ok && passwords != nil {
		return nil, illegal("requirement failed: %s must be specified to update %s. Other password encoder configs like cipher algorithm "+
			"and iterations may also be specified to override the default encoding parameters. Password encoder configs will not be "+
			"persisted in ZooKeeper.", secret, scalaSet(passwords))
	}
	if passwords == nil {
		return set, nil
	}
	for _, name := range []string{"password.encoder.key.length", "password.encoder.iterations"} {
		if text, ok := encoder[name]; ok && !isInteger(text) {
			return nil, throwable.New(throwable.NumberFormat, `For input string: "`+text+`"`)
		}
	}
	settings, _, err := config.New(encoder)
	if err != nil {
		return nil, throwable.New(throwable.Config, err.Error())
	}
	return settings.ToStore(set, perBroker)
}
