package controller

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/zkutil"
)

// named reads a partition as its String writes it.
func named(text string) (topic.Partition, error) {
	i := strings.LastIndexByte(text, '-')
	index, err := strconv.ParseInt(text[i+1:], 10, 32)
	if i < 0 || err != nil {
		return topic.Partition{}, fmt.Errorf("%q is no partition", text)
	}
	return topic.Partition{Topic: text[:i], Index: int32(index)}, nil
}

func brokerList(text string) ([]int32, error) {
	list := []int32{}
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == ' ' }) {
		id, err := strconv.ParseInt(word, 10, 32)
		if err != nil {
			return nil, err
		}
		list = append(list, int32(id))
	}
	return list, nil
}

func (h *history) reassign(d *datadriven.TestData) error {
	var names []topic.Partition
	var goals [][]int32
	for line := range strings.Lines(d.Input) {
		text, goal, _ := strings.Cut(strings.TrimSpace(line), ":")
		name, err := named(text)
		if err != nil {
			return err
		}
		names = append(names, name)
		if strings.TrimSpace(goal) == "cancel" {
			goals = append(goals, nil)
			continue
		}
		list, err := brokerList(goal)
		if err != nil {
			return err
		}
		goals = append(goals, list)
	}
	failed, err := h.term.core.reassignByRequest(context.Background(), names, goals)
	h.peers.flush()
	for i := range failed {
		if failed[i] != nil {
			fmt.Fprintf(&h.out, "%s fails: %v\n", names[i], failed[i])
		}
	}
	return err
}

func (h *history) moves(d *datadriven.TestData) {
	var names []topic.Partition
	for _, arg := range d.CmdArgs {
		name, err := named(arg.Key)
		if err != nil {
			d.Fatalf(h.t, "%v", err)
		}
		names = append(names, name)
	}
	for _, m := range h.term.core.reassignments(names, len(names) == 0) {
		fmt.Fprintf(&h.out, "%s replicas %s adding %s removing %s\n", m.Partition, ids(m.Replicas), ids(m.Adding), ids(m.Removing))
	}
}

func (h *history) changeISR(d *datadriven.TestData) error {
	name, err := named(d.CmdArgs[0].Key)
	if err != nil {
		return err
	}
	isr, err := brokerList(strings.Join(d.CmdArgs[1].Vals, ","))
	if err != nil {
		return err
	}
	path := zkutil.PartitionStatePath(name)
	n := h.zk.nodes[path]
	l := decodeState(&znode{data: n.data, stat: n.stat})
	l.ISR = isr
	h.zk.write(&write{kind: setNode, path: path, data: l.encode(), version: -1})
	h.changes++
	note := fmt.Sprintf("%s/isr_change_%010d", zkutil.ISRChangesPath, h.changes)
	return h.zk.write(&write{kind: createNode, path: note, data: zkutil.EncodeISRChange([]topic.Partition{name})}).err
}

// TestReassignTo checks the assignments on the way from one set of replicas to another.
func TestReassignTo(t *testing.T) {
	under := zkutil.Assignment{Replicas: []int32{3, 4, 5, 1, 2}, Adding: []int32{4, 5}, Removing: []int32{1, 2}}
	for _, tt := range []struct {
		name string
		from zkutil.Assignment
		goal []int32
		want zkutil.Assignment
	}{
		{"some stay", zkutil.Assignment{Replicas: []int32{1, 2, 3}}, []int32{3, 4, 5}, under},
		{"only the order changes", zkutil.Assignment{Replicas: []int32{1, 2}}, []int32{2, 1}, zkutil.Assignment{Replicas: []int32{2, 1}}},
		{"cancelled: the order is lost", under, []int32{3, 1, 2}, zkutil.Assignment{Replicas: []int32{3, 1, 2}}},
		{"replaced", under, []int32{5, 6}, zkutil.Assignment{Replicas: []int32{5, 6, 3, 1, 2}, Adding: []int32{5, 6}, Removing: []int32{3, 1, 2}}},
		{"named twice in the znode", zkutil.Assignment{Replicas: []int32{1}}, []int32{2, 2}, zkutil.Assignment{Replicas: []int32{2, 1}, Adding: []int32{2}, Removing: []int32{1}}},
	} {
		got := reassignTo(tt.from, tt.goal)
		if !equalAssignments(got, tt.want) {
			t.Errorf("%s: reassignTo(%v, %v) = %v, want %v", tt.name, tt.from, tt.goal, got, tt.want)
		}
		if !slices.Equal(origin(got), origin(tt.from)) && len(without(origin(tt.from), origin(got))) > 0 {
			t.Errorf("%s: the original replicas %v have become %v", tt.name, origin(tt.from), origin(got))
		}
	}
}
