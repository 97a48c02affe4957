package dumplog

import (
	"fmt"
	"io"

	"github.com/gregor-mq/gregor/tools/internal/javamap"
)

// pair is two offsets or timestamps that do not go together.
type pair struct{ first, second int64 }

// byFile are pairs by the absolute path of the file they were found in.
type byFile struct {
	files []string // in the order of their first pair
	pairs map[string][]pair
}

func (b *byFile) add(f file, first, second int64) {
	path := f.absolute()
	if b.pairs == nil {
		b.pairs = map[string][]pair{}
	}
	if _, known := b.pairs[path]; !known {
		b.files = append(b.files, path)
	}
	b.pairs[path] = append(b.pairs[path], pair{first, second})
}

// print writes title with the name of each file, and format for each of its pairs, from the last to the first if
// backward is set.
func (b *byFile) print(w io.Writer, title, format string, backward bool) {
	javamap.SortScala(b.files, javamap.HashString)
	for _, path := range b.files {
		fmt.Fprintf(w, title, path)
		pairs := b.pairs[path]
		for i := range pairs {
			p := pairs[i]
			if backward {
				p = pairs[len(pairs)-1-i]
			}
			fmt.Fprintf(w, format, p.first, p.second)
		}
	}
}

// findings are what is wrong with files.
type findings struct {
	offsets        byFile // of an index: not the last one of the batch it points to
	timestamps     byFile // of a time index: not the largest of the batch it points to
	outOfOrder     byFile // timestamps of a time index: not larger than the one before
	notFound       byFile // offsets of a time index: not the last one of a batch
	nonConsecutive byFile // offsets of records: not one more than the one before
}

// print writes the findings in the order of Kafka's tool.
func (f *findings) print(w io.Writer) {
	f.offsets.print(w, "Mismatches in :%s\n", "  Index offset: %d, log offset: %d\n", true)
	f.timestamps.print(w, "Found timestamp mismatch in :%s\n", "  Index timestamp: %d, log timestamp: %d\n", false)
	f.outOfOrder.print(w, "Found out of order timestamp in :%s\n", "  Index timestamp: %d, Previously indexed timestamp: %d\n", false)
	f.notFound.print(w, "The following indexed offsets are not found in the log.\n%.0s", "Indexed offset: %d, found log offset: %d\n", false)
	f.nonConsecutive.print(w, "Non-consecutive offsets in %s\n", "  %d is followed by %d\n", true)
}
