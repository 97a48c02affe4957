package javaregex

import "errors"

// Split returns what stands between the matches in a text, as Java's Pattern.split: nothing is before a match of no
// length at the beginning, and what is empty at the end is left out. Without a match the text is returned. It gives up
// as Match does.
func (p *Pattern) Split(text string) (parts []string, err error) {
	if p.continues {
		return nil, errors.New(`\G is not supported where a text is split: ` + p.text)
	}
	m := p.matcher(text, stepsMax)
	defer func() { err = m.gaveUp(recover(), p, text, err) }()
	begin, found := 0, false
	for at := 0; at <= len(m.text); {
		m.reset()
		end, matches := m.once(p.root, at)
		if !matches {
			at++
			continue
		}
		found = true
		if end > 0 {
			parts = append(parts, string(m.text[begin:at]))
			begin = end
		}
		at = max(end, at+1)
	}
	if !found {
		return []string{text}, nil
	}
	parts = append(parts, string(m.text[begin:]))
	for len(parts) > 0 && parts[len(parts)-1] == "" {
		parts = parts[:len(parts)-1]
	}
	return parts, nil
}
