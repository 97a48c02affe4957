package conformance

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// outcome is what came of a request, in the words of the table.
type outcome struct {
	err     string // "17 @Topics[0]", several separated by "; ", and what stands in brackets behind
	message string // "-", "(no message field)", "null", `""` or the text
	closed  bool
}

func (o outcome) String() string {
	s := o.err
	if o.message != "-" {
		s += " | " + o.message
	}
	if o.closed {
		s += " | closed"
	}
	return s
}

// found is an error code somewhere in an answer.
type found struct {
	code    int16
	place   string
	message string
}

const noMessageField = "(no message field)"

// errorsIn lists the error codes in an answer that are not 0, from the top down.
func errorsIn(resp kmsg.Response) []found {
	var list []found
	walk(reflect.ValueOf(resp).Elem(), "", resp.GetVersion(), &list)
	return list
}

func walk(v reflect.Value, path string, version int16, list *[]found) {
	if code := v.FieldByName("ErrorCode"); code.IsValid() && code.Int() != 0 {
		f := found{code: int16(code.Int()), place: "@top", message: noMessageField}
		if path != "" {
			f.place = "@" + path
		}
		if m := v.FieldByName("ErrorMessage"); m.IsValid() {
			f.message = messageText(m)
		}
		*list = append(*list, f)
	}
	for i := range v.NumField() {
		field := v.Field(i)
		if field.Kind() != reflect.Slice || field.Type().Elem().Kind() != reflect.Struct {
			continue
		}
		for j := range field.Len() {
			at := fmt.Sprintf("%s[%d]", v.Type().Field(i).Name, j)
			if path != "" {
				at = path + "." + at
			}
			walk(field.Index(j), at, version, list)
		}
	}
}

func messageText(v reflect.Value) string {
	m, ok := v.Interface().(*string)
	switch {
	case !ok:
		return fmt.Sprint(v.Interface())
	case m == nil:
		return "null"
	case *m == "":
		return `""`
	}
	return *m
}

// outcomeOf says of an answer what the table would.
func outcomeOf(resp kmsg.Response) outcome {
	o := outcome{err: "0", message: "-"}
	var parts, messages []string
	for _, f := range errorsIn(resp) {
		parts = append(parts, fmt.Sprintf("%d %s", f.code, f.place))
		if !slices.Contains(messages, f.message) {
			messages = append(messages, f.message)
		}
	}
	if len(messages) > 1 { // of an answer that has messages somewhere, those are shown
		messages = slices.DeleteFunc(messages, func(m string) bool { return m == noMessageField })
	}
	if len(parts) > 0 {
		o.err, o.message = strings.Join(parts, "; "), strings.Join(messages, "; ")
	}
	if extra := extraOf(resp); extra != "" {
		o.err += " [" + extra + "]"
	}
	return o
}

// extraOf returns the fields that the table shows in brackets.
func extraOf(resp kmsg.Response) string {
	switch r := resp.(type) {
	case *kmsg.FetchResponse:
		return fetchExtra(r)
	case *kmsg.ListOffsetsResponse:
		if len(r.Topics) == 0 || len(r.Topics[0].Partitions) == 0 {
			return ""
		}
		p := &r.Topics[0].Partitions[0]
		if r.Version == 0 {
			return fmt.Sprintf("offsets=%v", p.OldStyleOffsets)
		}
		timestamp := fmt.Sprint(p.Timestamp)
		if p.Timestamp >= 0 {
			timestamp = "a time"
		}
		return fmt.Sprintf("timestamp=%s offset=%d epoch=%d", timestamp, p.Offset, p.LeaderEpoch)
	case *kmsg.OffsetForLeaderEpochResponse:
		p := &r.Topics[0].Partitions[0]
		end := fmt.Sprint(p.EndOffset)
		if p.EndOffset == recordsInE1 {
			end = "end of log"
		}
		return fmt.Sprintf("epoch=%d end=%s", p.LeaderEpoch, end)
	case *kmsg.DeleteRecordsResponse:
		return fmt.Sprintf("low watermark=%d", r.Topics[0].Partitions[0].LowWatermark)
	case *kmsg.DescribeConfigsResponse:
		return fmt.Sprintf("%d entries", len(r.Resources[0].Configs))
	case *kmsg.MetadataResponse:
		return metadataExtra(r)
	}
	return groupExtra(resp)
}

func fetchExtra(r *kmsg.FetchResponse) string {
	session := "0"
	if r.SessionID != 0 {
		session = "non-zero"
	}
	if len(r.Topics) == 0 || len(r.Topics[0].Partitions) == 0 {
		return "session id " + session
	}
	p := &r.Topics[0].Partitions[0]
	return fmt.Sprintf("session id %s, hw=%d lso=%d start=%d leader=%d/%d bytes=%t", session, p.HighWatermark,
		p.LastStableOffset, p.LogStartOffset, p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch, len(p.RecordBatches) > 0)
}

func metadataExtra(r *kmsg.MetadataResponse) string {
	if len(r.Topics) == 0 || len(r.Topics[0].Partitions) == 0 {
		return ""
	}
	list := slices.Clone(r.Topics[0].Partitions)
	var parts []string
	for _, p := range list {
		if r.Version == 0 {
			parts = append(parts, fmt.Sprintf("%d:leader=%d replicas=%v isr=%v", p.Partition, p.Leader, p.Replicas, p.ISR))
		} else {
			parts = append(parts, fmt.Sprintf("%d:leader=%d epoch=%d replicas=%v isr=%v offline=%v",
				p.Partition, p.Leader, p.LeaderEpoch, p.Replicas, p.ISR, p.OfflineReplicas))
		}
	}
	return strings.Join(parts, " ")
}
