package group

import (
	"fmt"

	"github.com/gregor-mq/gregor/broker/excerpt"
)

// note leaves a line for the log. Lines begin as GroupCoordinator's do where operators look for those: rebalances, members
// that come, fail and leave, assignments.
func (g *Group) note(format string, args ...any) {
	g.fx.Notes = append(g.fx.Notes, fmt.Sprintf(format, args...))
}

// String tells an operator who the member is: its id, and from where it came.
func (m *member) String() string {
	if m.instance != nil {
		return fmt.Sprintf("%s (instance %s, client %s, %s)", m.id, *m.instance, m.clientID, m.clientHost)
	}
	return fmt.Sprintf("%s (client %s, %s)", m.id, m.clientID, m.clientHost)
}

// longestReason is the number of bytes of a client's reason that are logged; Java clients send 255 characters at most.
const longestReason = 255

// because returns what a note says of the reason that a client gave (KIP-800); nothing if it gave none.
func because(reason string) string {
	if reason == "" {
		return ""
	}
	return "; client reason: " + excerpt.Of(reason, longestReason)
}
