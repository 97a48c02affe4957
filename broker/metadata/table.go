package metadata

import (
	"hash/maphash"
	"maps"
)

// shards is how many maps a table is spread over. An update copies the spine (2 KiB) and the maps
// it touches: with 10,000 topics, 40 entries each.
const shards = 256

var seed = maphash.MakeSeed()

// table is an immutable map. The zero table is empty; edit makes the next version.
type table[K comparable, V any] struct {
	spine *[shards]map[K]V // nil: empty
	size  int
}

func shardOf[K comparable](key K) uint64 { return maphash.Comparable(seed, key) % shards }

func (t table[K, V]) get(key K) (v V, ok bool) {
	if t.spine == nil {
		return v, false
	}
	v, ok = t.spine[shardOf(key)][key]
	return v, ok
}

// all yields every entry, in no order.
func (t table[K, V]) all(yield func(K, V) bool) {
	if t.spine == nil {
		return
	}
	for _, shard := range t.spine {
		for k, v := range shard {
			if !yield(k, v) {
				return
			}
		}
	}
}

// edit begins the next version of t, which stays as it is.
func (t table[K, V]) edit() *edit[K, V] {
	return &edit[K, V]{table: t}
}

// edit is a table being changed; nothing is copied before the first change, and no shard twice.
type edit[K comparable, V any] struct {
	table[K, V]
	owned [shards]bool // shards that no finished table shares
	begun bool
}

// shard returns the map of key for writing.
func (e *edit[K, V]) shard(key K) map[K]V {
	if !e.begun {
		e.begun = true
		spine := new([shards]map[K]V)
		if e.spine != nil {
			*spine = *e.spine
		}
		e.spine = spine
	}
	i := shardOf(key)
	if !e.owned[i] {
		e.owned[i] = true
		if e.spine[i] = maps.Clone(e.spine[i]); e.spine[i] == nil {
			e.spine[i] = map[K]V{}
		}
	}
	return e.spine[i]
}

func (e *edit[K, V]) put(key K, v V) {
	m := e.shard(key)
	before := len(m)
	m[key] = v
	e.size += len(m) - before
}

func (e *edit[K, V]) remove(key K) {
	if _, ok := e.get(key); ok {
		delete(e.shard(key), key)
		e.size--
	}
}
