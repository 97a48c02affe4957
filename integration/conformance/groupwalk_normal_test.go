package conformance

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// memberID matches what a broker makes.
var memberID = regexp.MustCompile(`[a-z-]*-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// normal returns an answer as text in which member ids are logical and lists are sorted.
func (s *walkSide) normal(a *walkAnswer) string {
	if a.closed {
		return "closed"
	}
	b, err := json.Marshal(a.resp)
	if err != nil {
		s.t.Fatal(err)
	}
	if r, ok := a.resp.(*kmsg.ListGroupsResponse); ok { // groups of before may be on their way
		r.Groups = slices.DeleteFunc(slices.Clone(r.Groups), func(g kmsg.ListGroupsResponseGroup) bool { return g.Group != s.group })
		if b, err = json.Marshal(r); err != nil {
			s.t.Fatal(err)
		}
	}
	text := memberID.ReplaceAllStringFunc(string(b), func(id string) string {
		if name := s.logical[id]; name != "" {
			return name
		}
		return id[:len(id)-36] + "unknown"
	})
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		s.t.Fatal(err)
	}
	_, leave := a.resp.(*kmsg.LeaveGroupResponse)
	v = sorted(v, !leave)
	b, _ = json.Marshal(v)
	return fmt.Sprintf("%T %s", a.resp, b)
}

// sorted sorts the lists in v, if lists is set, and leaves out what is not compared.
func sorted(v any, lists bool) any {
	switch v := v.(type) {
	case map[string]any:
		delete(v, "UnknownTags")
		for k := range v {
			v[k] = sorted(v[k], lists)
		}
	case []any:
		for i := range v {
			v[i] = sorted(v[i], lists)
		}
		if lists {
			slices.SortFunc(v, func(a, b any) int {
				x, _ := json.Marshal(a)
				y, _ := json.Marshal(b)
				return strings.Compare(string(x), string(y))
			})
		}
		if len(v) == 0 {
			return nil
		}
	}
	return v
}
