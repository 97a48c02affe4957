package zkutil

import (
	"fmt"
	"strings"
)

// PathError says in the words of ZooKeeper's Java client, which Kafka passes on, why a path is none. It is an ErrInvalidPath.
type PathError struct{ text string }

// Error returns the client's message, whose places count UTF-16 units.
func (e *PathError) Error() string { return e.text }

// Is reports whether target is ErrInvalidPath.
func (e *PathError) Is(target error) bool { return target == ErrInvalidPath }

// checkPath returns a *PathError for what Java's client takes for no path (PathUtils.validatePath); go-zookeeper is less
// strict. A sequential node's name ends with a number.
func checkPath(path string, sequential bool) error {
	if sequential {
		path += "1"
	}
	switch {
	case path == "":
		return &PathError{"Path length must be > 0"}
	case path[0] != '/':
		return &PathError{"Path must start with / character"}
	case path == "/":
		return nil
	case strings.HasSuffix(path, "/"):
		return &PathError{"Path must not end with / character"}
	}
	if fault := pathFault(path); fault != "" {
		return &PathError{"Invalid path string \"" + path + "\" caused by " + fault}
	}
	return nil
}

// pathFault returns what is wrong with the nodes of a path, and where, "" for nothing.
func pathFault(path string) string {
	node, place := 0, 0 // where the name of the node begins, in bytes; where r is, in UTF-16 units
	for i, r := range path {
		ends := i+1 == len(path) || path[i+1] == '/'
		switch {
		case r == 0:
			return fmt.Sprintf("null character not allowed @%d", place)
		case r == '/' && i > 0 && i == node:
			return fmt.Sprintf("empty node name specified @%d", place)
		case r == '/':
			node = i + 1
		case r == '.' && ends && (path[node:i+1] == "." || path[node:i+1] == ".."):
			return fmt.Sprintf("relative paths not allowed @%d", place)
		case r <= 0x1f, r >= 0x7f && r <= 0x9f, r >= 0xd800 && r <= 0xf8ff, r >= 0xfff0: // above 0xffff are surrogates in Java
			return fmt.Sprintf("invalid character @%d", place)
		}
		place++
	}
	return ""
}
