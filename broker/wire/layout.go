package wire

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// kmsg's decoder trusts counts: an array's memory is allocated before its elements are read, if only
// as many bytes are left as there should be elements, and a count of tagged fields is looped over
// even when nothing is left. A body of one megabyte may so cost hundreds, and six bytes may cost four
// billion rounds. Therefore each body is walked along the layout of its version before kmsg sees it.
// The walk allocates nothing and takes time in proportion to the body.

// layouts describes the request bodies of Kafka 3.9, one API a line:
//
//	1 2 4 8 16   a field of so many bytes: bool, integers, float64, uuid
//	s y          a string, bytes
//	[i]          an array of a field
//	(a b c)      an array of structures
//	? ?7+        what stands before it may be null, in all versions or from this one on
//	@3+ @1-4     only in these versions
//
// In flexible versions every structure, the body included, ends with tagged fields. None of the
// tagged fields that kmsg knows in these requests has counts inside, but for Fetch, which is decoded
// by FetchRequest alone.
const layouts = `
0 s?@3+ 2 4 (s (4 y?))
2 4 1@2+ (s (4 4@4+ 8 4@0-0))
3 (16@10+ s?10+)?1+ 1@4+ 1@8-10 1@8+
4 4 1@7+ 4 8@2+ 1@5+ (s 4 4 4 4 [4] 4 [4] 1@1+)@0-1 (s 16@5+ (4 4 4 4 [4] 4 [4] [4]@3+ [4]@3+ 1 1@6+))@2+ (4 s 4)
5 4 1@4+ 4 8@1+ 1@0-2 (s 4@0-0 [4]@1-2 (4 4 1)@3+)
6 4 1@8+ 4 8@5+ (s 4 4 4 4 [4] 4 [4] [4]@4+)@0-4 (s 16@7+ (4 4 4 4 [4] 4 [4] [4]))@5+ (4 s@0-0 4@0-0 (4 s s@3+ 2)@1+ s?@2+)
7 4 8@2+
8 s 4@1+ s@1+ s?@7+ 8@2-4 (s (4 8 8@1-1 4@6+ s?))
9 s@0-7 (s [4])?2+@0-7 (s s?@9+ 4@9+ (s [4])?)@8+ 1@7+
10 s@0-3 1@1+ [s]@4+
11 s 4 4@1+ s s?@5+ s (s y) s?@8+
12 s 4 s s?@3+
13 s s@0-2 (s s? s?@5+)@3+
14 s 4 s s?@3+ s?@5+ s?@5+ (s y)
15 [s] 1@3+
16 [s]@4+ [s]@5+
17 s
18 s@3+ s@3+
19 (s 4 2 (4 [4]) (s s?)) 4 1@1+
20 [s]@0-5 (s? 16)@6+ 4
21 (s (4 8)) 4
22 s? 4 8@3+ 2@3+
23 4@3+ (s (4 4@2+ 4))
24 s@0-3 8@0-3 2@0-3 (s [4])@0-3 (s 8 2 1 (s [4]))@4+
25 s 8 2 s
26 s 8 2 1
27 (8 2 1 (s [4]) 4)
28 s s 8 2 4@3+ s@3+ s?@3+ (s (4 8 4@2+ s?))
29 1 s? 1@1+ s? s? 1 1
30 (1 s 1@1+ s s 1 1)
31 (1 s? 1@1+ s? s? 1 1)
32 (1 s [s]?) 1@1+ 1@3+
33 (1 s (s s?)) 1
34 (s (s [4]))
35 (s [4])?
36 y
37 (s 4 ([4])?) 4 1
38 s?@3+ s?@3+ (s s) 8
39 y 8
40 y 8
41 (s s)?
42 [s]
43 1@1+ (s [4])? 4
44 (1 s (s 1 s?)) 1
45 4 (s (4 [4]?))
46 4 (s [4])?
47 s (s (4))
48 (s 1 s?) 1
49 ((s s?) (s 8 1)) 1
50 (s)?
51 (s 1) (s 1 4 y y)
56 4 8 (s@0-1 16@2+ (4 4 [4]@0-2 (4 8)@3+ 1@1+ 4))
57 4 (s 2 1@0-0 1@1+) 1@1+
58 y y? y
60 1 1@1+
61 (s [4])
65 [s]
66 [s] [8] 8@1+
67 4 8
68 s s 4 s? s? 4 [s]? s? (16 [4])?
69 [s] 1
`

// What the decoded form of a body takes is estimated: structWeight bytes for each structure in an
// array (a test holds that none of kmsg's is larger), tagWeight for a tagged field that kmsg keeps,
// stringWeight for a string beside its bytes.
const (
	structWeight = 256
	tagWeight    = 64
	stringWeight = 16
	// decodedBytesMax bounds the memory of one decoded request. An UpdateMetadata with a million
	// partitions stays below it.
	decodedBytesMax = 512 << 20
)

