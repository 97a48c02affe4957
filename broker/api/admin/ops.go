package admin

import (
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/api/status"
	"github.com/gregor-mq/gregor/broker/config"
)

// applyOps makes the changes of ops in set (ConfigAdminManager.prepareIncrementalConfigs). Lookup knows the
// properties; appending to and subtracting from one that it does not know fails as it does in Kafka, which has no
// answer to that.
func applyOps(set map[string]string, ops []kmsg.IncrementalAlterConfigsRequestResourceConfig, lookup func(name string) (*config.Property, bool)) error {
	for _, op := range ops {
		switch op.Op {
		case kmsg.IncrementalAlterConfigOpSet:
			set[op.Name] = *op.Value
		case kmsg.IncrementalAlterConfigOpDelete:
			delete(set, op.Name)
		case kmsg.IncrementalAlterConfigOpAppend, kmsg.IncrementalAlterConfigOpSubtract:
			p, ok := lookup(op.Name)
			if !ok {
				return kerr.UnknownServerError
			}
			if p.Type != config.List {
				return status.New(kerr.InvalidConfig, "Config value "+opName(op.Op)+" is not allowed for config key: "+op.Name)
			}
			before, ok := set[op.Name]
			if !ok && p.HasDefault() {
				before = p.Default
			}
			set[op.Name] = changeList(before, *op.Value, op.Op)
		default:
			return kerr.UnknownServerError
		}
	}
	return nil
}

func opName(op kmsg.IncrementalAlterConfigOp) string { return strings.ToLower(op.String()) }

// changeList appends to a list what it does not hold yet, or takes from it, as often as it is given, what it
// holds. Elements are compared as they stand there, with their white space.
func changeList(before, elements string, op kmsg.IncrementalAlterConfigOp) string {
	var list []string
	if before != "" || op == kmsg.IncrementalAlterConfigOpSubtract {
		list = javaSplit(before)
	}
	given := javaSplit(elements)
	if op == kmsg.IncrementalAlterConfigOpAppend {
		given = slices.DeleteFunc(given, func(e string) bool { return slices.Contains(list, e) })
		return strings.Join(append(list, given...), ",")
	}
	for _, e := range given {
		if i := slices.Index(list, e); i >= 0 {
			list = slices.Delete(list, i, i+1)
		}
	}
	return strings.Join(list, ",")
}

// javaSplit is String.split(","): nothing empty at the end, but an empty text is one empty element.
func javaSplit(s string) []string {
	if s == "" {
		return []string{""}
	}
	list := strings.Split(s, ",")
	for len(list) > 0 && list[len(list)-1] == "" {
		list = list[:len(list)-1]
	}
	return list
}
