package wire

// LeaderEpoch is a partition's leader and its epoch.
type LeaderEpoch struct {
	ID    int32
	Epoch int32
}

// NoLeader stands for none and is not written.
var NoLeader = LeaderEpoch{-1, -1}

// NodeEndpoint is where a leader named in a response is reached (KIP-951): Fetch v16, Produce v10.
type NodeEndpoint struct {
	ID   int32
	Host string
	Port int32
	Rack string // "" is written as null
}

// appendLeader appends a tagged leader: tag, size, the two fields and no tags of its own.
func appendLeader(dst []byte, tag byte, l LeaderEpoch) []byte {
	dst = append(dst, tag, 4+4+1)
	dst = appendInt32(dst, l.ID)
	dst = appendInt32(dst, l.Epoch)
	return append(dst, 0)
}

// appendEndpoints appends the tagged fields of a whole response: endpoints as tag 0 if there are any
// and the version knows them.
func appendEndpoints(dst []byte, endpoints []NodeEndpoint, known bool) []byte {
	if !known || len(endpoints) == 0 {
		return append(dst, 0)
	}
	size := uvarintLen(uint32(len(endpoints)) + 1)
	for i := range endpoints {
		e := &endpoints[i]
		size += 4 + uvarintLen(uint32(len(e.Host))+1) + len(e.Host) + 4 + 1
		if e.Rack == "" {
			size++
		} else {
			size += uvarintLen(uint32(len(e.Rack))+1) + len(e.Rack)
		}
	}
	dst = append(dst, 1, 0)
	dst = appendUvarint(dst, uint32(size))
	dst = appendCount(dst, true, len(endpoints))
	for i := range endpoints {
		e := &endpoints[i]
		dst = appendInt32(dst, e.ID)
		dst = appendString(dst, true, e.Host)
		dst = appendInt32(dst, e.Port)
		dst = appendNullable(dst, true, e.Rack)
		dst = append(dst, 0)
	}
	return dst
}
