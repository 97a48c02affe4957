package group

import "unicode/utf8"

// subscribe notes the topics that the members of a consumer group subscribe to, as of this generation; nil
// if that cannot be told.
func (g *Group) subscribe() {
	g.subscribed = nil
	if g.typed() != consumerType || g.protocolType == nil {
		return
	}
	topics := map[string]bool{}
	for _, m := range g.order {
		if !addSubscription(topics, m.metadata(deref(g.protocol))) {
			g.note("Group %s: the subscription of member %s cannot be parsed", g.ID, m.id)
			return
		}
	}
	g.subscribed = topics
}

// addSubscription adds the topics of a ConsumerProtocolSubscription, whose version 0 begins every version.
func addSubscription(topics map[string]bool, b []byte) bool {
	if len(b) < 6 {
		return false
	}
	count := int(int32(uint32(b[2])<<24 | uint32(b[3])<<16 | uint32(b[4])<<8 | uint32(b[5])))
	b = b[6:]
	for range count {
		if len(b) < 2 {
			return false
		}
		n := int(b[0])<<8 | int(b[1])
		if n > 0x7fff || len(b) < 2+n || !utf8.Valid(b[2:2+n]) {
			return false
		}
		topics[string(b[2:2+n])] = true
		b = b[2+n:]
	}
	return count >= 0
}
