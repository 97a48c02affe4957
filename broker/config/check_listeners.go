package config

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// listeners parses the four properties about listeners and checks that they agree.
func (d *checker) listeners() {
	c := d.c
	var problem string
	c.protocols, problem = parseProtocolMap(c.Text("listener.security.protocol.map"))
	d.require(problem == "", "listener.security.protocol.map", problem)
	if problem != "" || !d.interBroker() {
		return
	}
	list := c.Text("listeners")
	if c.listeners, problem = parseEndpoints(list, c.protocols); problem == "" {
		problem = checkPorts(list, c.listeners)
	}
	d.require(problem == "", "listeners", problem)
	if problem != "" {
		return
	}
	c.advertised = c.listeners
	if c.Has("advertised.listeners") {
		c.advertised, problem = parseEndpoints(c.Text("advertised.listeners"), c.protocols)
		if d.require(problem == "", "advertised.listeners", problem); problem != "" {
			return
		}
	}
	d.advertised()
	d.named()
	d.protocols()
}

// interBroker finds the listener for brokers, and reports whether that worked.
func (d *checker) interBroker() bool {
	c := d.c
	before := len(d.problems)
	const byName, byProtocol = "inter.broker.listener.name", "security.inter.broker.protocol"
	if !c.Has(byName) {
		c.interBroker = c.Text(byProtocol)
		return true
	}
	d.require(!c.IsSet(byProtocol), byName, "Only one of "+byName+" and "+byProtocol+" should be set.")
	c.interBroker = strings.ToUpper(c.Text(byName))
	_, mapped := c.protocols[c.interBroker]
	d.require(mapped, byName, "Listener with name "+c.interBroker+" defined in "+byName+" not found in listener.security.protocol.map.")
	return len(d.problems) == before
}

func (d *checker) advertised() {
	c := d.c
	names, listening := listenerNames(c.advertised), listenerNames(c.listeners)
	if d.require(len(names) > 0, "advertised.listeners", "requirement failed: There must be at least one broker advertised listener."); len(names) == 0 {
		return // which makes the rest true or meaningless
	}
	chosenBy := "security.inter.broker.protocol"
	if c.Has("inter.broker.listener.name") {
		chosenBy = "inter.broker.listener.name"
	}
	d.require(slices.Contains(names, c.interBroker), chosenBy,
		"requirement failed: inter.broker.listener.name must be a listener name defined in advertised.listeners. "+
			"The valid options based on currently configured listeners are "+strings.Join(names, ","))
	subset := !slices.ContainsFunc(names, func(name string) bool { return !slices.Contains(listening, name) })
	d.require(subset, "advertised.listeners",
		"requirement failed: advertised.listeners listener names must be equal to or a subset of the ones defined in listeners. "+
			"Found "+strings.Join(names, ",")+". The valid options based on the current configuration are "+strings.Join(listening, ","))
	anyAddress := slices.ContainsFunc(c.advertised, func(e Endpoint) bool { return e.Host == "0.0.0.0" })
	d.require(!anyAddress, "advertised.listeners",
		"requirement failed: advertised.listeners cannot use the nonroutable meta-address 0.0.0.0. Use a routable IP address.")
}

// named checks the properties that name a listener.
func (d *checker) named() {
	const early, controlPlane = "early.start.listeners", "control.plane.listener.name"
	listening := listenerNames(d.c.listeners)
	for _, name := range strings.Split(d.c.Text(early), ",") {
		name = trim(name)
		d.require(name == "" || slices.Contains(listening, name), early, early+" contains listener "+name+
			", but this is not contained in listeners or controller.listener.names: "+strings.Join(listening, ","))
	}
	d.require(!d.c.Has(controlPlane) || d.c.Text(controlPlane) != "", controlPlane,
		"Invalid value  for configuration "+controlPlane+": The provided listener name is null or empty string")
}

// protocols refuses what the listeners ask for and Gregor does not speak.
func (d *checker) protocols() {
	for _, e := range d.c.listeners {
		d.require(e.Port >= 0 && e.Port <= math.MaxUint16, "listeners",
			fmt.Sprintf("listeners: port %d of listener %s must be between 0 and %d", e.Port, e.Listener, math.MaxUint16))
		if e.Protocol != Plaintext {
			d.problems = append(d.problems, Problem{Property: "listeners", Refused: true,
				Text: fmt.Sprintf("listeners: listener %s has security protocol %s, which is not supported; use PLAINTEXT", e.Listener, e.Protocol)})
		}
	}
}

func listenerNames(endpoints []Endpoint) []string {
	var names []string
	for _, e := range endpoints {
		names = append(names, e.Listener)
	}
	return names
}
