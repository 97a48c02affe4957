package configs

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/tools/internal/javamap"
	"github.com/gregor-mq/gregor/tools/internal/javanumber"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// What can be limited.
var (
	clientQuotas = []string{"producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate"}
	ipQuotas     = []string{"connection_creation_rate"}
)

// quotaTypes are the names of entity types in the protocol, with what --describe calls them, in its order.
var quotaTypes = []struct{ kind, protocol, shown string }{
	{users, "user", "user-principal"}, {clients, "client-id", "client-id"}, {ips, "ip", "ip"},
}

func protocolType(kind string) string {
	for _, t := range quotaTypes {
		if t.kind == kind {
			return t.protocol
		}
	}
	return ""
}

// quota are the limits of one entity.
type quota struct {
	entity []kmsg.DescribeClientQuotasResponseEntryEntity
	values []kmsg.DescribeClientQuotasResponseEntryValue
}

// hash is ClientQuotaEntity.hashCode: that of a list of one map.
func (q quota) hash() int32 {
	var sum int32
	for _, e := range q.entity {
		hash := javamap.HashString(e.Type)
		if e.Name != nil {
			hash ^= javamap.HashString(*e.Name)
		}
		sum += hash
	}
	return 31 + sum
}

// quotas returns the limits of the entities that types and names select, in Kafka's order.
func (c *command) quotas(ctx context.Context) ([]quota, error) {
	req := kmsg.NewPtrDescribeClientQuotasRequest()
	req.Strict = true
	for i, kind := range c.types {
		component := kmsg.NewDescribeClientQuotasRequestComponent()
		component.EntityType = protocolType(kind)
		switch {
		case i >= len(c.names):
			component.MatchType = kmsg.QuotasMatchTypeAny
		case c.names[i] == "":
			component.MatchType = kmsg.QuotasMatchTypeDefault
		default:
			component.MatchType, component.Match = kmsg.QuotasMatchTypeExact, &c.names[i]
		}
		req.Components = append(req.Components, component)
	}
	if len(c.names) > len(c.types) {
		return nil, illegal("More entity names specified than entity types")
	}
	ctx, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	answer, err := c.admin.Call(ctx, "describeClientQuotas", req)
	if err != nil {
		return nil, failed(err)
	}
	resp := answer.(*kmsg.DescribeClientQuotasResponse)
	if err := throwable.FromCode(resp.ErrorCode, resp.ErrorMessage); err != nil {
		return nil, failed(err)
	}
	var quotas []quota
	for _, entry := range resp.Entries {
		q := quota{entry.Entity, entry.Values}
		javamap.Sort(q.values, len(q.values), func(v kmsg.DescribeClientQuotasResponseEntryValue) int32 { return javamap.HashString(v.Key) })
		quotas = append(quotas, q)
	}
	javamap.Sort(quotas, len(quotas), quota.hash)
	return quotas, nil
}

// describeQuotas prints the limits of users, clients or IP addresses.
func (c *command) describeQuotas(ctx context.Context) error {
	quotas, err := c.quotas(ctx)
	if err != nil {
		return err
	}
	for _, q := range quotas {
		var names, limits []string
		for _, t := range quotaTypes {
			for _, e := range q.entity {
				switch {
				case e.Type != t.protocol:
				case e.Name == nil:
					names = append(names, "the default "+t.shown)
				default:
					names = append(names, t.shown+" '"+*e.Name+"'")
				}
			}
		}
		for _, v := range q.values {
			limits = append(limits, v.Key+"="+javanumber.Double(v.Value))
		}
		fmt.Fprintf(c.env.Stdout, "Quota configs for %s are %s\n", strings.Join(names, ", "), strings.Join(limits, ", "))
	}
	return nil
}

