package group

import (
	"cmp"
	"slices"
)

// Summary is what DescribeGroups and ListGroups tell of a group.
type Summary struct {
	ID           string
	State        State
	ProtocolType string
	Protocol     string // only of a Stable group, as the members' metadata and assignments
	Members      []MemberSummary
}

// MemberSummary is what DescribeGroups tells of a member.
type MemberSummary struct {
	ID, ClientID, ClientHost string
	InstanceID               *string
	Metadata, Assignment     []byte
}

// Overview is a Summary without members.
func (g *Group) Overview() Summary { return Summary{ID: g.ID, State: g.state, ProtocolType: g.typed()} }

// Describe returns the Summary.
func (g *Group) Describe() Summary {
	s := g.Overview()
	for _, m := range g.order {
		d := MemberSummary{ID: m.id, ClientID: m.clientID, ClientHost: m.clientHost, InstanceID: m.instance}
		if g.state == Stable {
			d.Metadata, d.Assignment = m.metadata(deref(g.protocol)), m.assignment
		}
		s.Members = append(s.Members, d)
	}
	if g.state == Stable {
		s.Protocol = deref(g.protocol)
	}
	slices.SortFunc(s.Members, func(a, b MemberSummary) int { return cmp.Compare(a.ID, b.ID) })
	return s
}
