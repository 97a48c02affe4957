package group

import "slices"

// State is the state of a group.
type State int8

// The states, by Kafka's names for them.
const (
	Empty State = iota
	PreparingRebalance
	CompletingRebalance
	Stable
	Dead
)

var stateNames = [...]string{"Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Dead"}

// String returns the name that DescribeGroups and ListGroups show.
func (s State) String() string { return stateNames[s] }

// from lists the states that each one may follow.
var from = [...][]State{
	Empty:               {PreparingRebalance},
	PreparingRebalance:  {Empty, Stable, CompletingRebalance},
	CompletingRebalance: {PreparingRebalance},
	Stable:              {CompletingRebalance},
	Dead:                {Empty, PreparingRebalance, CompletingRebalance, Stable, Dead},
}

func (s State) mayFollow(before State) bool { return slices.Contains(from[s], before) }
