// Package filter selects topics and partitions as Kafka's tools do: topics by a list of regular
// expressions, partitions by number or range.
package filter

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/tools/internal/javaregex"
	"github.com/gregor-mq/gregor/tools/internal/javastring"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// Topics selects topics by name.
type Topics struct{ pattern *javaregex.Pattern }

// ParseTopics reads a regular expression that must match the whole name; commas separate alternatives,
// spaces and surrounding quotes are left out. An expression that package javaregex cannot read is an error.
func ParseTopics(text string) (*Topics, error) {
	text = strings.ReplaceAll(strings.TrimSpace(text), ",", "|")
	text = strings.Trim(strings.ReplaceAll(text, " ", ""), `"'`)
	pattern, err := javaregex.Compile(text)
	if err != nil {
		return nil, throwable.New(throwable.Runtime, text+" is an invalid regex.")
	}
	return &Topics{pattern}, nil
}

// Match reports whether the topic is selected. It fails if that takes too long to find out.
func (t *Topics) Match(name string) (bool, error) {
	matches, err := t.pattern.Match(name)
	if err != nil {
		return false, throwable.New(throwable.Runtime, err.Error())
	}
	return matches, nil
}

// Partitions selects partitions: those that match one of its rules.
type Partitions struct{ rules []rule }

// rule selects partitions low to high-1 of topics, or those in ids if there are any.
type rule struct {
	topics    *Topics
	low, high int64
	ids       []int64
}

// ParseIDs selects the partitions with the given numbers, all if there is none, of the topics that match.
func ParseIDs(topics, ids string) (*Partitions, error) {
	matching, err := ParseTopics(topics)
	if err != nil {
		return nil, err
	}
	r := rule{topics: matching, high: math.MaxInt32}
	if ids == "" {
		return &Partitions{[]rule{r}}, nil
	}
	for _, text := range javastring.Split(ids, ",") {
		id, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return nil, throwable.New(throwable.Terse,
				"--partitions expects a comma separated list of numeric partition ids, but received: "+ids)
		}
		r.ids = append(r.ids, id)
	}
	return &Partitions{[]rule{r}}, nil
}

// rulePattern is TOPIC:NUMBER, TOPIC:LOW-HIGH, where TOPIC, LOW and HIGH may be left out, or TOPIC.
var rulePattern = regexp.MustCompile(`^([^:,]*)(?::(?:([0-9]*)|(?:([0-9]*)-([0-9]*))))?$`)

// ParseRules reads topic:partitions rules separated by commas. Topics are regular expressions, partitions
// a number or a range: 3, 0-3 (0, 1 and 2), 5- or -3; either may be left out.
func ParseRules(text string) (*Partitions, error) {
	p := &Partitions{}
	for _, spec := range javastring.Split(text, ",") {
		match := rulePattern.FindStringSubmatch(spec)
		if match == nil {
			return nil, throwable.InRuntime(throwable.New(throwable.Terse, "Invalid rule specification: "+spec))
		}
		r, err := parseRule(match)
		if err != nil {
			return nil, err
		}
		p.rules = append(p.rules, r)
	}
	return p, nil
}

func parseRule(match []string) (rule, error) {
	name := match[1]
	if name == "" {
		name = ".*"
	}
	topics, err := ParseTopics(name)
	if err != nil {
		return rule{}, err
	}
	r := rule{topics: topics, high: math.MaxInt32}
	for i, target := range []*int64{&r.low, &r.low, &r.high} {
		number := match[2+i]
		if number == "" {
			continue
		}
		if *target, err = strconv.ParseInt(number, 10, 32); err != nil {
			return rule{}, throwable.New(throwable.NumberFormat, `For input string: "`+number+`"`)
		}
		if i == 0 {
			r.high = r.low + 1
		}
	}
	return r, nil
}

// MatchTopic reports whether partitions of the topic may be selected. It fails as Topics.Match does.
func (p *Partitions) MatchTopic(name string) (bool, error) {
	for _, r := range p.rules {
		if matches, err := r.topics.Match(name); matches || err != nil {
			return matches, err
		}
	}
	return false, nil
}

// Match reports whether the partition is selected. It fails as Topics.Match does.
func (p *Partitions) Match(partition topic.Partition) (bool, error) {
	for _, r := range p.rules {
		if !r.selects(int64(partition.Index)) {
			continue
		}
		if matches, err := r.topics.Match(partition.Topic); matches || err != nil {
			return matches, err
		}
	}
	return false, nil
}

func (r rule) selects(index int64) bool {
	if r.ids != nil {
		return slices.Contains(r.ids, index)
	}
	return index >= r.low && index < r.high
}
