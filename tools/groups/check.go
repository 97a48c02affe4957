package groups

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gregor-mq/gregor/tools/internal/jopt"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

// Options that exclude each other or stand for each other, in the order in which Kafka's messages name them.
var (
	levels    = []string{reset, describe, remove, list}
	scopes    = []string{allGroups, groupName}
	scenarios = []string{toOffset, toCurrent, toDatetime, fromFile, byDuration, toEarliest, toLatest, shiftBy}
	aspects   = []string{members, offsets, state}
)

// checkOrder is the order in which Kafka's tool looks at the scenarios.
var checkOrder = []string{toOffset, toDatetime, byDuration, toEarliest, toLatest, toCurrent, shiftBy, fromFile}

// unconfirmed is what Kafka's tool says when it will change nothing.
const unconfirmed = "WARN: No action will be performed as the --execute option is missing." +
	"In a future major release, the default behavior of this command will be to prompt the user before " +
	"executing the reset rather than doing a dry run. You should add the --dry-run option explicitly " +
	"if you are scripting this command and want to keep the current default behavior without prompting."

// check refuses combinations of options that make no sense, in Kafka's order and words.
func check(env *tool.Env, options *jopt.Set) error {
	if err := tool.CheckRequired(options, bootstrapServer); err != nil {
		return err
	}
	checks := []func(*tool.Env, *jopt.Set) error{checkDescribe, checkDelete, checkReset}
	for _, of := range checks {
		if err := of(env, options); err != nil {
			return err
		}
	}
	rules := []struct {
		used     string
		excluded []string
	}{
		{groupName, []string{allGroups}},
		{groupName, without(levels, describe, remove, reset)},
		{topicName, without(levels, remove, reset)},
	}
	for _, rule := range rules {
		if err := tool.CheckExcluded(options, rule.used, rule.excluded...); err != nil {
			return err
		}
	}
	if given(options, list, describe, remove, reset, removeOffsets) != 1 {
		return tool.Usagef("Command must include exactly one action: --list, --describe, --delete, --reset-offsets, --delete-offsets")
	}
	return nil
}

func checkDescribe(_ *tool.Env, options *jopt.Set) error {
	if !options.Has(describe) {
		return nil
	}
	if !options.Any(scopes...) {
		return tool.Usagef("Option [describe] takes one of these options: %s", bracketed(levels))
	}
	if given(options, aspects...) > 1 {
		return tool.Usagef("Option [describe] takes at most one of these options: %s", bracketed(aspects))
	}
	if _, err := options.Value(state); err != nil {
		return err
	}
	if len(options.Values(state)) > 0 {
		return tool.Usagef("Option [describe] does not take a value for [state]")
	}
	return nil
}

func checkDelete(_ *tool.Env, options *jopt.Set) error {
	if options.Has(remove) {
		if !options.Any(scopes...) {
			return tool.Usagef("Option [delete] takes one of these options: %s", bracketed(scopes))
		}
		if options.Has(topicName) {
			return tool.Usagef("The consumer does not support topic-specific offset deletion from a consumer group.")
		}
	}
	if options.Has(removeOffsets) && (!options.Has(groupName) || !options.Has(topicName)) {
		return tool.Usagef("Option [delete-offsets] takes the following options: %s", bracketed(scopes))
	}
	return nil
}

func checkReset(env *tool.Env, options *jopt.Set) error {
	if !options.Has(reset) {
		return nil
	}
	if options.Has(dryRun) && options.Has(execute) {
		return tool.Usagef("Option [reset-offsets] only accepts one of [execute] and [dry-run]")
	}
	if !options.Any(dryRun, execute) {
		fmt.Fprintln(env.Stderr, unconfirmed)
	}
	if !options.Any(scopes...) {
		return tool.Usagef("Option [reset-offsets] takes one of these options: %s", bracketed(scopes))
	}
	for _, scenario := range checkOrder {
		if err := tool.CheckExcluded(options, scenario, without(scenarios, scenario)...); err != nil {
			return err
		}
	}
	return nil
}

// given returns how many of the options were given.
func given(options *jopt.Set, names ...string) int {
	return len(slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !options.Has(name) }))
}

func without(names []string, left ...string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(left, name) })
}

// bracketed returns names as Java prints options: [list], [describe].
func bracketed(names []string) string { return "[" + strings.Join(names, "], [") + "]" }
