package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// passwords are the properties that are kept encrypted in ZooKeeper, by how their names end: a listener's
// begin with the listener.
var passwords = func() (names []string) {
	for p := range Properties() {
		if p.Type == Password && p.Scope != ReadOnly {
			names = append(names, p.Name)
		}
	}
	return names
}()

// IsPassword reports whether the value of name is kept encrypted (DynamicBrokerConfig.isPasswordConfig).
func IsPassword(name string) bool {
	return slices.ContainsFunc(passwords, func(p string) bool { return strings.HasSuffix(name, p) })
}

// ToStore returns set, a dynamic configuration that is valid, as it is kept in ZooKeeper: with passwords
// encrypted. The error is a *Problem.
func (c *Config) ToStore(set map[string]string, perBroker bool) (map[string]string, error) {
	stored := maps.Clone(set)
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if !IsPassword(name) {
			continue
		}
		if !perBroker {
			return nil, &Problem{Property: name, Text: "Password config can be defined only at broker level"}
		}
		e := c.encoderWith("password.encoder.secret")
		if e == nil {
			return nil, &Problem{Property: name, Text: "Password encoder secret not configured"}
		}
		encoded, err := e.encode(set[name])
		if err != nil {
			return nil, &Problem{Property: name, Text: err.Error()}
		}
		stored[name] = encoded
	}
	return stored, nil
}

// Stored is what counts of a dynamic configuration that is kept in ZooKeeper.
type Stored struct {
	Set map[string]string // with passwords in the clear
	// Unsupported are those that Kafka acts upon and Gregor does not. They do not count here, and are kept when
	// the rest is written anew: Kafka brokers may share them.
	Unsupported map[string]string
	Ignored     []string // a line for the log for each reason why something does not count
}

// FromStore tells what counts of stored. Others may have written it, or a broker of another version, so that what is
// wrong is left out and the rest counts (DynamicBrokerConfig.fromPersistentProps).
func (c *Config) FromStore(stored map[string]string, perBroker bool) Stored {
	s := Stored{Set: maps.Clone(stored), Unsupported: map[string]string{}}
	if s.Set == nil {
		s.Set = map[string]string{}
	}
	level := "default cluster"
	if perBroker {
		level = "broker"
	}
	s.ignore("Dynamic "+level+" config contains invalid values, these configs will be ignored", namesWhere(s.Set, func(name string) bool {
		return !IsPassword(name) && !readable(name, s.Set[name])
	}))
	s.ignore("Non-dynamic configs configured in ZooKeeper will be ignored", readOnlyNames(s.Set))
	s.ignore("Security configs can be dynamically updated only using listener prefix, base configs will be ignored", bareKeyStores(s.Set))
	if !perBroker {
		s.ignore("Per-broker configs defined at default cluster level will be ignored", perBrokerNames(s.Set))
	}
	unsupported := namesWhere(s.Set, func(name string) bool {
		p, ok := table[name]
		return ok && p.Status == Refused && !p.isDefault(s.Set[name])
	})
	for _, name := range unsupported {
		s.Unsupported[name] = s.Set[name]
	}
	s.ignore("Configs that ask for something that is not supported will be ignored", unsupported)
	s.ignore("Dynamic password configs could not be decoded, ignoring", c.decodePasswords(s.Set))
	return s
}

// readable reports whether a value can be what a listener has of its own, or all have. Kafka has to read what a listener
// has of a property that is read-only, too, and drops everything for it if it cannot.
func readable(name, text string) bool {
	if p, ok := Lookup(name); ok && p.Name != name {
		_, problem := p.read(text)
		return problem == nil
	}
	return checkDynamicValue(name, text) == nil
}

func (s *Stored) ignore(reason string, names []string) {
	if len(names) == 0 {
		return
	}
	s.Ignored = append(s.Ignored, fmt.Sprintf("%s: %s", reason, strings.Join(names, ", ")))
	for _, name := range names {
		delete(s.Set, name)
	}
}

// decodePasswords replaces the encrypted values of set, and returns the names for which that fails.
func (c *Config) decodePasswords(set map[string]string) (failed []string) {
	e := c.encoderWith("password.encoder.secret")
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if !IsPassword(name) {
			continue
		}
		if e == nil {
			failed = append(failed, name)
			continue
		}
		password, err := e.decode(set[name])
		if err != nil {
			failed = append(failed, name)
			continue
		}
		set[name] = password
	}
	return failed
}

// Reencode returns stored with the passwords that password.encoder.old.secret encrypted under the secret of now,
// and whether there is anything to write: with an old secret, whenever there are passwords. A value that the
// old secret does not decode is left as it is (DynamicBrokerConfig.maybeReEncodePasswords).
func (c *Config) Reencode(stored map[string]string) (again map[string]string, write bool, err error) {
	old := c.encoderWith("password.encoder.old.secret")
	names := namesWhere(stored, IsPassword)
	if old == nil || len(names) == 0 {
		return stored, false, nil
	}
	again = maps.Clone(stored)
	for _, name := range names {
		password, err := old.decode(stored[name])
		if err != nil {
			continue
		}
		e := c.encoderWith("password.encoder.secret")
		if e == nil {
			return nil, false, &Problem{Property: name, Text: "Password encoder secret not configured"}
		}
		if again[name], err = e.encode(password); err != nil {
			return nil, false, &Problem{Property: name, Text: err.Error()}
		}
	}
	return again, true, nil
}