var errTooLarge = errors.New("the decoded request would be too large")

// field is a field of a layout; kind is 's', 'y', '[', '(' or 0 for a field of size bytes.
type field struct {
	kind     byte
	size     int
	sub      []field // of an array
	min, max int16   // versions
	nullFrom int16   // the first version in which it may be null
}

// bodies holds the fields of each API's body in all versions.
var bodies = parseLayouts(layouts)

func parseLayouts(text string) (t [maxKey + 1][]field) {
	for line := range strings.Lines(strings.TrimSpace(text)) {
		number, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		key, err := strconv.Atoi(number)
		if err != nil {
			panic(fmt.Sprintf("wire: layout %q: %v", line, err))
		}
		fields, rest := parseFields(rest)
		if rest != "" {
			panic(fmt.Sprintf("wire: layout %q: %q is left", line, rest))
		}
		t[key] = fields
	}
	return t
}

// parseFields parses fields up to the end of s or the bracket that closes them.
func parseFields(s string) (fields []field, rest string) {
	for s = strings.TrimLeft(s, " "); s != "" && s[0] != ')' && s[0] != ']'; s = strings.TrimLeft(s, " ") {
		f := field{max: math.MaxInt16, nullFrom: math.MaxInt16}
		switch c := s[0]; c {
		case '[', '(':
			f.kind = c
			f.sub, s = parseFields(s[1:])
			s = s[1:]
		case 's', 'y':
			f.kind, s = c, s[1:]
		default:
			n := len(s) - len(strings.TrimLeft(s, "0123456789"))
			f.size, _ = strconv.Atoi(s[:n])
			s = s[n:]
		}
		if strings.HasPrefix(s, "?") {
			f.nullFrom, _, s = cutVersions(s)
		}
		if strings.HasPrefix(s, "@") {
			f.min, f.max, s = cutVersions(s)
		}
		fields = append(fields, f)
	}
	return fields, s
}

// cutVersions parses the versions behind a mark; none are all.
func cutVersions(s string) (first, last int16, rest string) {
	n := len(s) - len(strings.TrimLeft(s[1:], "0123456789-+"))
	from, to, closed := strings.Cut(strings.TrimSuffix(s[1:n], "+"), "-")
	v, _ := strconv.Atoi(from)
	first, last = int16(v), math.MaxInt16
	if closed {
		v, _ = strconv.Atoi(to)
		last = int16(v)
	}
	return first, last, s[n:]
}

// walker checks one body.
type walker struct {
	in       reader
	version  int16
	flexible bool
	weight   int
}

// checkBody walks the body of a request and returns its length without trailing bytes, or an error
// wrapping ErrTruncated if it ends early or something is null that may not be, or errTooLarge.
func checkBody(api *API, version int16, body []byte) (int, error) {
	w := walker{in: reader{src: body}, version: version, flexible: api.Flexible(version)}
	w.structure(bodies[api.Key])
	switch {
	case w.weight > decodedBytesMax:
		return 0, errTooLarge
	case w.in.bad:
		return 0, fmt.Errorf("body of %d bytes: %w", len(body), ErrTruncated)
	}
	return len(body) - len(w.in.src), nil
}

func (w *walker) structure(fields []field) {
	for i := range fields {
		f := &fields[i]
		if w.version >= f.min && w.version <= f.max {
			w.field(f)
		}
	}
	if w.flexible {
		w.tags()
	}
}

func (w *walker) field(f *field) {
	if f.kind == 0 {
		w.in.span(f.size)
		return
	}
	n := w.in.length(w.flexible, f.kind != 's')
	if n < 0 {
		if w.version < f.nullFrom {
			w.in.fail()
		}
		return
	}
	switch f.kind {
	case 's':
		w.weight += stringWeight
		w.in.text(n)
	case 'y':
		w.in.span(n)
	case '[', '(':
		w.elements(f, n)
	}
}

// elements walks an array of n elements.
func (w *walker) elements(f *field, n int) {
	switch {
	case n > len(w.in.src):
		w.in.fail()
	case f.kind == '(':
		for ; n > 0 && w.ok(); n-- {
			w.weight += structWeight
			w.structure(f.sub)
		}
	case f.sub[0].kind == 0:
		w.weight += n * f.sub[0].size
		w.in.span(n * f.sub[0].size)
	default:
		for ; n > 0 && w.ok(); n-- {
			w.field(&f.sub[0])
		}
	}
}

func (w *walker) tags() {
	for n := w.in.uvarint(); n > 0 && w.ok(); n-- {
		w.weight += tagWeight
		w.in.uvarint()
		w.in.span(int(w.in.uvarint()))
	}
}

func (w *walker) ok() bool {
	if w.weight > decodedBytesMax {
		w.in.fail()
	}
	return !w.in.bad
}
