package conformance

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func textOf(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// maskTime takes out of an answer a time that is one of the brokers' clocks, not of a client's: that is a minute slow.
func maskTime(t *int64) {
	if now := time.Now().UnixMilli(); *t > clock.Load()+5000 && *t < now+1000 {
		*t = 0
	}
}

// maskMarkers takes out of batches when those that end transactions were written.
func maskMarkers(batches []byte) {
	const header = 61
	for len(batches) >= header && batches[16] == 2 {
		if binary.BigEndian.Uint16(batches[21:])&control != 0 {
			clear(batches[17:21]) // the CRC
			clear(batches[27:43]) // the first and the last timestamp
		}
		size := 12 + int(binary.BigEndian.Uint32(batches[8:]))
		batches = batches[min(size, len(batches)):]
	}
}

// normal returns an answer as text in which lists are sorted, and ids and directories have their logical names.
func (s *requestSide) normal(resp kmsg.Response) string {
	mask(resp)
	text := textOf(s.plain(reflect.ValueOf(resp).Elem()))
	for i := range s.dirs {
		dir := s.dirs[len(s.dirs)-1-i] // the longer name first
		text = strings.ReplaceAll(text, dir, logicalDirs[len(s.dirs)-1-i])
	}
	return strings.ReplaceAll(text, s.addr, "ADDRESS")
}

// longestText is how many bytes of a text are compared: what is longer, a message shortens.
const longestText = 500

// plain returns v as what JSON is made of.
func (s *requestSide) plain(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Struct:
		m := map[string]any{}
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; name != "Version" && name != "UnknownTags" && name != "ThrottleMillis" {
				m[name] = s.plain(v.Field(i))
			}
		}
		return m
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return s.plain(v.Elem())
	case reflect.String:
		return v.String()[:min(v.Len(), longestText)]
	case reflect.Array:
		id := v.Interface().([16]byte)
		if name := s.ids[id]; name != "" {
			return "id of " + name
		}
		return fmt.Sprintf("%x", id)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return fmt.Sprintf("%x", v.Bytes())
		}
		list := make([]any, v.Len())
		for i := range list {
			list[i] = s.plain(v.Index(i))
		}
		list = merged(list)
		slices.SortStableFunc(list, byText)
		return list
	}
	return v.Interface()
}

// merged puts topics that are mentioned more than once in one place.
func merged(list []any) []any {
	at := map[string]map[string]any{}
	return slices.DeleteFunc(list, func(e any) bool {
		m, _ := e.(map[string]any)
		name, _ := m["Topic"].(string)
		parts, ok := m["Partitions"].([]any)
		if !ok {
			return false
		}
		key := name + fmt.Sprint(m["TopicID"])
		if first := at[key]; first != nil {
			first["Partitions"] = append(first["Partitions"].([]any), parts...)
			slices.SortStableFunc(first["Partitions"].([]any), byText)
			return true
		}
		at[key] = m
		return false
	})
}

func byText(a, b any) int { return strings.Compare(textOf(a), textOf(b)) }

// builtKeys are the keys of the APIs that are built.
var builtKeys []int16

// mask takes out of an answer what need not be the same.
func mask(resp kmsg.Response) {
	switch r := resp.(type) {
	case *kmsg.MetadataResponse:
		r.ClusterID = nil
		for i := range r.Brokers {
			r.Brokers[i].Port = 0
		}
	case *kmsg.ApiVersionsResponse:
		r.ApiKeys = slices.DeleteFunc(r.ApiKeys, func(k kmsg.ApiVersionsResponseApiKey) bool { return !slices.Contains(builtKeys, k.ApiKey) })
	case *kmsg.DescribeClusterResponse:
		r.ClusterID = ""
		for i := range r.Brokers {
			r.Brokers[i].Port = 0
		}
	case *kmsg.FindCoordinatorResponse:
		r.Port = 0
		for i := range r.Coordinators {
			r.Coordinators[i].Port = 0
		}
	case *kmsg.InitProducerIDResponse:
		r.ProducerID = min(r.ProducerID, 0)
	case *kmsg.ProduceResponse:
		for i := range r.Topics {
			for j := range r.Topics[i].Partitions {
				p := &r.Topics[i].Partitions[j]
				p.LogAppendTime = min(p.LogAppendTime, 0)
			}
		}
	case *kmsg.CreateTopicsResponse:
		for i := range r.Topics {
			if t := &r.Topics[i]; t.TopicID != [16]byte{} {
				t.TopicID = [16]byte{1}
			}
		}
	case *kmsg.FetchResponse:
		if r.SessionID != 0 {
			r.SessionID = 1
		}
		for i := range r.Brokers {
			r.Brokers[i].Port = 0
		}
		for i := range r.Topics {
			for j := range r.Topics[i].Partitions {
				maskMarkers(r.Topics[i].Partitions[j].RecordBatches)
			}
		}
	case *kmsg.ListOffsetsResponse:
		for i := range r.Topics {
			for j := range r.Topics[i].Partitions {
				maskTime(&r.Topics[i].Partitions[j].Timestamp)
			}
		}
	case *kmsg.DescribeProducersResponse:
		for i := range r.Topics {
			for j := range r.Topics[i].Partitions {
				for k := range r.Topics[i].Partitions[j].ActiveProducers {
					maskTime(&r.Topics[i].Partitions[j].ActiveProducers[k].LastTimestamp)
				}
			}
		}
	case *kmsg.DescribeConfigsResponse:
		for i := range r.Resources {
			maskConfigs(&r.Resources[i])
		}
	case *kmsg.DescribeLogDirsResponse:
		for i := range r.Dirs {
			r.Dirs[i].TotalBytes, r.Dirs[i].UsableBytes = 0, 0
		}
	}
}

// maskConfigs takes out of a resource the words in which properties are described, and, unless it is a topic, the properties:
// those that a broker has, and their values, are its own.
func maskConfigs(r *kmsg.DescribeConfigsResponseResource) {
	if r.ResourceType != kmsg.ConfigResourceTypeTopic {
		r.Configs = nil
	}
	for i := range r.Configs {
		if doc := &r.Configs[i].Documentation; *doc != nil && **doc != "" {
			*doc = ptr("words")
		}
	}
}
