package javaregex

// group reads a group with its quantifier; nil if it only sets flags.
func (p *parser) group() node {
	before := p.flags
	var whole func(body node) node
	if p.next() == '?' {
		if whole = p.special(p.take()); whole == nil {
			return nil
		}
	} else {
		whole = p.capture("")
	}
	n := whole(p.alternatives())
	p.accept(')', "Unclosed group")
	p.flags = before
	return p.repeated(n)
}

// special reads what follows "(?", of which ch was taken, and returns what becomes of the body; nil if there is none.
func (p *parser) special(ch rune) func(body node) node {
	switch ch {
	case ':':
		return plain
	case '=', '!':
		return func(body node) node { return ahead{body, ch == '!'} }
	case '>':
		return func(body node) node { return atomic{body} }
	case '<':
		if ch = p.read(); ch != '=' && ch != '!' {
			return p.capture(p.defined(ch))
		}
		return func(body node) node { return p.behind(body, ch == '!') }
	case '$', '@':
		p.fail("Unknown group type")
	}
	p.at--
	p.setFlags()
	switch p.read() {
	case ')':
		return nil
	case ':':
	default:
		p.fail("Unknown inline modifier")
	}
	return plain
}

func plain(body node) node { return group{body: body} }

// capture numbers a capturing group as it is opened.
func (p *parser) capture(name string) func(body node) node {
	p.groups++
	index := p.groups
	if name != "" {
		p.names[name] = index
	}
	return func(body node) node { return group{body, index} }
}

// defined reads the name of a new group, which begins with ch.
func (p *parser) defined(ch rune) string {
	name := p.name(ch)
	if _, there := p.names[name]; there {
		p.fail("Named capturing group <" + name + "> is already defined")
	}
	return name
}

// name reads a group's name, which begins with ch, and the bracket behind it.
func (p *parser) name(ch rune) string {
	if !isLetter(ch) {
		p.fail("capturing group name does not start with a Latin letter")
	}
	var name []rune
	for isLetter(ch) || isDigit(ch) {
		name = append(name, ch)
		ch = p.read()
	}
	if ch != '>' {
		p.fail("named capturing group is missing trailing '>'")
	}
	return string(name)
}

// behind is a lookbehind, whose body must have a maximal length by Java's reckoning.
func (p *parser) behind(body node, negative bool) node {
	width := newWidth()
	body.study(&width)
	if !width.bounded {
		p.fail("Look-behind group does not have an obvious maximum length")
	}
	return behind{body, negative, width.least, width.most}
}

var flagLetters = map[rune]flags{'i': foldASCII, 'm': multiline, 's': dotAll, 'd': unixLines, 'u': foldUnicode, 'x': comments,
	'U': unicodeClasses | foldUnicode}

// setFlags reads flags, and those to be taken back.
func (p *parser) setFlags() {
	on := true
	for ch := p.peek(); ; ch = p.next() {
		f, known := flagLetters[ch]
		switch {
		case ch == '-' && on:
			on = false
		case ch == 'c':
			p.fail("Canonical equivalence is not supported")
		case !known:
			return
		case on:
			p.flags |= f
		default:
			p.flags &^= f
		}
	}
}