// alterUsersOrClients changes limits, or a user's credentials.
func (c *command) alterUsersOrClients(ctx context.Context, added map[string]string, deleted []string) error {
	limits := func(names []string) []string {
		return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !slices.Contains(clientQuotas, name) })
	}
	credentials := func(names []string) []string {
		return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return mechanism(name) == nil })
	}
	unknown := func(names []string) []string {
		return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
			return slices.Contains(clientQuotas, name) || mechanism(name) != nil
		})
	}
	names := inOrder(added)
	limited := len(limits(names)) > 0 || len(limits(deleted)) > 0
	if c.types[0] == clients || len(c.types) == 2 {
		if wrong := append(unknown(names), credentials(names)...); len(wrong) > 0 {
			return illegal("Only quota configs can be added for 'clients' using --bootstrap-server. Unexpected config names: %s", scalaSet(wrong))
		}
		if wrong := append(unknown(deleted), credentials(deleted)...); len(wrong) > 0 {
			return illegal("Only quota configs can be deleted for 'clients' using --bootstrap-server. Unexpected config names: %s", scalaBuffer(wrong))
		}
		return c.alterQuotas(ctx, added, deleted)
	}
	if wrong := unknown(names); len(wrong) > 0 {
		return illegal("Only quota and SCRAM credential configs can be added for 'users' using --bootstrap-server. Unexpected config names: %s", scalaSet(wrong))
	}
	if wrong := unknown(deleted); len(wrong) > 0 {
		return illegal("Only quota and SCRAM credential configs can be deleted for 'users' using --bootstrap-server. Unexpected config names: %s", scalaBuffer(wrong))
	}
	if len(credentials(names)) > 0 || len(credentials(deleted)) > 0 {
		if c.hasDefault() {
			return illegal("The use of --entity-default or --user-defaults is not allowed with User SCRAM Credentials using --bootstrap-server.")
		}
		if limited {
			return illegal("Cannot alter both quota and SCRAM credential configs simultaneously for 'users' using --bootstrap-server.")
		}
	}
	if limited {
		return c.alterQuotas(ctx, added, deleted)
	}
	return c.alterCredentials(ctx, c.names[0], added, deleted)
}

func (c *command) alterIPs(ctx context.Context, added map[string]string, deleted []string) error {
	wrong := slices.DeleteFunc(append(inOrder(added), deleted...), func(name string) bool { return slices.Contains(ipQuotas, name) })
	if len(wrong) > 0 {
		return illegal("Only connection quota configs can be added for 'ips' using --bootstrap-server. Unexpected config names: %s", strings.Join(wrong, ","))
	}
	return c.alterQuotas(ctx, added, deleted)
}

// alterQuotas changes the limits of the entity that types and names make up.
func (c *command) alterQuotas(ctx context.Context, added map[string]string, deleted []string) error {
	quotas, err := c.quotas(ctx)
	if err != nil {
		return err
	}
	old := map[string]bool{}
	if len(quotas) > 0 {
		for _, v := range quotas[0].values {
			old[v.Key] = true
		}
	}
	if unknown := without(deleted, old); len(unknown) > 0 {
		return invalid("Invalid config(s): %s", strings.Join(unknown, ","))
	}
	entry := kmsg.NewAlterClientQuotasRequestEntry()
	for i, kind := range c.types {
		entity := kmsg.NewAlterClientQuotasRequestEntryEntity()
		entity.Type = protocolType(kind)
		if c.names[i] != "" {
			entity.Name = &c.names[i]
		}
		entry.Entity = append(entry.Entity, entity)
	}
	for _, key := range inOrder(added) {
		value, ok := javanumber.ParseDouble(added[key])
		if !ok {
			return illegal("Cannot parse quota configuration value for %s: %s", key, added[key])
		}
		entry.Ops = append(entry.Ops, kmsg.AlterClientQuotasRequestEntryOp{Key: key, Value: value})
	}
	for _, key := range deleted {
		entry.Ops = append(entry.Ops, kmsg.AlterClientQuotasRequestEntryOp{Key: key, Remove: true})
	}
	req := kmsg.NewPtrAlterClientQuotasRequest()
	req.Entries = append(req.Entries, entry)
	ctx, cancel := context.WithTimeout(ctx, writePatience)
	defer cancel()
	resp, err := c.admin.Call(ctx, "alterClientQuotas", req)
	if err != nil {
		return failed(err)
	}
	for _, e := range resp.(*kmsg.AlterClientQuotasResponse).Entries {
		if err := throwable.FromCode(e.ErrorCode, e.ErrorMessage); err != nil {
			return failed(err)
		}
	}
	return nil
}
