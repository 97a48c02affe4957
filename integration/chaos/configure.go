package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
)

// settings are what the operator configures: a property of a topic or of a broker, and a value that is not the usual one.
var settings = []struct {
	name, value string
	ofBroker    bool
}{
	{name: "compression.type", value: "gzip"}, // leaders write other batches than producers send
	{name: "message.timestamp.type", value: "LogAppendTime"},
	{name: "max.message.bytes", value: "2000000"},
	{name: "flush.messages", value: "1"},
	{name: "num.replica.fetchers", value: "3", ofBroker: true}, // partitions go to other fetchers
	{name: "log.cleaner.threads", value: "2", ofBroker: true},
}

// setting is one change of a configuration.
type setting struct {
	name, value string
	topic       string // or of a broker
	broker      int32
}

func (s setting) String() string {
	return fmt.Sprintf("%s=%s of %s", s.name, s.value, cmp.Or(s.topic, fmt.Sprintf("broker %d", s.broker)))
}

// settingOf returns what a fault's numbers stand for.
func settingOf(f fault, brokers int) setting {
	what := settings[f.pick%len(settings)]
	s := setting{name: what.name, value: what.value}
	if what.ofBroker {
		s.broker = int32(f.other%brokers) + 1
	} else {
		all := slices.Sorted(maps.Keys(topics))
		s.topic = all[f.other%len(all)]
	}
	return s
}

// configure sets a property, or takes that back.
func (o *operator) configure(s setting, op kadm.IncrementalOp) error {
	ctx, cancel := context.WithTimeout(context.Background(), operatorTimeout)
	defer cancel()
	config := kadm.AlterConfig{Op: op, Name: s.name, Value: &s.value}
	var answers kadm.AlterConfigsResponses
	var err error
	if s.topic != "" {
		answers, err = o.admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{config}, s.topic)
	} else {
		answers, err = o.admin.AlterBrokerConfigs(ctx, []kadm.AlterConfig{config}, s.broker)
	}
	for _, a := range answers {
		err = cmp.Or(err, a.Err)
	}
	return err
}

// reconfigure changes a property, which goes back to what it was in the end.
func (w *world) reconfigure(f fault) (harm, error) {
	s := settingOf(f, len(w.brokers))
	err := w.operator.configure(s, kadm.SetConfig)
	return harm{s.String() + outcome(err), func() error {
		if err := w.operator.configure(s, kadm.DeleteConfig); err != nil {
			w.say("%v stays%s", s, outcome(err))
		}
		return nil
	}}, nil
}
