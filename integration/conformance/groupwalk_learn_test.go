package conformance

import (
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// differentLeaders reports whether the brokers have chosen differently where Kafka leaves it to chance: the leader of a
// new generation, if neither has kept the one before, or its protocol.
func (w *groupWalk) differentLeaders() bool {
	leader := w.leader
	for _, step := range w.sides[0].fresh {
		a, ok := w.sides[0].answers[step].resp.(*kmsg.JoinGroupResponse)
		b, also := w.sides[1].answers[step].resp.(*kmsg.JoinGroupResponse)
		if !ok || !also || a.ErrorCode != 0 || b.ErrorCode != 0 {
			continue
		}
		x, y := w.sides[0].logical[a.LeaderID], w.sides[1].logical[b.LeaderID]
		if x != y && x != leader && y != leader {
			return true
		}
		if a.Protocol != nil && b.Protocol != nil && *a.Protocol != *b.Protocol && a.Generation == b.Generation {
			return true
		}
	}
	return false
}

// toldOfRemoval reports whether members that waited in SyncGroup were told that they are removed, by our broker alone,
// and nothing else differs.
func (w *groupWalk) toldOfRemoval() bool {
	var told []int
	for _, step := range w.sides[0].fresh {
		r, ok := w.sides[0].answers[step].resp.(*kmsg.SyncGroupResponse)
		if ok && r.ErrorCode == 25 && w.sides[1].answers[step] == nil {
			told = append(told, step)
		}
	}
	rest := slices.DeleteFunc(slices.Clone(w.sides[0].fresh), func(step int) bool { return slices.Contains(told, step) })
	return len(told) > 0 && slices.Equal(rest, w.sides[1].fresh)
}

// learn lets the actors know what they were answered.
func (w *groupWalk) learn() {
	s := w.sides[0]
	for _, step := range s.fresh {
		w.answered[s.answers[step].summary()]++
		r, ok := s.answers[step].resp.(*kmsg.JoinGroupResponse)
		if ok && r.ErrorCode == 0 {
			w.leader = s.logical[r.LeaderID]
		}
		a := w.byStep[step]
		if !ok || a == nil {
			continue
		}
		switch r.ErrorCode {
		case 0:
			a.id, a.generation = s.logical[r.MemberID], r.Generation
			a.leads, a.members = r.LeaderID == r.MemberID, nil
			for _, m := range r.Members {
				a.members = append(a.members, s.logical[m.MemberID])
			}
		case 79:
			a.id = s.logical[r.MemberID]
		case 25, 82:
			if w.rng.IntN(2) == 0 {
				a.id = ""
			}
		}
	}
	for _, s := range w.sides {
		for _, step := range s.fresh {
			if a := s.answers[step]; a != nil {
				w.log = append(w.log, s.name+" answers "+strconv.Itoa(step)+": "+s.normal(a))
			}
		}
		s.fresh = nil
	}
	w.log = append(w.log, "the group: "+w.sides[0].described)
}

// discard forgets what has come of a group that is given up.
func (w *groupWalk) discard() {
	for _, s := range w.sides {
		s.fresh = nil
	}
}
