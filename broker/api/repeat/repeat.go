// Package repeat bounds what a request gets by naming one thing many times.
//
// Kafka answers each entry of a list on its own, however often it is there: the properties of a broker with their
// documentation are 60 KB, and one that is named a hundred thousand times in a request of 1 MB asks for 6 GB. Nobody
// repeats an entry on purpose (Kafka's own clients keep their lists as sets), so that a few repeats are answered as Kafka
// does, and more than that are refused.
package repeat

// MaxBytes is how much the repeated entries of one response may have in all.
const MaxBytes = 16 << 20

// Guard follows the entries of one request. Its zero value is ready; it is for one goroutine.
type Guard[K comparable] struct {
	sizes map[K]int // what each entry has taken in the response, at most
	spent int       // by repeats
}

// Refuse reports whether the entry named key is not to be answered: it was there before, and its answer would make the
// repeats exceed MaxBytes.
func (g *Guard[K]) Refuse(key K) bool {
	size := g.sizes[key]
	if g.spent+size > MaxBytes {
		return true
	}
	g.spent += size
	return false
}

// Answered notes that the answer for key takes about size bytes.
func (g *Guard[K]) Answered(key K, size int) {
	if g.sizes == nil {
		g.sizes = map[K]int{}
	}
	g.sizes[key] = max(size, g.sizes[key])
}

// Text is what a refused entry is told, where there is a place for it.
const Text = "This was asked for too often in one request."
