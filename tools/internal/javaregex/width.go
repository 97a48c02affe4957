package javaregex

// width is how long what nodes match can be, as Java reckons it for lookbehind. It reckons in 32 bits, which overflow
// where repetitions have no end: lookbehind with them works for one, and never matches for two.
type width struct {
	least, most int32
	bounded     bool
	single      bool // there is one way to match only
}

func newWidth() width { return width{bounded: true, single: true} }

// then adds what follows.
func (w *width) then(v width) {
	w.least += v.least
	w.most += v.most
	w.bounded = w.bounded && v.bounded
	w.single = w.single && v.single
}

func (s sequence) study(w *width) {
	for _, n := range s {
		n.study(w)
	}
}

func (c choice) study(w *width) {
	var all width
	for i, alternative := range c {
		v := newWidth()
		alternative.study(&v)
		if i == 0 {
			all = v
			continue
		}
		all.least, all.most, all.bounded = min(all.least, v.least), max(all.most, v.most), all.bounded && v.bounded
	}
	all.single = false
	w.then(all)
}

func (o one) study(w *width) {
	w.least++
	w.most++
}

func (a assertion) study(*width) {}

func (g group) study(w *width) { g.body.study(w) }

func (a atomic) study(w *width) { a.body.study(w) }

func (a ahead) study(*width) {}

func (b behind) study(*width) {}

func (b backReference) study(w *width) { w.bounded = false }

func (l loop) study(w *width) {
	v := newWidth()
	l.body.study(&v)
	_, grouped := l.body.(group)
	switch {
	case l.least == 0 && l.most == 1:
		v.least, v.single = 0, false
	case grouped && !v.single && l.manner != possessive:
		v.bounded, v.single = false, false
	default:
		v.repeat(l.least, l.most, w.most)
	}
	w.then(v)
}

func (r run) study(w *width) {
	if r.manner == greedy && r.most == many {
		w.then(width{least: r.least, most: many, bounded: true})
		return
	}
	loop{body: r.of, least: r.least, most: r.most, manner: r.manner}.study(w)
}

// repeat multiplies the lengths; so far is the length of what comes before.
func (w *width) repeat(least, most, before int32) {
	w.least *= least
	w.most *= most
	w.bounded = w.bounded && before+w.most >= before
	w.single = w.single && least == most
}
