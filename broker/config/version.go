package config

import (
	"slices"
	"strings"
)

// versions are the values that inter.broker.protocol.version has had, oldest first
// (MetadataVersion.java).
var versions = []string{
	"0.8.0", "0.8.1", "0.8.2", "0.9.0", "0.10.0-IV0", "0.10.0-IV1", "0.10.1-IV0", "0.10.1-IV1", "0.10.1-IV2",
	"0.10.2-IV0", "0.11.0-IV0", "0.11.0-IV1", "0.11.0-IV2", "1.0-IV0", "1.1-IV0", "2.0-IV0", "2.0-IV1",
	"2.1-IV0", "2.1-IV1", "2.1-IV2", "2.2-IV0", "2.2-IV1", "2.3-IV0", "2.3-IV1", "2.4-IV0", "2.4-IV1",
	"2.5-IV0", "2.6-IV0", "2.7-IV0", "2.7-IV1", "2.7-IV2", "2.8-IV0", "2.8-IV1", "3.0-IV0", "3.0-IV1",
	"3.1-IV0", "3.2-IV0", "3.3-IV0", "3.3-IV1", "3.3-IV2", "3.3-IV3", "3.4-IV0", "3.5-IV0", "3.5-IV1",
	"3.5-IV2", "3.6-IV0", "3.6-IV1", "3.6-IV2", "3.7-IV0", "3.7-IV1", "3.7-IV2", "3.7-IV3", "3.7-IV4",
	"3.8-IV0", "3.9-IV0", "4.0-IV0", "4.0-IV1",
}

// latestVersion is the newest one that may be used in production.
const latestVersion = "3.9-IV0"

// A Version is a generation of the protocol that brokers speak among themselves and of what they
// write into ZooKeeper. Versions compare with <; the zero Version is 0.8.0.
type Version int

// String returns the full name, as in 3.9-IV0.
func (v Version) String() string { return versions[v] }

// MessageFormat returns the newest record format that brokers of this version know: 0, 1 or 2.
func (v Version) MessageFormat() int8 {
	switch {
	case v < mustVersion("0.10.0-IV0"):
		return 0
	case v < mustVersion("0.11.0-IV0"):
		return 1
	}
	return 2
}

// parseVersion reads a full name, or a release such as 3.9, 3.9.2 or 0.10.0.1, which stands for
// the last version of that release. Releases that are not out yet have no such meaning.
func parseVersion(s string) (Version, bool) {
	if parts, n := strings.Split(strings.TrimRight(s, "."), "."), 2; true { // Java's split drops what is empty at the end
		if strings.HasPrefix(s, "0.") {
			n = 3
		}
		if len(parts) > n {
			s = strings.Join(parts[:n], ".")
		}
	}
	if i := slices.Index(versions, s); i >= 0 {
		return Version(i), true
	}
	for i := slices.Index(versions, latestVersion); i >= 0; i-- {
		if release, _, _ := strings.Cut(versions[i], "-"); release == s {
			return Version(i), true
		}
	}
	return 0, false
}

func mustVersion(s string) Version {
	v, ok := parseVersion(s)
	if !ok {
		panic("config: no version " + s)
	}
	return v
}
